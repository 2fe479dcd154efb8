#include "spirals.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using diffusion::rows, score_field::mixture, score_field::point;

TEST_CASE("the score of a mixture is the gradient of its log density", "[score_field]") {
  const mixture data = score_field::two_spirals(20);
  for (const double sigma : {0.01, 0.1, 1.0})
    for (const point x : {point{0.1, -0.2}, point{0.7, 0.1}, point{-0.5, 0.5}, point{3, -4}}) {
      const double h = 1e-5;
      for (std::size_t i = 0; i < 2; ++i) {
        point above = x, below = x;
        above[i] += h;
        below[i] -= h;
        const double slope =
            (data.at(above, sigma).log_density - data.at(below, sigma).log_density) / (2 * h);
        // Rounding of log densities up to 1e4, over h; curvatures of 1/0.0017 and their changes, times h².
        CHECK(data.at(x, sigma).score[i] == Approx(slope).epsilon(1e-6).margin(1e-4));
      }
    }
}

TEST_CASE("the score of one normal distribution leads to its centre", "[score_field]") {
  const mixture one{.centres = {{1, -2}}, .deviation = 3};
  const auto [log_density, score] = one.at({2, 5}, 4);
  CHECK(log_density == Approx(-50.0 / 2 / 25 - std::log(2 * std::numbers::pi * 25)).epsilon(1e-14));
  CHECK(score[0] == Approx(-1 / 25.0).epsilon(1e-14));
  CHECK(score[1] == Approx(-7 / 25.0).epsilon(1e-14));
  const mixture two{.centres = {{-1, 0}, {1, 0}}, .deviation = 0.01};
  CHECK(two.at({1e5, 0}, 0).score[0] ==
        Approx((1 - 1e5) / 1e-4).epsilon(1e-14));  // no share underflows to 0/0
  CHECK(two.at({0, 0}, 0).score[0] == 0);
}

TEST_CASE("the density of noised spirals has the integral 1", "[score_field]") {
  const mixture data = score_field::two_spirals(20);
  const double step = 0.05;
  double sum = 0;
  for (double x = -3; x <= 3; x += step)
    for (double y = -3; y <= 3; y += step) sum += std::exp(data.at({x, y}, 0.2).log_density) * step * step;
  CHECK(sum == Approx(1).epsilon(1e-9));  // sums of normals over a grid finer than σ/3 are exact
}

TEST_CASE("spirals have two arms of equal beads that turn into each other", "[score_field]") {
  const mixture data = score_field::two_spirals(120);
  REQUIRE(data.centres.size() == 240);
  for (std::size_t i = 0; i < 120; ++i) {
    CHECK(data.centres[120 + i][0] == Approx(-data.centres[i][0]).margin(1e-14));
    CHECK(data.centres[120 + i][1] == Approx(-data.centres[i][1]).margin(1e-14));
    CHECK(data.nearest(data.centres[i]) == i);
    if (i == 0) continue;
    const double apart =
        std::hypot(data.centres[i][0] - data.centres[i - 1][0], data.centres[i][1] - data.centres[i - 1][1]);
    // A Gaussian smooths beads of this distance away: their ripple is below 2 exp(-2 (π s/apart)²) = 2e-5.
    CHECK(apart < 1.35 * data.deviation);
  }
}

TEST_CASE("drawn data have the moments of the mixture and depend on their address alone", "[score_field]") {
  const mixture data = score_field::two_spirals();
  constexpr std::size_t count = 20000;
  std::vector<float> values(2 * count), later(2 * 100);
  data.draw(3, 7, rows<float>(values, count));
  double mean = 0, square = 0, log_density = 0, log_square = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const point x{values[2 * i], values[2 * i + 1]};
    mean += (x[0] + x[1]) / count;
    square += (x[0] * x[0] + x[1] * x[1]) / 2 / count;
    const double l = data.at(x, 0).log_density;
    log_density += l / count;
    log_square += l * l / count;
  }
  const double scale = data.scale();
  // Four standard errors; the squares of points within radius 1 vary by less than 1/2.
  const double error = 4 / std::sqrt(static_cast<double>(count));
  CHECK(std::abs(mean) < error * scale * std::sqrt(2));
  CHECK(std::abs(square - scale * scale) < error / 2);
  // The entropy of a band of constant density, length 2 · 4.4 and normal across: log(8.8 · 0.04 √(2πe)) =
  // 0.38; the ends and bends, where beads lie closer, change it a little.
  CHECK(std::abs(log_density + 0.43) < 0.05 + error * std::sqrt(log_square - log_density * log_density));
  data.draw(3, 7 + 500, rows<float>(later, 100));
  CHECK(std::equal(later.begin(), later.end(), values.begin() + 2 * 500));
  data.draw(4, 7 + 500, rows<float>(later, 100));
  CHECK(!std::equal(later.begin(), later.end(), values.begin() + 2 * 500));
}
