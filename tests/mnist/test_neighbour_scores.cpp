#include "neighbour_scores.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "random_matrix.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

using Eigen::Index, Eigen::MatrixXd;
using mnist::density_and_coverage, mnist::precision_and_recall;

namespace {

MatrixXd column(std::initializer_list<double> values) {
  return Eigen::Map<const MatrixXd>(values.begin(), static_cast<Index>(values.size()), 1);
}

/// The four scores from lists of distances, written down as in the papers.
struct reference {
  double precision, recall, density, coverage;
};
reference by_definition(const MatrixXd& real, const MatrixXd& generated, Index k) {
  const auto radius = [k](const MatrixXd& set, Index i) {
    std::vector<double> distances;
    for (Index j = 0; j < set.rows(); ++j)
      if (j != i) distances.push_back((set.row(i) - set.row(j)).norm());
    std::sort(distances.begin(), distances.end());
    return distances[static_cast<std::size_t>(k - 1)];
  };
  const auto balls = [&](const MatrixXd& set) {
    Eigen::VectorXd radii(set.rows());
    for (Index i = 0; i < set.rows(); ++i) radii[i] = radius(set, i);
    return radii;
  };
  const Eigen::VectorXd real_radii = balls(real), generated_radii = balls(generated);
  const auto n = static_cast<double>(real.rows()), m = static_cast<double>(generated.rows());
  reference result{};
  for (Index j = 0; j < generated.rows(); ++j) {
    bool any = false;
    for (Index i = 0; i < real.rows(); ++i) {
      const bool inside = (real.row(i) - generated.row(j)).norm() <= real_radii[i];
      any = any || inside;
      result.density += inside;
    }
    result.precision += any / m;
  }
  result.density /= static_cast<double>(k) * m;
  for (Index i = 0; i < real.rows(); ++i) {
    bool recalled = false, covered = false;
    for (Index j = 0; j < generated.rows(); ++j) {
      const double distance = (real.row(i) - generated.row(j)).norm();
      recalled = recalled || distance <= generated_radii[j];
      covered = covered || distance <= real_radii[i];
    }
    result.recall += recalled / n;
    result.coverage += covered / n;
  }
  return result;
}

/// 1 - (N-1)…(N-k) / ((M+N-1)…(M+N-k)) (Naeem et al. 2020, lemma 2).
double expected_coverage(double n, double m, Index k) {
  double uncovered = 1;
  for (Index i = 1; i <= k; ++i) uncovered *= (n - static_cast<double>(i)) / (m + n - static_cast<double>(i));
  return 1 - uncovered;
}

// Sums of a few hundred fractions, each rounded once.
constexpr double rounding = 1e-13;

}  // namespace

TEST_CASE("neighbour scores of a set and itself are full", "[mnist][neighbours]") {
  const MatrixXd x = random_matrix(150, 4, 1);
  const auto [precision, recall] = precision_and_recall(x, x, 3);
  CHECK(precision == 1);
  CHECK(recall == 1);
  const auto [density, coverage] = density_and_coverage(x, x, 5);
  CHECK(density == 6.0 / 5);  // a ball holds its five neighbours and its centre
  CHECK(coverage == 1);
}

TEST_CASE("neighbour scores of sets far apart are 0", "[mnist][neighbours]") {
  const MatrixXd x = random_matrix(150, 4, 1), y = (random_matrix(90, 4, 2).array() + 100).matrix();
  const auto [precision, recall] = precision_and_recall(x, y);
  CHECK(precision == 0);
  CHECK(recall == 0);
  const auto [density, coverage] = density_and_coverage(x, y);
  CHECK(density == 0);
  CHECK(coverage == 0);
}

TEST_CASE("a kind that is missing costs recall and coverage, one too many costs precision and density",
          "[mnist][neighbours]") {
  const MatrixXd here = random_matrix(100, 3, 3), there = (random_matrix(300, 3, 4).array() + 100).matrix();
  MatrixXd both(400, 3);
  both << here, there;
  const auto missing = precision_and_recall(both, here);
  CHECK(missing.precision == 1);
  CHECK(missing.recall == 0.25);
  CHECK(density_and_coverage(both, here).density == 6.0 / 5);
  CHECK(density_and_coverage(both, here).coverage == 0.25);
  const auto too_many = precision_and_recall(here, both);
  CHECK(too_many.precision == 0.25);
  CHECK(too_many.recall == 1);
  CHECK(density_and_coverage(here, both).density == 6.0 / 5 / 4);
  CHECK(density_and_coverage(here, both).coverage == 1);
}

TEST_CASE("neighbour scores on a line can be counted", "[mnist][neighbours]") {
  // k = 2: the ball of 0 is [-2, 2], of 1 [0, 2], of 2 [1, 3], of 3 [2, 4], of 4 [2, 6].
  const MatrixXd real = column({0, 1, 2, 3, 4});
  // Inside: -2 of one ball, on its edge; 2 of all five, 3.5 of two, 6 of one.
  const MatrixXd generated = column({-2, 2, 3.5, 6, 9, 30});
  const auto [precision, recall] = precision_and_recall(real, generated, 2);
  CHECK(precision == Approx(4 / 6.0).epsilon(rounding));
  CHECK(recall == 1);
  const auto [density, coverage] = density_and_coverage(real, generated, 2);
  CHECK(density == Approx((1 + 5 + 2 + 1) / 12.0).epsilon(rounding));
  CHECK(coverage == 1);
  // The other way: the balls [-7.5, 3.5], [-2, 6], [1, 6], [3, 9], [3.5, 14.5], [6, 54] hold 4, 5, 4, 2, 1,
  // 0.
  const auto back = density_and_coverage(generated, real, 2);
  CHECK(back.density == Approx(16 / 10.0).epsilon(rounding));
  CHECK(back.coverage == Approx(5 / 6.0).epsilon(rounding));
  CHECK(precision_and_recall(generated, real, 2).recall == precision);
}

TEST_CASE("neighbour scores of larger sets are those of the definition", "[mnist][neighbours]") {
  const MatrixXd real = random_matrix(150, 3, 5);  // more than two parts
  const MatrixXd generated = random_matrix(131, 3, 6).array() + 0.5;
  for (const Index k : {1, 3, 130}) {
    const auto expected = by_definition(real, generated, k);
    const auto [precision, recall] = precision_and_recall(real, generated, k);
    CHECK(precision == Approx(expected.precision).epsilon(rounding));
    CHECK(recall == Approx(expected.recall).epsilon(rounding));
    const auto [density, coverage] = density_and_coverage(real, generated, k);
    CHECK(density == Approx(expected.density).epsilon(rounding));
    CHECK(coverage == Approx(expected.coverage).epsilon(rounding));
  }
  const auto middle = by_definition(real, generated, 3);  // what can tell an error
  for (const double value : {middle.precision, middle.recall, middle.coverage}) {
    CHECK(value > 0.1);
    CHECK(value < 0.9);
  }
}

TEST_CASE("neighbour scores do not depend on order, axes or scale", "[mnist][neighbours]") {
  const MatrixXd real = random_matrix(100, 6, 7), generated = 1.3 * random_matrix(80, 6, 8);
  const auto scores = [](const MatrixXd& x, const MatrixXd& y) {
    const auto [precision, recall] = precision_and_recall(x, y);
    const auto [density, coverage] = density_and_coverage(x, y);
    return std::vector{precision, recall, density, coverage};
  };
  const auto found = scores(real, generated);
  CHECK(scores(real.colwise().reverse(), generated.colwise().reverse()) == found);
  const MatrixXd rotation = Eigen::HouseholderQR<MatrixXd>(random_matrix(6, 6, 9)).householderQ();
  CHECK(scores(real * rotation, generated * rotation) == found);
  CHECK(scores(8 * real, 8 * generated) == found);
}

TEST_CASE("vectors that occur several times are at distance 0", "[mnist][neighbours]") {
  // Four copies of each: with k = 3 all balls have the radius 0 and hold what is equal, nothing else.
  // Products would put copies of such large vectors 1e-7 apart.
  const MatrixXd once = (random_matrix(30, 7, 10).array() + 1e4).matrix();
  MatrixXd real(120, 7);
  real << once, once, once, once;
  MatrixXd generated = real;
  generated.topRows(60).array() += 1e-11;  // above the spacing of numbers there
  CHECK(precision_and_recall(real, generated, 3).precision == 0.5);
  CHECK(density_and_coverage(real, generated, 3).density == 60 * 4 / (3 * 120.0));
  CHECK(density_and_coverage(real, generated.bottomRows(60), 3).coverage == 1);
  CHECK(density_and_coverage(real, generated.topRows(60), 3).coverage == 0);
}

TEST_CASE("coverage and density have their exact means over all ways to split a set in two",
          "[mnist][neighbours]") {
  // In a sample of one distribution, every way to call N of the N + M vectors real is as likely: the mean
  // over all is the expectation, for any vectors.
  constexpr unsigned count = 11, n = 7;
  const MatrixXd all = random_matrix(count, 3, 11);
  for (const Index k : {1, 2, 5}) {
    double ways = 0, density = 0, coverage = 0;
    for (unsigned chosen = 0; chosen < 1u << count; ++chosen) {
      if (std::popcount(chosen) != n) continue;
      MatrixXd real(n, 3), generated(count - n, 3);
      for (Index i = 0, r = 0, g = 0; i < count; ++i)
        if ((chosen >> i) & 1)
          real.row(r++) = all.row(i);
        else
          generated.row(g++) = all.row(i);
      const auto found = density_and_coverage(real, generated, k);
      density += found.density;
      coverage += found.coverage;
      ++ways;
    }
    CHECK(ways == 330);
    CHECK(density / ways == Approx(1).epsilon(rounding));
    CHECK(coverage / ways == Approx(expected_coverage(n, count - n, k)).epsilon(rounding));
  }
}

TEST_CASE("samples of one normal distribution have the expected coverage and density",
          "[mnist][neighbours]") {
  const auto normals = [](Index rows, std::uint64_t sample) {
    MatrixXd x(rows, 8);
    diffusion::philox_normal{1}(sample, 0, std::span<double>(x.data(), static_cast<std::size_t>(x.size())));
    return x;
  };
  constexpr Index repetitions = 100;
  Eigen::ArrayXd density(repetitions), coverage(repetitions);
  for (Index i = 0; i < repetitions; ++i) {
    const auto sample = static_cast<std::uint64_t>(2 * i);
    const auto found = density_and_coverage(normals(100, sample), normals(80, sample + 1));
    density[i] = found.density;
    coverage[i] = found.coverage;
  }
  const auto off_by_errors = [](const Eigen::ArrayXd& found, double expected) {
    const double deviation =
        std::sqrt((found - found.mean()).square().sum() / static_cast<double>(repetitions - 1));
    return std::abs(found.mean() - expected) / (deviation / std::sqrt(static_cast<double>(repetitions)));
  };
  // Means of independent repetitions: four standard errors are exceeded once in 16,000 times.
  CHECK(off_by_errors(coverage, expected_coverage(100, 80, 5)) < 4);
  CHECK(off_by_errors(density, 1) < 4);
  CHECK(expected_coverage(1e9, 1e9, 5) == Approx(1 - 1 / 32.0).epsilon(1e-7));
}

TEST_CASE("features without neighbour scores are refused", "[mnist][neighbours]") {
  const MatrixXd good = random_matrix(8, 3, 12);
  MatrixXd broken = good;
  broken(5, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of([&] { (void)precision_and_recall(good, random_matrix(8, 4, 7)); }) ==
        "features of 3 and of 4 numbers have no distance");
  CHECK_THROWS_AS(density_and_coverage(good, random_matrix(8, 4, 7)), std::invalid_argument);
  CHECK_THROWS_AS(precision_and_recall(MatrixXd(8, 0), MatrixXd(8, 0)), std::invalid_argument);
  CHECK_THROWS_AS(density_and_coverage(good, MatrixXd(0, 3)), std::invalid_argument);
  CHECK_THROWS_AS(density_and_coverage(MatrixXd(0, 3), good), std::invalid_argument);
  for (const auto& [real, generated] : {std::pair{good, broken}, std::pair{broken, good}}) {
    CHECK_THROWS_AS(precision_and_recall(real, generated), std::invalid_argument);
    CHECK_THROWS_AS(density_and_coverage(real, generated), std::invalid_argument);
  }
  CHECK(message_of([&] { (void)precision_and_recall(good, good, 0); }) ==
        "k = 0, allowed: [1, 7], fewer than the features of a set");
  CHECK(message_of([&] { (void)precision_and_recall(good, good, 8); }) ==
        "k = 8, allowed: [1, 7], fewer than the features of a set");
  CHECK_THROWS_AS(precision_and_recall(good, good.topRows(3), 3), std::invalid_argument);
  CHECK_THROWS_AS(density_and_coverage(good, good, 8), std::invalid_argument);
  CHECK_NOTHROW(density_and_coverage(good, good.topRows(1), 7));
  CHECK(message_of([&] { (void)density_and_coverage(1e200 * good, good); }) ==
        "a distance of features overflows");
}
