#include "frechet.hpp"

#include <Eigen/QR>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "lenet.hpp"
#include "random_matrix.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;
using mnist::feature_statistics, mnist::frechet_distance;

feature_statistics statistics(const MatrixXd& features) {
  feature_statistics result;
  result.add(features);
  return result;
}

/// Of 100 vectors: the count does not matter to the distance.
feature_statistics gaussian(const VectorXd& mean, const MatrixXd& covariance) {
  return {100, mean, covariance};
}

MatrixXd rotation(Index n, unsigned seed) {
  return Eigen::HouseholderQR<MatrixXd>(random_matrix(n, n, seed)).householderQ();
}

VectorXd vector(std::initializer_list<double> values) {
  return Eigen::Map<const VectorXd>(values.begin(), static_cast<Index>(values.size()));
}

// Rounding of sums of a few hundred products of order 1, and of decompositions of 8 x 8 matrices of that
// size.
constexpr double rounding = 1e-12;

}  // namespace

TEST_CASE("mean and covariance of features are those of their definition", "[mnist][frechet]") {
  MatrixXd features(3, 2);
  features << 1, 2, 3, 4, 8, 0;
  const auto found = statistics(features);
  CHECK(found.count() == 3);
  CHECK(found.mean().isApprox(vector({4, 2}), rounding));
  MatrixXd covariance(2, 2);  // centred: (-3, 0), (-1, 2), (4, -2); divided by 2
  covariance << 13, -5, -5, 4;
  CHECK(found.covariance().isApprox(covariance, rounding));
}

TEST_CASE("features may come one by one, in parts, or as merged sets", "[mnist][frechet]") {
  // A mean of 1e4 deviations: sums of x² would lose eight of sixteen digits.
  const MatrixXd features = (random_matrix(300, 8, 1).array() + 1e4).matrix();
  const auto whole = statistics(features);

  feature_statistics streamed;
  for (Index i = 0; i < features.rows(); ++i) streamed.add(features.row(i));
  feature_statistics merged = statistics(features.topRows(17));
  merged.merge(feature_statistics());
  merged.merge(statistics(features.middleRows(17, 200)));
  merged.merge(statistics(features.bottomRows(83)));
  feature_statistics from_nothing;
  from_nothing.merge(whole);
  from_nothing.add(MatrixXd(0, 8));

  for (const auto& found : {streamed, merged, from_nothing}) {
    CHECK(found.count() == 300);
    CHECK(found.mean().isApprox(whole.mean(), rounding));
    // A value of 1e4 is rounded by 1e-12, and so is its distance of 1 from the mean.
    CHECK(found.covariance().isApprox(whole.covariance(), 1e-11));
  }
  const MatrixXd centred = features.rowwise() - features.colwise().mean();
  CHECK(whole.covariance().isApprox(centred.transpose() * centred / 299, rounding));
  CHECK(whole.covariance() == whole.covariance().transpose());
}

TEST_CASE("streamed statistics of features around 0 are those of the batch", "[mnist][frechet]") {
  const MatrixXd features = random_matrix(300, 8, 1);
  feature_statistics streamed;
  for (Index i = 0; i < features.rows(); ++i) streamed.add(features.row(i).cast<double>());
  CHECK(streamed.mean().isApprox(statistics(features).mean(), rounding));
  CHECK(streamed.covariance().isApprox(statistics(features).covariance(), rounding));
}

TEST_CASE("the Fréchet distance of Gaussians with diagonal covariances", "[mnist][frechet]") {
  // |m1 - m2|² + Σ (s1 - s2)² for standard deviations s.
  const VectorXd s1 = vector({1, 2, 0.5, 0}), s2 = vector({3, 2, 0.25, 1});
  const auto a = gaussian(vector({0, 1, 2, 3}), s1.cwiseAbs2().asDiagonal().toDenseMatrix());
  const auto b = gaussian(vector({1, 1, 0, 3}), s2.cwiseAbs2().asDiagonal().toDenseMatrix());
  CHECK(frechet_distance(a, b) == Approx(5 + 4 + 0.0625 + 1).epsilon(rounding));
  CHECK(frechet_distance(b, a) == Approx(5 + 4 + 0.0625 + 1).epsilon(rounding));
}

TEST_CASE("the Fréchet distance of Gaussians with commuting covariances", "[mnist][frechet]") {
  const MatrixXd q = rotation(6, 2);
  const VectorXd s1 = vector({1, 2, 3, 4, 5, 6}), s2 = vector({6, 1, 5, 2, 4, 3});
  const VectorXd zero = VectorXd::Zero(6);
  const auto with = [&](const VectorXd& s) {
    return gaussian(zero, q * s.cwiseAbs2().asDiagonal() * q.transpose());
  };
  CHECK(frechet_distance(with(s1), with(s2)) == Approx((s1 - s2).squaredNorm()).epsilon(rounding));
}

TEST_CASE("the Fréchet distance of two Gaussians in the plane", "[mnist][frechet]") {
  // tr (M^½) = √(tr M + 2 √det M) for 2 x 2 matrices, also where they do not commute.
  MatrixXd c1(2, 2), c2(2, 2);
  c1 << 2, 1, 1, 3;
  c2 << 5, -2, -2, 1;
  const double shared = std::sqrt((c1 * c2).trace() + 2 * std::sqrt(c1.determinant() * c2.determinant()));
  const VectorXd zero = VectorXd::Zero(2);
  CHECK(frechet_distance(gaussian(zero, c1), gaussian(zero, c2)) ==
        Approx(c1.trace() + c2.trace() - 2 * shared).epsilon(rounding));
}

TEST_CASE("a set has the Fréchet distance 0 from itself, also with fewer vectors than dimensions",
          "[mnist][frechet]") {
  for (const Index count : {2, 5, 300}) {
    const auto set = statistics(random_matrix(count, 8, 3));
    CHECK(frechet_distance(set, set) >= 0);
    CHECK(frechet_distance(set, set) < rounding);
  }
  const auto constant = statistics(MatrixXd::Ones(5, 8));
  CHECK(frechet_distance(constant, constant) == 0);
}

TEST_CASE("the Fréchet distance of covariances without full rank", "[mnist][frechet]") {
  // Lines with the directions u and v and the deviations 1 and 2: tr (…)^½ = 1 · 2 · |uᵀv|.
  const VectorXd u = rotation(8, 4).col(0), v = rotation(8, 5).col(0), zero = VectorXd::Zero(8);
  const auto a = gaussian(zero, u * u.transpose()), b = gaussian(zero, 4 * v * v.transpose());
  CHECK(frechet_distance(a, b) == Approx(1 + 4 - 4 * std::abs(u.dot(v))).epsilon(rounding));
  CHECK(frechet_distance(a, gaussian(zero, MatrixXd::Zero(8, 8))) == Approx(1).epsilon(rounding));
  CHECK(frechet_distance(gaussian(zero, MatrixXd::Zero(8, 8)), a) == Approx(1).epsilon(rounding));
}

TEST_CASE("the Fréchet distance is symmetric and does not depend on the axes", "[mnist][frechet]") {
  const MatrixXd x = random_matrix(200, 8, 6);
  const MatrixXd y = random_matrix(150, 8, 7) * random_matrix(8, 8, 8);
  const MatrixXd q = rotation(8, 9);
  const double distance = frechet_distance(statistics(x), statistics(y));
  CHECK(distance > 1);
  CHECK(frechet_distance(statistics(y), statistics(x)) == Approx(distance).epsilon(rounding));
  CHECK(frechet_distance(statistics(x * q), statistics(y * q)) == Approx(distance).epsilon(rounding));
  CHECK(frechet_distance(statistics(3 * x), statistics(3 * y)) == Approx(9 * distance).epsilon(rounding));
}

TEST_CASE("statistics that have no Fréchet distance are refused", "[mnist][frechet]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto good = statistics(random_matrix(5, 3, 10));
  const auto message = [&](const feature_statistics& other) {
    return message_of([&] { (void)frechet_distance(good, other); });
  };
  CHECK(message(statistics(random_matrix(5, 4, 11))) == "features of 4 numbers, expected 3");
  CHECK(message(statistics(random_matrix(1, 3, 11))) ==
        "count of features = 1, must be at least 2 for a covariance");
  CHECK(message(statistics(1e200 * random_matrix(5, 3, 11))) ==
        "a covariance of features is NaN or infinite");

  auto set = good;
  MatrixXd broken = random_matrix(2, 3, 12);
  broken(1, 2) = nan;
  CHECK(message_of([&] { set.add(broken); }) == "a feature is NaN or infinite");
  CHECK(message_of([&] { set.add(random_matrix(2, 4, 12)); }) == "features of 4 numbers, expected 3");
  CHECK(message_of([&] { set.merge(statistics(random_matrix(2, 4, 12))); }) ==
        "features of 4 numbers, expected 3");
  CHECK(set.count() == 5);  // nothing was added
  CHECK(frechet_distance(set, good) < rounding);

  const VectorXd mean = VectorXd::Zero(3);
  CHECK_THROWS_AS(feature_statistics(-1, mean, MatrixXd::Identity(3, 3)), std::invalid_argument);
  CHECK_THROWS_AS(feature_statistics(9, mean, MatrixXd::Identity(3, 2)), std::invalid_argument);
  CHECK_THROWS_AS(feature_statistics(9, mean, nan * MatrixXd::Identity(3, 3)), std::invalid_argument);
  CHECK_THROWS_AS(feature_statistics(9, nan * mean, MatrixXd::Identity(3, 3)), std::invalid_argument);
}

TEST_CASE("the reference statistics of the digits are read, other files refused", "[mnist][frechet]") {
  const std::filesystem::path folder = MNIST_DIR "/classifier";
  const auto test = mnist::read_feature_statistics(folder / "stats_test.safetensors");
  CHECK(test.count() == 10000);
  CHECK(test.dimension() == 128);
  CHECK(test.covariance().trace() == Approx(1138.7).margin(0.05));  // published to one decimal
  const auto train = mnist::read_feature_statistics(folder / "stats_train.safetensors");
  CHECK(train.count() == 60000);
  const auto check = mnist::read_safetensors(folder / "check.safetensors");
  const double published = check.tensors.at("fid_train_vs_test").as<double>()[0];
  // Nine features are 0 everywhere and others nearly always: the smallest other eigenvalue, 4e-10, is
  // rounding of the largest in part, and ways to compute its root differ by 2e-7.
  CHECK(frechet_distance(train, test) == Approx(published).epsilon(1e-6));
  CHECK(frechet_distance(test, train) == Approx(published).epsilon(1e-6));
  CHECK(frechet_distance(test, test) < 1e-9);
  CHECK(contains(message_of([&] { (void)mnist::read_feature_statistics(folder / "lenet.safetensors"); }),
                 "lenet.safetensors: no tensor \"count\""));

  const temporary_folder other;
  const auto path = other / "stats.safetensors";
  const auto write = [&](std::vector<float> count, std::size_t covariance) {
    const std::vector<float> mean{1, 2, 3}, cov(covariance);
    mnist::write_safetensors(path, {.tensors = {{"count", mnist::make_tensor({count.size()}, count)},
                                                {"mean", mnist::make_tensor({3}, mean)},
                                                {"cov", mnist::make_tensor({covariance}, cov)}},
                                    .metadata = {}});
    return message_of([&] { (void)mnist::read_feature_statistics(path); });
  };
  CHECK(contains(write({5}, 8), "stats.safetensors: expected a count"));
  CHECK(contains(write({1}, 9), "expected a count"));
  CHECK(contains(write({5, 5}, 9), "expected a count"));
  CHECK(contains(write({std::numeric_limits<float>::infinity()}, 9), "expected a count"));
}
