#include "diffusion/solver_grids.hpp"

#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

template <class Time>
std::vector<Time> times_of(const basic_time_grid<Time>& grid) {
  std::vector<Time> times;
  for (const auto& step : grid) times.push_back(step.from);
  return times;
}

/// Every step starts where the last one ended, is told its start, and the last ends at clean data.
template <class Time>
void check_chained(const basic_time_grid<Time>& grid) {
  for (std::size_t k = 0; k < grid.size(); ++k) {
    CHECK(grid[k].eval == grid[k].from);
    CHECK(grid[k].to == (k + 1 < grid.size() ? grid[k + 1].from : Time{0}));
  }
}

}  // namespace

TEST_CASE("Solver grids have their times") {
  CHECK(times_of(fractional_linspace_grid(1000, 4)) == std::vector<double>{1000, 667, 334, 1});
  CHECK(times_of(fractional_linspace_grid(10, 3)) == std::vector<double>{10, 5.5, 1});
  CHECK(times_of(fractional_linspace_grid(10, 1)) == std::vector<double>{1});
  CHECK(times_of(sgm_uniform_grid(10, 2)) == std::vector<double>{10, 5.5});
  CHECK(times_of(sgm_uniform_grid(1000, 3)) == std::vector<double>{1000, 667, 334});
  CHECK(times_of(open_linspace_grid(1000, 4)) == std::vector<int>{1000, 750, 501, 251});  // 499.5 + 1 to even
  CHECK(times_of(open_linspace_grid(1000, 1)) == std::vector<int>{1000});
  CHECK(times_of(open_leading_grid(1000, 4)) == std::vector<int>{801, 601, 401, 201});
  CHECK(times_of(open_leading_grid(1000, 4, 1)) == std::vector<int>{802, 602, 402, 202});
  CHECK(times_of(simple_grid(1000, 3)) == std::vector<int>{1000, 667, 334});
  CHECK(times_of(ddim_uniform_grid(10, 3)) == std::vector<int>{8, 5, 2});
  CHECK(times_of(ddim_uniform_grid(10, 4)) == std::vector<int>{10, 8, 6, 4, 2});
}

TEST_CASE("Solver grids are chained, fall and stay within the steps for every number of steps") {
  for (const int T : {2, 7, 60})
    for (int n = 1; n <= T; ++n) {
      CAPTURE(T, n);
      const auto check = [&](const auto& grid, std::size_t size) {
        check_chained(grid);
        CHECK(grid.size() == size);
        CHECK(grid[0].from <= T);
        CHECK(grid[grid.size() - 1].from >= 1);
      };
      const auto size = static_cast<std::size_t>(n);
      check(fractional_linspace_grid(T, n), size);
      check(simple_grid(T, n), size);
      check(ddim_uniform_grid(T, n), static_cast<std::size_t>((T - 2) / (T / n) + 1));
      if (n == T) continue;
      check(sgm_uniform_grid(T, n), size);
      check(open_linspace_grid(T, n), size);
      check(open_leading_grid(T, n), size);
      CHECK(sgm_uniform_grid(T, n)[0].from == T);
    }
}

TEST_CASE("Given times are chained") {
  const std::vector<double> times{3.5, 2, 0.25};
  const auto grid = chained_grid(times);
  REQUIRE(grid.size() == 2);
  CHECK(grid[0] == interval<double>{3.5, 2, 3.5});
  CHECK(grid[1] == interval<double>{2, 0.25, 2});
}

TEST_CASE("Steps noisier than a limit are counted out") {
  const auto schedule = cosine_schedule(1000);
  const int t = steps_above(schedule, -5.1);
  CHECK(half_log_snr(schedule.level(t)) >= -5.1);
  CHECK(half_log_snr(schedule.level(t + 1)) < -5.1);
  CHECK(steps_above(schedule, -HUGE_VAL) == 1000);
  check_refused([&] { return steps_above(schedule, 100); }, {"lowest half_log_snr = 100"});
}

TEST_CASE("Illegal solver grids are refused") {
  check_refused([] { return fractional_linspace_grid(10, 0); }, {"steps = 0", "[1, 10]"});
  check_refused([] { return open_linspace_grid(10, 10); }, {"steps = 10", "[1, 9]"});
  check_refused([] { return open_linspace_grid(1, 1); }, {"train_steps = 1", "at least 2"});
  check_refused([] { return sgm_uniform_grid(10, 10); }, {"steps = 10", "[1, 9]"});
  check_refused([] { return open_leading_grid(10, 10); }, {"steps = 10", "[1, 9]"});
  check_refused([] { return open_leading_grid(10, 4, 2); }, {"offset = 2", "[0, 1]"});
  check_refused([] { return simple_grid(0, 1); }, {"train_steps = 0"});
  check_refused([] { return ddim_uniform_grid(1, 1); }, {"train_steps = 1", "at least 2"});
  const std::vector<double> rising{1, 2, 3}, mixed{3, 1, 2}, single{1};
  CHECK(chained_grid(rising).size() == 2);  // inversion
  check_refused([&] { return chained_grid(mixed); }, {"grid[1].to = 2"});
  check_refused([&] { return chained_grid(single); }, {"steps = 0", "at least 1"});
}
