#include "diffusion/schedules/exponential.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("The exponential schedule has signal power exp(-rate t/T)") {
  const auto schedule = exponential_schedule(1000, 5);
  for (int t = 1; t <= 1000; ++t)
    // A logarithm of at most 5 from t additions.
    CHECK(schedule.alpha_bar(t) == Approx(std::exp(-0.005 * t)).epsilon(5 * (t + 8) * support::roundoff<>));
  CHECK(exponential_schedule(1, 100).beta(1) == 0.999);
  CHECK(exponential_schedule(1, 100, 0.5).beta(1) == 0.5);
}

TEST_CASE("An exponential schedule with an illegal rate is refused") {
  check_refused([] { return exponential_schedule(10, 0); }, {"rate = 0", "(0, inf)"});
  check_refused([] { return exponential_schedule(10, -1); }, {"rate = -1", "(0, inf)"});
  check_refused([] { return exponential_schedule(10, HUGE_VAL); }, {"rate = inf", "(0, inf)"});
  check_refused([] { return exponential_schedule(10, 1, 2); }, {"max_beta = 2", "(0, 1]"});
}
