#include "feature_scores.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "random_matrix.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

using Eigen::Index, Eigen::MatrixXd;

TEST_CASE("the kernel distance is that of its definition", "[mnist][kid]") {
  // d = 1, so the kernel is (xy + 1)³. Within {0, 1}: k(0, 1) = 1. Within {2, 3}: 7³ = 343. Across: 1, 1,
  // 27, 64.
  const MatrixXd x = (MatrixXd(2, 1) << 0, 1).finished(), y = (MatrixXd(2, 1) << 2, 3).finished();
  CHECK(mnist::kid_unbiased(x, y) == Approx(1 + 343 - 2 * 93 / 4.0).epsilon(1e-14));
  CHECK(mnist::kid_unbiased(y, x) == Approx(1 + 343 - 2 * 93 / 4.0).epsilon(1e-14));
}

TEST_CASE("the kernel distance of larger sets is the sum over pairs", "[mnist][kid]") {
  const MatrixXd x = random_matrix(300, 5, 1), y = random_matrix(270, 5, 2);  // more than one part
  const auto mean = [](const MatrixXd& a, const MatrixXd& b, bool different) {
    double sum = 0;
    for (Index i = 0; i < a.rows(); ++i)
      for (Index j = 0; j < b.rows(); ++j)
        if (!different || i != j) sum += std::pow(a.row(i).dot(b.row(j)) / 5 + 1, 3);
    return sum / static_cast<double>(a.rows() * (different ? b.rows() - 1 : b.rows()));
  };
  // Means of about 1, rounded once for each of 300 rows of sums.
  CHECK(std::abs(mnist::kid_unbiased(x, y) - (mean(x, x, true) + mean(y, y, true) - 2 * mean(x, y, false))) <
        1e-12);
}

TEST_CASE("the kernel distance in blocks is the mean of the blocks, with its error", "[mnist][kid]") {
  const MatrixXd x = random_matrix(35, 4, 3), y = random_matrix(32, 4, 4);
  const auto found = mnist::kid_in_blocks(x, y, 10);  // three blocks
  Eigen::Vector3d blocks;
  for (Index i = 0; i < 3; ++i)
    blocks[i] = mnist::kid_unbiased(x.middleRows(10 * i, 10), y.middleRows(10 * i, 10));
  CHECK(found.mean == Approx(blocks.mean()).epsilon(1e-12));
  CHECK(found.standard_error ==
        Approx(std::sqrt((blocks.array() - blocks.mean()).square().sum() / 2 / 3)).epsilon(1e-12));
}

TEST_CASE("the kernel distance of samples of one distribution is 0 within its error", "[mnist][kid]") {
  const auto same = mnist::kid_in_blocks(random_matrix(1000, 8, 5), random_matrix(1000, 8, 6), 50);
  CHECK(std::abs(same.mean) < 4 * same.standard_error);
  const auto other = mnist::kid_in_blocks(random_matrix(1000, 8, 5), 2 * random_matrix(1000, 8, 6), 50);
  CHECK(other.mean > 4 * other.standard_error);
}

TEST_CASE("features that have no kernel distance are refused", "[mnist][kid]") {
  const MatrixXd good = random_matrix(6, 3, 7);
  MatrixXd broken = good;
  broken(5, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(mnist::kid_unbiased(good, random_matrix(6, 4, 7)), std::invalid_argument);
  CHECK_THROWS_AS(mnist::kid_unbiased(MatrixXd(6, 0), MatrixXd(6, 0)), std::invalid_argument);
  CHECK_THROWS_AS(mnist::kid_unbiased(good, good.topRows(1)), std::invalid_argument);
  CHECK_THROWS_AS(mnist::kid_unbiased(good, broken), std::invalid_argument);
  CHECK_THROWS_AS(mnist::kid_unbiased(broken, good), std::invalid_argument);
  CHECK(message_of([&] { (void)mnist::kid_in_blocks(good, good, 1); }) ==
        "block = 1, allowed: [2, 3], half of the features");
  CHECK_THROWS_AS(mnist::kid_in_blocks(good, good, 4), std::invalid_argument);
}

TEST_CASE("the inception score counts the classes that images surely show", "[mnist][inception_score]") {
  const MatrixXd sure = 2000 * MatrixXd::Identity(10, 10);  // exp of it overflows
  CHECK(mnist::inception_score(sure) == Approx(10).epsilon(1e-14));
  CHECK(mnist::inception_score(sure.topRows(4)) == Approx(4).epsilon(1e-14));
  CHECK(mnist::inception_score(sure.topRows(1)) == Approx(1).epsilon(1e-14));
  CHECK(mnist::inception_score(MatrixXd::Constant(7, 10, -3)) == Approx(1).epsilon(1e-14));
  // Probabilities (3/4, 1/4) and (1/4, 3/4): KL to (1/2, 1/2) is 3/4 log 3/2 + 1/4 log 1/2 for both.
  const MatrixXd logits = (MatrixXd(2, 2) << std::log(3), 0, 5, 5 + std::log(3)).finished();
  CHECK(mnist::inception_score(logits) == Approx(std::pow(1.5, 0.75) * std::pow(0.5, 0.25)).epsilon(1e-14));
}

TEST_CASE("logits that have no inception score are refused", "[mnist][inception_score]") {
  CHECK_THROWS_AS(mnist::inception_score(MatrixXd(0, 10)), std::invalid_argument);
  MatrixXd broken = MatrixXd::Zero(3, 10);
  broken(1, 1) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(mnist::inception_score(broken), std::invalid_argument);
}
