#include "diffusion/schedules/warmup.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("The warmup schedule rises linearly and then stays") {
  const auto schedule = warmup_schedule(100, 0.1, {0.01, 0.1});
  for (int t = 1; t <= 10; ++t)
    CHECK(schedule.beta(t) == Approx(0.01 + 0.01 * (t - 1)).epsilon(16 * support::roundoff<>));
  for (int t = 10; t <= 100; ++t) CHECK(schedule.beta(t) == 0.1);
}

TEST_CASE("Warmup over nothing is constant, over everything linear, over one step starts low") {
  const auto none = warmup_schedule(10, 0, {0.1, 0.2});
  const auto all = warmup_schedule(11, 1, {0.1, 0.2});
  const auto one = warmup_schedule(10, 0.1, {0.1, 0.2});
  CHECK(none.beta(1) == 0.2);
  CHECK(all.beta(6) == Approx(0.15).epsilon(8 * support::roundoff<>));
  CHECK(one.beta(1) == 0.1);
  CHECK(one.beta(2) == 0.2);
}

TEST_CASE("A warmup schedule with an illegal fraction is refused") {
  check_refused([] { return warmup_schedule(10, -0.5); }, {"fraction = -0.5", "[0, 1]"});
  check_refused([] { return warmup_schedule(10, 1.5); }, {"fraction = 1.5", "[0, 1]"});
  check_refused([] { return warmup_schedule(10, std::nan("")); }, {"fraction = nan", "[0, 1]"});
}
