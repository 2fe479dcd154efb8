#include "measure.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "diffusion/predictor.hpp"
#include "support/catch.hpp"

using diffusion::rows, score_field::mixture, score_field::sliced_wasserstein;

namespace {

std::vector<float> normals(std::size_t size, std::uint64_t sample) {
  std::vector<float> x(size);
  diffusion::philox_normal{1}(sample, 0, std::span(x));
  return x;
}

}  // namespace

TEST_CASE("the sliced Wasserstein distance of shifted points is the shift over the root of 2",
          "[score_field]") {
  const auto x = normals(200, 0);
  auto moved = x;
  for (std::size_t i = 0; i < moved.size(); i += 2) {
    moved[i] += 3;
    moved[i + 1] -= 4;
  }
  // The mean square of a projection of (3, -4); floats of order 5 are rounded by 2e-7.
  CHECK(sliced_wasserstein(rows<const float>(x, 100), rows<const float>(moved, 100)) ==
        Approx(5 / std::sqrt(2)).epsilon(1e-6));
  for (std::size_t i = 0; i < 50; ++i)  // the order of the points does not matter
    for (std::size_t j = 0; j < 2; ++j) std::swap(moved[2 * i + j], moved[2 * (99 - i) + j]);
  CHECK(sliced_wasserstein(rows<const float>(moved, 100), rows<const float>(x, 100)) ==
        Approx(5 / std::sqrt(2)).epsilon(1e-6));
  CHECK(sliced_wasserstein(rows<const float>(x, 100), rows<const float>(x, 100)) == 0);
}

TEST_CASE("the sliced Wasserstein distance of stretched points is exact", "[score_field]") {
  // (±1, 0) and (±3, 0): projections differ by 2 |cos|, whose mean square is 2.
  const std::vector<float> near{-1, 0, 1, 0}, far{3, 0, -3, 0};
  CHECK(sliced_wasserstein(rows<const float>(near, 2), rows<const float>(far, 2)) ==
        Approx(std::sqrt(2)).epsilon(1e-14));
  CHECK_THROWS_AS(
      sliced_wasserstein(rows<const float>(near, 2), rows<const float>(std::span(far).first(2), 1)),
      std::invalid_argument);
}

TEST_CASE("the error of a score is measured against the exact one", "[score_field]") {
  const mixture one{.centres = {{1, -2}}, .deviation = 0.75};
  // The score of one normal distribution, and twice that.
  for (const float factor : {1.0f, 2.0f}) {
    auto score = [factor](rows<const float> x, const auto& at, rows<float> out) {
      const auto variance = static_cast<float>(0.5625 + at.level.sigma * at.level.sigma);
      for (std::size_t i = 0; i < x.count(); ++i) {
        out[i][0] = factor * (1 - x[i][0]) / variance;
        out[i][1] = factor * (-2 - x[i][1]) / variance;
      }
    };
    const auto [exact, difference] = score_field::measure_score(one, score, 2, 10000, 5, 0);
    // σ² E|s|² = 2 σ²/(s² + σ²); squares of 20,000 normals have a relative deviation of 1 %.
    CHECK(exact == Approx(8 / 4.5625).epsilon(0.04));
    CHECK(difference == Approx((factor - 1) * exact).margin(1e-12));
  }
}

TEST_CASE("the mean log density of points at the centre is the highest", "[score_field]") {
  const mixture one{.centres = {{1, -2}}, .deviation = 2};
  const std::vector<float> x{1, -2, 3, -2};  // the second is one deviation away
  CHECK(score_field::mean_log_density(one, rows<const float>(x, 2)) ==
        Approx(-std::log(8 * std::numbers::pi) - 0.25).epsilon(1e-14));
}
