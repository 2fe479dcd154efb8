#include "diffusion/schedules/flow.hpp"

#include "diffusion/solver_grids.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

TEST_CASE("The flow schedule is 1 - s and s in scaled time, and find inverts it") {
  const flow_schedule schedule{.time_scale = 1000};
  CHECK(schedule.level(0) == noise_level{1, 0});
  CHECK(schedule.level(250) == noise_level{0.75, 0.25});
  CHECK(schedule.level(1000) == noise_level{0, 1});
  for (double t = 0; t <= 1000; t += 12.5) {
    const auto [found, level] = schedule.find(noise_to_signal(schedule.level(t)));
    CHECK(found == Approx(t).epsilon(8 * support::roundoff<>));
    CHECK(level.alpha == Approx(1 - t / 1000).margin(4 * support::roundoff<>).epsilon(0));
    CHECK(level.sigma == Approx(t / 1000).margin(4 * support::roundoff<>).epsilon(0));
  }
}

TEST_CASE("A shift multiplies sigma / alpha, so that shifts multiply") {
  for (const double s : {0.001, 0.25, 0.9})
    for (const double shift : {0.3, 1.0, 3.0}) {
      const double shifted = flow_shift(s, shift);
      CHECK(shifted / (1 - shifted) == Approx(shift * s / (1 - s)).epsilon(1e-13));
      CHECK(flow_shift(shifted, 2) == Approx(flow_shift(s, 2 * shift)).epsilon(8 * support::roundoff<>));
    }
  CHECK(flow_shift(0, 0.3) == 0);
  CHECK(flow_shift(1, 0.3) == 1);
}

TEST_CASE("The dynamic shift is exponential in tokens between its two points") {
  const flow_dynamic_shift dynamic;
  CHECK(dynamic.mu(256) == 0.5);
  CHECK(dynamic.mu(4096) == Approx(1.15).epsilon(4 * support::roundoff<>));
  const double s = 0.4;
  CHECK(flow_shift(s, dynamic.shift(1024)) ==
        Approx(std::exp(dynamic.mu(1024)) / (std::exp(dynamic.mu(1024)) + 1 / s - 1))
            .epsilon(8 * support::roundoff<>));
}

TEST_CASE("Times of flow matching are uniform before the shift and end where they are told") {
  check_close(flow_times(4), std::vector{1.0, 0.75, 0.5, 0.25}, 2 * support::roundoff<>);
  CHECK(flow_times(1) == std::vector{1.0});
  const std::vector<double> shifted = flow_times(5, {.shift = 3, .last = 0.1});
  CHECK(shifted[0] == 1);
  CHECK(shifted[4] == flow_shift(0.1, 3));
  const std::vector<double> stretched = flow_times(5, {.shift = 3, .last = 0.1, .terminal = 0.02});
  CHECK(stretched[0] == 1);
  CHECK(stretched[4] == Approx(0.02).margin(2 * support::roundoff<>).epsilon(0));
  for (std::size_t k = 1; k < 4; ++k)  // 1 - s is stretched
    CHECK((1 - stretched[k]) / (1 - shifted[k]) == Approx(0.98 / (1 - shifted[4])).epsilon(1e-14));
}

TEST_CASE("A flow run starts at pure noise: by its times, and by sigma / alpha = inf") {
  const std::vector<double> times{1000, 500, 0};
  const run_path path(flow_schedule{1000}, chained_grid(times));
  CHECK(path.point(0).level == noise_level{0, 1});
  CHECK(path.point(2).level == noise_level{1, 0});
  const std::vector<double> ratios{HUGE_VAL, 1, 0};
  const run_path same(flow_schedule{1000}, ratios);
  for (std::size_t k = 0; k <= 2; ++k) {
    CHECK(same.point(k).t == path.point(k).t);
    CHECK(same.point(k).level == path.point(k).level);
  }
}

TEST_CASE("Illegal options of flow schedules are refused") {
  check_refused([] { return flow_schedule{1000}.level(1001); }, {"t = 1001", "[0, 1000]"});
  check_refused([] { return flow_schedule{}.find(-1).t; }, {"sigma / alpha = -1", "[0, inf]"});
  check_refused([] { return flow_shift(0.5, 0); }, {"shift = 0", "(0, inf)"});
  check_refused([] { return flow_shift(1.5, 1); }, {"s = 1.5", "[0, 1]"});
  check_refused([] { return flow_times(0); }, {"n = 0", "at least 1"});
  check_refused([] { return flow_times(3, {.last = 0.0}); }, {"last = 0", "(0, 1]"});
  check_refused([] { return flow_times(3, {.terminal = 1.0}); }, {"terminal = 1", "(0, 1)"});
  check_refused([] { return flow_dynamic_shift{.base_tokens = 4096}.mu(1); },
                {"base_tokens = 4096", "max_tokens"});
}
