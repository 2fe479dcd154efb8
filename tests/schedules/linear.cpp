#include "diffusion/schedules/linear.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("The linear schedule has evenly spaced betas from start to end") {
  const auto schedule = linear_schedule(1000);
  CHECK(schedule.beta(1) == 1e-4);
  CHECK(schedule.beta(1000) == 0.02);
  for (int t = 1; t <= 1000; ++t)
    CHECK(schedule.beta(t) == Approx(1e-4 + (0.02 - 1e-4) * (t - 1) / 999).epsilon(8 * roundoff<>));
  CHECK(linear_schedule(1, {0.25, 0.5}).beta(1) == 0.25);
}

TEST_CASE("The signal power of the linear schedule is the product of 1 - beta") {
  const auto schedule = linear_schedule(1000);
  double product = 1;
  for (int t = 1; t <= 1000; ++t) product *= 1 - schedule.beta(t);
  CHECK(schedule.alpha_bar(1000) == Approx(product).epsilon(4000 * roundoff<>));
  CHECK(product == Approx(4.0358e-5).epsilon(1e-4));  // "L_T ≈ 0", Ho et al. 2020
}

TEST_CASE("A rescaled range keeps the total noise") {
  CHECK(rescaled_beta_range(1000).start == 1e-4);
  CHECK(rescaled_beta_range(1000).end == 0.02);
  const double total = linear_schedule(1000).alpha_bar(1000);
  // The integral of β is kept, that of log(1-β) up to β/2 of itself: 0.02 · 4000/1000 at most.
  const double quarter = linear_schedule(4000, rescaled_beta_range(4000)).alpha_bar(4000);
  CHECK(std::log(quarter) == Approx(std::log(total)).epsilon(0.02));
  CHECK(linear_schedule(20, rescaled_beta_range(20)).alpha_bar(20) == 0);
}

TEST_CASE("A linear schedule with illegal ends is refused") {
  check_refused([] { return linear_schedule(10, {0, 0.5}); }, {"beta_1 = 0", "(0, 1)"});
  check_refused([] { return linear_schedule(10, {0.5, 1.5}); }, {"= 1", "(0, 1)"});
  check_refused([] { return linear_schedule(19, rescaled_beta_range(19)); }, {"beta_19 = 1.05", "(0, 1]"});
}
