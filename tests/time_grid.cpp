#include "diffusion/time_grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

using interval_of_int = interval<int>;

std::vector<int> times_of(const time_grid& grid) {
  std::vector<int> times;
  for (const auto& step : grid) times.push_back(step.from);
  return times;
}

/// What is wrong with a generative grid of n of T steps; empty if nothing is.
std::string fault_of(const time_grid& grid, int train_steps, int n) {
  if (grid.size() != static_cast<std::size_t>(n)) return "count";
  for (std::size_t k = 0; k < grid.size(); ++k) {
    const auto& [from, to, eval] = grid[k];
    if (from < 1 || from > train_steps) return "out of range";
    if (to >= from) return "not decreasing";
    if (eval != from) return "asked elsewhere";
    if (to != (k + 1 < grid.size() ? grid[k + 1].from : 0)) return "not chained to clean data";
  }
  return "";
}

void check_all_grids(int train_steps, int n) {
  for (const auto& [grid_name, grid] : support::all_grids(train_steps, n)) {
    const std::string fault = fault_of(grid, train_steps, n);
    if (fault.empty()) continue;
    CAPTURE(grid_name, train_steps, n, fault);
    FAIL_CHECK("bad grid");
  }
  const time_grid trailing = trailing_grid(train_steps, n);
  if (trailing[0].from != train_steps) FAIL_CHECK("trailing does not start at T = " << train_steps);
  if (inverted(inverted(trailing)) != trailing) FAIL_CHECK("inverting twice changes the grid");
}

}  // namespace

TEST_CASE("Every grid of n of T steps has n steps, decreases strictly, stays in range and ends clean") {
  for (int T = 1; T <= 64; ++T)
    for (int n = 1; n <= T; ++n) check_all_grids(T, n);
  for (const int T : {100, 300, 999, 1000})
    for (int n = 1; n <= T; ++n) check_all_grids(T, n);
  for (const int n : {1, 2, 3, 50, 999, 1333, 2000, 2001, 3999, 4000}) check_all_grids(4000, n);
  CHECK_NOTHROW(full_grid(1));
}

TEST_CASE("The counts that accumulated floating point strides get wrong are right") {
  // numpy.arange(T, 0, -T/n), the usual way to "trailing", returns n + 1 times for these.
  const auto float_count = [](int T, int n) { return std::ceil((0.0 - T) / -(double(T) / n)); };
  int broken = 0;
  for (int n = 1; n <= 1000; ++n) {
    if (float_count(1000, n) == n) continue;
    ++broken;
    CHECK(fault_of(trailing_grid(1000, n), 1000, n) == "");
  }
  CHECK(broken == 62);
  for (const int n : {7, 14, 28}) {
    CHECK(float_count(300, n) != n);
    CHECK(fault_of(trailing_grid(300, n), 300, n) == "");
  }
}

TEST_CASE("The full grid is every step, which all grids are for n = T") {
  CHECK(times_of(full_grid(4)) == std::vector{4, 3, 2, 1});
  for (const int T : {1, 2, 37, 1000})
    for (const auto& [grid_name, grid] : support::all_grids(T, T)) {
      CAPTURE(grid_name, T);
      CHECK(grid == full_grid(T));
    }
}

TEST_CASE("Leading, linspace and trailing grids are the published ones") {
  CHECK(times_of(leading_grid(1000, 4)) == std::vector{751, 501, 251, 1});
  CHECK(times_of(leading_grid(1000, 4, 1)) == std::vector{752, 502, 252, 2});
  CHECK(times_of(leading_grid(10, 3)) == std::vector{7, 4, 1});
  CHECK(times_of(linspace_grid(1000, 5)) == std::vector{1000, 750, 500 + 1, 251, 1});
  CHECK(times_of(linspace_grid(1000, 1)) == std::vector{1});
  CHECK(times_of(trailing_grid(1000, 4)) == std::vector{1000, 750, 500, 250});
  CHECK(times_of(trailing_grid(1000, 3)) == std::vector{1000, 667, 333});
  CHECK(times_of(trailing_grid(1000, 1)) == std::vector{1000});
}

TEST_CASE("Halves round to even, as NumPy rounds them") {
  CHECK(times_of(trailing_grid(5, 2)) == std::vector{5, 2});         // 2.5
  CHECK(times_of(trailing_grid(7, 2)) == std::vector{7, 4});         // 3.5
  CHECK(times_of(linspace_grid(6, 3)) == std::vector{6, 3, 1});      // 1 + 2.5
  CHECK(times_of(respaced_grid(8, "3")) == std::vector{8, 5, 1});    // 1 + 3.5
  CHECK(times_of(respaced_grid(10, "3")) == std::vector{10, 5, 1});  // 1 + 4.5
}

TEST_CASE("Respaced grids take their counts section by section, nearest to the data first") {
  CHECK(times_of(respaced_grid(300, "2,1,3")) == std::vector{300, 251, 201, 101, 100, 1});
  CHECK(times_of(respaced_grid(10, "1,1,1")) == std::vector{8, 5, 1});  // sections of 4, 3 and 3
  CHECK(times_of(respaced_grid(1000, "ddim5")) == std::vector{801, 601, 401, 201, 1});
  CHECK(times_of(respaced_grid(10, "ddim4")) == std::vector{10, 7, 4, 1});
  CHECK(respaced_grid(1000, "ddim25").size() == 25);
  CHECK(times_of(respaced_grid(10, "ddim1")) == std::vector{1});
}

TEST_CASE("Bad respacings are refused with the text and what is allowed") {
  for (const char* text : {"", ",", "10,", ",10", "10,,10", "a", "10 ", " 10", "-5", "+5", "0", "5.5", "ddim",
                           "ddimx", "ddim0", "ddim-3", "99999999999999999999", "ddim99999999999"}) {
    CAPTURE(text);
    check_refused([&] { return respaced_grid(1000, text); },
                  {"respacing = \"" + std::string(text) + '"', "ddimN", "counts separated by commas"});
  }
  check_refused([] { return respaced_grid(1000, "ddim300"); }, {"ddim steps = 300", "1000 steps"});
  check_refused([] { return respaced_grid(1000, "1001"); }, {"section 0 = 1001", "[1, 1000]"});
  check_refused([] { return respaced_grid(10, "3,4,3"); }, {"section 1 = 4", "[1, 3]"});
  check_refused([] { return respaced_grid(2, "1,1,1"); }, {"section 2 = 1"});
  check_refused([] { return respaced_grid(0, "1"); }, {"train_steps = 0"});
}

TEST_CASE("Explicit grids take the given times") {
  CHECK(times_of(explicit_grid(1000, std::array{999, 5, 1})) == std::vector{999, 5, 1});
  CHECK(fault_of(explicit_grid(10, std::array{7}), 10, 1) == "");
  check_refused([] { return explicit_grid(10, {}); }, {"number of times = 0", "at least 1"});
  check_refused([] { return explicit_grid(10, std::array{11}); }, {"t = 11", "[1, 10]"});
  check_refused([] { return explicit_grid(10, std::array{3, 0}); }, {"t = 0", "[1, 10]"});
  check_refused([] { return explicit_grid(10, std::array{9, 3, 5}); }, {"= 5", "below 3"});
  check_refused([] { return explicit_grid(10, std::array{3, 3}); }, {"= 3", "below 3"});
  check_refused([] { return explicit_grid(10, std::array{1, 2}); }, {"= 2", "below 1"});
}

TEST_CASE("Counts outside 1 ... T are refused by every grid") {
  for (const auto make :
       {+[](int T, int n) { return leading_grid(T, n); }, +[](int T, int n) { return linspace_grid(T, n); },
        +[](int T, int n) { return trailing_grid(T, n); }}) {
    check_refused([&] { return make(10, 0); }, {"steps = 0", "[1, 10]"});
    check_refused([&] { return make(10, 11); }, {"steps = 11", "[1, 10]"});
    check_refused([&] { return make(0, 1); }, {"train_steps = 0", "at least 1"});
    check_refused([&] { return make(-4, 1); }, {"train_steps = -4"});
  }
  check_refused([] { return full_grid(0); }, {"train_steps = 0"});
  check_refused([] { return leading_grid(10, 3, 4); }, {"offset = 4", "[0, 3]"});
  check_refused([] { return leading_grid(10, 3, -1); }, {"offset = -1", "[0, 3]"});
}

TEST_CASE("An inverted grid runs from data to noise and asks at the noisier ends") {
  const time_grid grid = inverted(explicit_grid(10, std::array{9, 4, 2}));
  const std::array<interval_of_int, 3> want{{{0, 2, 2}, {2, 4, 4}, {4, 9, 9}}};
  REQUIRE(grid.size() == want.size());
  CHECK(std::equal(grid.begin(), grid.end(), want.begin()));
}

TEST_CASE("A grid of own steps must move strictly in one direction") {
  const auto grid = [](std::vector<interval<double>> steps) {
    return [=] { return basic_time_grid<double>(steps); };
  };
  CHECK_NOTHROW(grid({{1, 0.5, 1}, {0.5, 0, 0.5}})());
  CHECK_NOTHROW(grid({{1, 0.5, 1}, {0.9, 0, 0.9}})());  // steps need not be chained
  CHECK_NOTHROW(grid({{0, 0.5, 0.5}, {0.5, 1, 1}})());
  check_refused(grid({}), {"steps = 0", "at least 1"});
  check_refused(grid({{1, 1, 1}}), {"grid[0].to = 1"});
  check_refused(grid({{1, 0.5, 1}, {0.5, 0.75, 0.5}}), {"grid[1].to = 0.75", "below 0.5"});
  check_refused(grid({{1, 0.5, 1}, {1, 0.25, 1}}), {"grid[1].from = 1", "below 1"});
  check_refused(grid({{0, 0.5, 1}, {0.5, 0.25, 1}}), {"grid[1].to = 0.25", "above 0.5"});
  check_refused(grid({{0.5, 1, 1}, {0.25, 1, 1}}), {"grid[1].from = 0.25", "above 0.5"});
  check_refused(grid({{1, std::nan(""), 1}}), {"grid[0].to = nan"});
}
