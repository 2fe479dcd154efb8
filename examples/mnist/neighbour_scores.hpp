// Scores of generated images from whose neighbours they are by the features of a classifier: improved
// precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace mnist {

namespace detail {

/// Calls f(i, distances) for every row i of x with the column of its squared distances to all rows of y,
/// which f may change. They are summed from differences, not from products: equal vectors are at distance 0,
/// and no distance depends on the order of the two vectors or on their places.
template <class F>
void for_each_row_of_distances(const Eigen::Ref<const Eigen::MatrixXd>& x,
                               const Eigen::Ref<const Eigen::MatrixXd>& y, F f) {
  constexpr Eigen::Index part = 64;  // bounds the memory of the distances
  const Eigen::MatrixXd others = y.transpose();
  Eigen::MatrixXd distances(y.rows(), std::min(part, x.rows()));
  for (Eigen::Index first = 0; first < x.rows(); first += part) {
    const Eigen::MatrixXd some = x.middleRows(first, std::min(part, x.rows() - first)).transpose();
    for (Eigen::Index j = 0; j < others.cols(); ++j)
      for (Eigen::Index i = 0; i < some.cols(); ++i)
        distances(j, i) = (others.col(j) - some.col(i)).squaredNorm();
    for (Eigen::Index i = 0; i < some.cols(); ++i) f(first + i, distances.col(i));
  }
}

/// Squared distance of every row of x to its k-th nearest neighbour among the other rows.
[[nodiscard]] inline Eigen::VectorXd squared_radii(const Eigen::Ref<const Eigen::MatrixXd>& x,
                                                   Eigen::Index k) {
  if (k < 1 || k >= x.rows())
    throw std::invalid_argument("k = " + std::to_string(k) + ", allowed: [1, " +
                                std::to_string(x.rows() - 1) + "], fewer than the features of a set");
  Eigen::VectorXd radii(x.rows());
  for_each_row_of_distances(x, x, [&](Eigen::Index i, auto distances) {
    distances[i] = std::numeric_limits<double>::infinity();  // itself is none of the others
    std::nth_element(distances.begin(), distances.begin() + (k - 1), distances.end());
    radii[i] = distances[k - 1];
  });
  if (!radii.allFinite()) throw std::invalid_argument("a distance of features overflows");
  return radii;
}

/// The share of points in the union of balls, each around one of `centres` and as far as to the k-th nearest
/// of the others.
[[nodiscard]] inline double share_inside(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                         const Eigen::Ref<const Eigen::MatrixXd>& centres, Eigen::Index k) {
  const Eigen::VectorXd radii = squared_radii(centres, k);
  Eigen::Index inside = 0;
  for_each_row_of_distances(points, centres, [&](Eigen::Index, const auto& distances) {
    inside += (distances.array() <= radii.array()).any();
  });
  return static_cast<double>(inside) / static_cast<double>(points.rows());
}

inline void require_comparable(const Eigen::Ref<const Eigen::MatrixXd>& x,
                               const Eigen::Ref<const Eigen::MatrixXd>& y) {
  if (x.cols() != y.cols() || x.cols() == 0)
    throw std::invalid_argument("features of " + std::to_string(x.cols()) + " and of " +
                                std::to_string(y.cols()) + " numbers have no distance");
  if (x.rows() == 0 || y.rows() == 0) throw std::invalid_argument("there are no features to compare");
  if (!x.allFinite() || !y.allFinite()) throw std::invalid_argument("a feature is NaN or infinite");
}

}  // namespace detail

struct precision_recall {
  double precision;  ///< share of the generated among the real: whether they look real
  double recall;     ///< share of the real among the generated: whether there is every kind of them
};

/// Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2) of two sets of features, a vector
/// per row. A vector is among a set if it lies in the closed ball around a member that reaches to that
/// member's k-th nearest neighbour in the set. Throws std::invalid_argument for different dimensions, k
/// outside [1, rows - 1] of either set, or a value that is not finite.
[[nodiscard]] inline precision_recall precision_and_recall(const Eigen::Ref<const Eigen::MatrixXd>& real,
                                                           const Eigen::Ref<const Eigen::MatrixXd>& generated,
                                                           Eigen::Index k = 3) {
  detail::require_comparable(real, generated);
  return {.precision = detail::share_inside(generated, real, k),
          .recall = detail::share_inside(real, generated, k)};
}

struct density_coverage {
  double density;   ///< real balls that a generated vector lies in, over k: 1 on average for one distribution
  double coverage;  ///< share of real balls that a generated vector lies in
};

/// Density and coverage (Naeem et al. 2020, eq. 3 and 4) of two sets of features, a vector per row, by the
/// closed balls around the real ones that reach to their k-th nearest real neighbour. For N real and M
/// generated vectors of one distribution the coverage is 1 - (N-1)…(N-k) / ((M+N-1)…(M+N-k)) on average,
/// whatever the distribution: about 1 - 2⁻ᵏ where N = M. Throws std::invalid_argument for different
/// dimensions, no generated vectors, k outside [1, N - 1], or a value that is not finite.
[[nodiscard]] inline density_coverage density_and_coverage(const Eigen::Ref<const Eigen::MatrixXd>& real,
                                                           const Eigen::Ref<const Eigen::MatrixXd>& generated,
                                                           Eigen::Index k = 5) {
  detail::require_comparable(real, generated);
  const Eigen::VectorXd radii = detail::squared_radii(real, k);
  Eigen::Index inside = 0, covered = 0;
  detail::for_each_row_of_distances(real, generated, [&](Eigen::Index i, const auto& distances) {
    const Eigen::Index held = (distances.array() <= radii[i]).count();
    inside += held;
    covered += held > 0;
  });
  return {.density = static_cast<double>(inside) / static_cast<double>(k * generated.rows()),
          .coverage = static_cast<double>(covered) / static_cast<double>(real.rows())};
}

}  // namespace mnist
