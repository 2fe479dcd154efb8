#include "diffusion/schedules/quadratic.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::roundoff;

TEST_CASE("The quadratic schedule has evenly spaced roots of betas") {
  const auto schedule = quadratic_schedule(1000);
  for (int t = 1; t <= 1000; ++t) {
    const double root = 0.01 + (std::sqrt(0.02) - 0.01) * (t - 1) / 999;
    CHECK(schedule.beta(t) == Approx(root * root).epsilon(16 * roundoff<>));
  }
}

TEST_CASE("The scaled linear schedule is the quadratic one with the range of latent diffusion") {
  const auto schedule = scaled_linear_schedule(1000);
  CHECK(schedule.beta(1) == Approx(0.00085).epsilon(4 * roundoff<>));
  CHECK(schedule.beta(1000) == Approx(0.012).epsilon(4 * roundoff<>));
  CHECK(schedule.beta(500) == quadratic_schedule(1000, {0.00085, 0.012}).beta(500));
}

TEST_CASE("A quadratic schedule with illegal ends is refused") {
  support::check_refused([] { return quadratic_schedule(10, {-0.5, 0.5}); }, {"beta_1 = ", "nan", "(0, 1)"});
  support::check_refused([] { return quadratic_schedule(2, {0.25, 2.25}); }, {"beta_2 = 2.25", "(0, 1]"});
}
