#include "diffusion/schedules/trigflow.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("TrigFlow turns from data to noise of the data's deviation, and find inverts it") {
  const trigflow_schedule schedule{.sigma_data = 0.5};
  CHECK(schedule.level(0) == noise_level{1, 0});
  for (double t = 0; t < 1.57; t += 0.1) {
    const noise_level level = schedule.level(t);
    CHECK(level.alpha * level.alpha + 4 * level.sigma * level.sigma ==
          Approx(1).epsilon(8 * support::roundoff<>));
    CHECK(schedule.find(noise_to_signal(level)).t == Approx(t).margin(1e-15).epsilon(1e-15));
  }
  CHECK(schedule.level(1.5708).alpha == 0);
  CHECK(schedule.find(HUGE_VAL).level.sigma == 0.5);
}

TEST_CASE("TrigFlow refuses times beyond the quarter circle") {
  check_refused([] { return trigflow_schedule{}.level(1.6); }, {"t = 1.6", "[0, pi/2]"});
  check_refused([] { return trigflow_schedule{}.level(-0.1); }, {"t = -0.1", "[0, pi/2]"});
  check_refused([] { return trigflow_schedule{}.find(-0.1).t; }, {"sigma / alpha = -0.1", "[0, inf]"});
}
