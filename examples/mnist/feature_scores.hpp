// Scores of generated images from what a classifier makes of them: the kernel inception distance (Binkowski
// et al. 2018) from its features, the inception score (Salimans et al. 2016) from its logits.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace mnist {

namespace detail {

/// (xᵀy/d + 1)³ of two vectors of features.
[[nodiscard]] inline double kid_kernel(double product, double dimension) {
  const double base = product / dimension + 1;
  return base * base * base;
}

/// Sum of the kernel over all pairs of a row of x with a row of y.
[[nodiscard]] inline double kid_sum(const Eigen::Ref<const Eigen::MatrixXd>& x,
                                    const Eigen::Ref<const Eigen::MatrixXd>& y) {
  constexpr Eigen::Index part = 256;  // bounds the memory of the products
  const double dimension = static_cast<double>(x.cols());
  double sum = 0;
  for (Eigen::Index first = 0; first < x.rows(); first += part) {
    const Eigen::MatrixXd products = x.middleRows(first, std::min(part, x.rows() - first)) * y.transpose();
    sum += products.unaryExpr([&](double p) { return kid_kernel(p, dimension); }).sum();
  }
  return sum;
}

/// The mean of the kernel over pairs of different rows of x.
[[nodiscard]] inline double kid_mean_within(const Eigen::Ref<const Eigen::MatrixXd>& x) {
  const double dimension = static_cast<double>(x.cols()), count = static_cast<double>(x.rows());
  const double same =
      x.rowwise().squaredNorm().unaryExpr([&](double p) { return kid_kernel(p, dimension); }).sum();
  return (kid_sum(x, x) - same) / (count * (count - 1));
}

}  // namespace detail

/// The squared maximum mean discrepancy between two sets of features, a vector per row, with the kernel
/// (xᵀy/d + 1)³. Unbiased: 0 on average, and so negative at times, for two samples of one distribution,
/// whatever their sizes. Throws std::invalid_argument for different dimensions, fewer than two vectors, or a
/// value that is not finite.
[[nodiscard]] inline double kid_unbiased(const Eigen::Ref<const Eigen::MatrixXd>& x,
                                         const Eigen::Ref<const Eigen::MatrixXd>& y) {
  if (x.cols() != y.cols() || x.cols() == 0)
    throw std::invalid_argument("features of " + std::to_string(x.cols()) + " and of " +
                                std::to_string(y.cols()) + " numbers have no kernel distance");
  if (x.rows() < 2 || y.rows() < 2)
    throw std::invalid_argument("count of features = " + std::to_string(std::min(x.rows(), y.rows())) +
                                ", must be at least 2 for a kernel distance");
  if (!x.allFinite() || !y.allFinite()) throw std::invalid_argument("a feature is NaN or infinite");
  return detail::kid_mean_within(x) + detail::kid_mean_within(y) -
         2 * detail::kid_sum(x, y) / (static_cast<double>(x.rows()) * static_cast<double>(y.rows()));
}

struct kid_estimate {
  double mean = 0;
  double standard_error = 0;  ///< of the mean
};

/// The mean of kid_unbiased between blocks of `block` consecutive rows of x and y. Rows should be in random
/// order; those that fill no block in both sets are left out. Throws what kid_unbiased throws, also where
/// there are fewer than two blocks.
[[nodiscard]] inline kid_estimate kid_in_blocks(const Eigen::Ref<const Eigen::MatrixXd>& x,
                                                const Eigen::Ref<const Eigen::MatrixXd>& y,
                                                Eigen::Index block) {
  const Eigen::Index rows = std::min(x.rows(), y.rows());
  if (block < 2 || block > rows / 2)
    throw std::invalid_argument("block = " + std::to_string(block) + ", allowed: [2, " +
                                std::to_string(rows / 2) + "], half of the features");
  Eigen::VectorXd found(rows / block);
  for (Eigen::Index i = 0; i < found.size(); ++i)
    found[i] = kid_unbiased(x.middleRows(i * block, block), y.middleRows(i * block, block));
  const double count = static_cast<double>(found.size());
  return {found.mean(), std::sqrt((found.array() - found.mean()).square().sum() / (count * (count - 1)))};
}

/// exp of the mean of KL(p(class | image) || p(class)), from logits [images, classes]: 1 where all images
/// look alike or say nothing, the number of classes where all are sure and every class is as frequent. Throws
/// std::invalid_argument where there are no logits, or one is not finite.
[[nodiscard]] inline double inception_score(const Eigen::Ref<const Eigen::MatrixXd>& logits) {
  if (logits.size() == 0) throw std::invalid_argument("there are no logits to score");
  if (!logits.allFinite()) throw std::invalid_argument("a logit is NaN or infinite");
  const Eigen::ArrayXXd shifted = logits.colwise() - logits.rowwise().maxCoeff();
  const Eigen::ArrayXXd log_p = shifted.colwise() - shifted.exp().rowwise().sum().log();
  const Eigen::ArrayXXd p = log_p.exp();
  const auto frequency = p.colwise().mean().eval();
  // Where no image has a probability, 0 log 0 = 0.
  const auto entropy = -(frequency > 0).select(frequency * frequency.log(), 0).sum();
  const double negative_entropy = (p > 0).select(p * log_p, 0).sum() / static_cast<double>(p.rows());
  return std::exp(negative_entropy + entropy);
}

}  // namespace mnist
