// How far two sets of images are apart, by the features that a classifier finds in them: the Fréchet distance
// between the Gaussians of the same mean and covariance (Heusel et al. 2017, "FID").
#pragma once

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace mnist {

/// Number, mean and covariance of feature vectors that arrive in parts. Sums of squares are kept around the
/// mean and joined by Chan's formula: no large sums cancel, however far the mean is from 0.
class feature_statistics {
 public:
  /// Of no vectors; the first ones bring the dimension.
  feature_statistics() = default;

  /// Of `count` vectors with that mean and unbiased covariance (division by count - 1). Throws
  /// std::invalid_argument for a negative count, sizes that do not match, or a number that is not finite.
  feature_statistics(Eigen::Index count, Eigen::VectorXd mean, const Eigen::MatrixXd& covariance)
      : count_(count), mean_(std::move(mean)) {
    if (count < 0)
      throw std::invalid_argument("count of features = " + std::to_string(count) + ", must be at least 0");
    if (covariance.rows() != mean_.size() || covariance.cols() != mean_.size())
      throw std::invalid_argument("covariance of " + std::to_string(covariance.rows()) + " x " +
                                  std::to_string(covariance.cols()) + ", must match the mean of " +
                                  std::to_string(mean_.size()));
    require_finite(mean_);
    require_finite(covariance);
    scatter_ = covariance * static_cast<double>(std::max<Eigen::Index>(count - 1, 0));
  }

  /// Adds one vector per row. Throws std::invalid_argument for another dimension or a value that is not
  /// finite, and then has added nothing.
  template <class Rows>
  void add(const Eigen::MatrixBase<Rows>& features) {
    if (features.rows() == 0) return;
    require_finite(features);
    feature_statistics part;
    part.count_ = features.rows();
    Eigen::MatrixXd centred = features.template cast<double>();
    part.mean_ = centred.colwise().mean();
    centred.rowwise() -= part.mean_.transpose();
    part.scatter_ = Eigen::MatrixXd::Zero(centred.cols(), centred.cols());
    part.scatter_.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
    part.scatter_.triangularView<Eigen::StrictlyUpper>() = part.scatter_.transpose();
    merge(part);
  }

  /// Adds the vectors of another set; throws std::invalid_argument where it has another dimension.
  void merge(const feature_statistics& other) {
    if (other.count_ == 0) return;
    if (count_ == 0) {
      *this = other;
      return;
    }
    require_dimension_of(other);
    const double mine = static_cast<double>(count_), theirs = static_cast<double>(other.count_);
    const Eigen::VectorXd apart = other.mean_ - mean_;
    mean_ += apart * (theirs / (mine + theirs));
    scatter_ += other.scatter_ + apart * apart.transpose() * (mine * theirs / (mine + theirs));
    count_ += other.count_;
  }

  [[nodiscard]] Eigen::Index count() const { return count_; }
  [[nodiscard]] Eigen::Index dimension() const { return mean_.size(); }
  [[nodiscard]] const Eigen::VectorXd& mean() const { return mean_; }

  /// The unbiased covariance. Throws std::invalid_argument for fewer than two vectors, which have none.
  [[nodiscard]] Eigen::MatrixXd covariance() const {
    if (count_ < 2)
      throw std::invalid_argument("count of features = " + std::to_string(count_) +
                                  ", must be at least 2 for a covariance");
    return scatter_ / static_cast<double>(count_ - 1);
  }

  /// Throws std::invalid_argument if the other set has another dimension.
  void require_dimension_of(const feature_statistics& other) const {
    if (other.dimension() != dimension())
      throw std::invalid_argument("features of " + std::to_string(other.dimension()) + " numbers, expected " +
                                  std::to_string(dimension()));
  }

 private:
  template <class Values>
  static void require_finite(const Eigen::DenseBase<Values>& values) {
    if (!values.allFinite()) throw std::invalid_argument("a feature is NaN or infinite");
  }

  Eigen::Index count_ = 0;
  Eigen::VectorXd mean_;
  Eigen::MatrixXd scatter_;  // sum of the products around the mean
};

/// |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½), never below 0. Covariances may be singular; where they are
/// nearly so, the sum of roots is exact to about 1e-8 of the largest. Throws
/// std::invalid_argument for different dimensions, fewer than two vectors, or a covariance that overflowed.
[[nodiscard]] inline double frechet_distance(const feature_statistics& a, const feature_statistics& b) {
  a.require_dimension_of(b);
  const Eigen::MatrixXd first = a.covariance(), second = b.covariance();
  if (!first.allFinite() || !second.allFinite())
    throw std::invalid_argument("a covariance of features is NaN or infinite");
  // With C1 = B Bᵀ, Bᵀ C2 B has the eigenvalues of C1^½ C2 C1^½. B leaves out the eigenvectors whose
  // eigenvalues are rounding of 0: their square roots would be 1e-8 of the largest, not 1e-16.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> parts(first);
  const auto& values = parts.eigenvalues();  // ascending
  const double largest = values.size() > 0 ? values[values.size() - 1] : 0;
  const double rounding =
      largest * static_cast<double>(values.size()) * std::numeric_limits<double>::epsilon();
  const Eigen::Index rank = (values.array() > rounding).count();
  const Eigen::MatrixXd root =
      parts.eigenvectors().rightCols(rank) * values.tail(rank).cwiseSqrt().asDiagonal();
  double shared = 0;
  if (rank > 0)
    shared = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(root.transpose() * second * root,
                                                            Eigen::EigenvaluesOnly)
                 .eigenvalues()
                 .cwiseMax(0)
                 .cwiseSqrt()
                 .sum();
  const double distance = (a.mean() - b.mean()).squaredNorm() + first.trace() + second.trace() - 2 * shared;
  return std::max(distance, 0.0);
}

}  // namespace mnist
