#include "diffusion/distilled_grid.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

namespace {
std::vector<int> times_of(const time_grid& grid) {
  std::vector<int> times;
  for (const auto& [from, to, eval] : grid) times.push_back(from);
  times.push_back(grid[grid.size() - 1].to);
  return times;
}
}  // namespace

TEST_CASE("The distilled grid is diffusers' for LCM and TCD, counted from 1") {
  CHECK(times_of(distilled_grid(1000, 50, 4)) == std::vector{1000, 760, 500, 260, 0});
  CHECK(times_of(distilled_grid(1000, 50, 4, 0.6)) == std::vector{600, 460, 300, 160, 0});
  CHECK(times_of(distilled_grid(1000, 100, 8)) == std::vector{1000, 880, 750, 630, 500, 380, 250, 130, 0});
  CHECK(times_of(distilled_grid(1000, 50, 5, 1, 1)) == std::vector{1000, 800, 600, 400, 200, 1});
}

TEST_CASE("A distilled grid consists of times of the distillation, evenly to a stride") {
  for (const int original : {1, 7, 50, 1000})
    for (const double strength : {1.0, 0.75, 0.3})
      for (int n = 1; n <= static_cast<int>(original * strength); n += 1 + n / 50) {
        const time_grid grid = distilled_grid(1000, original, n, strength);
        const int stride = 1000 / original;
        const int length = static_cast<int>(original * strength);
        CAPTURE(original, strength, n);
        REQUIRE(grid.size() == static_cast<std::size_t>(n));
        CHECK(grid[0].from == stride * length);
        CHECK(grid[grid.size() - 1].to == 0);
        for (std::size_t k = 0; k < grid.size(); ++k) {
          const auto& [from, to, eval] = grid[k];
          CHECK(from % stride == 0);
          CHECK(eval == from);
          if (k + 1 == grid.size()) break;
          CHECK(to == grid[k + 1].from);
          const int strides = (from - to) / stride;
          CHECK((strides == length / n || strides == length / n + 1));
        }
      }
}

TEST_CASE("The distilled grid refuses what the model was not distilled on") {
  check_refused([] { return distilled_grid(0, 1, 1); }, {"train_steps = 0"});
  check_refused([] { return distilled_grid(1000, 0, 1); }, {"original_steps = 0", "[1, 1000]"});
  check_refused([] { return distilled_grid(1000, 1001, 1); }, {"original_steps = 1001"});
  check_refused([] { return distilled_grid(1000, 50, 0); }, {"steps = 0", "[1, 50]"});
  check_refused([] { return distilled_grid(1000, 50, 31, 0.6); }, {"steps = 31", "[1, 30]"});
  check_refused([] { return distilled_grid(1000, 50, 1, 0.01); }, {"steps = 1", "[1, 0]"});
  for (const double strength : {0.0, -1.0, 1.5, std::nan("")})
    check_refused([&] { return distilled_grid(1000, 50, 1, strength); }, {"strength = ", "(0, 1]"});
  check_refused([] { return distilled_grid(1000, 50, 4, 1, -1); }, {"end = -1", "[0, 259]"});
  check_refused([] { return distilled_grid(1000, 50, 4, 1, 260); }, {"end = 260", "[0, 259]"});
}
