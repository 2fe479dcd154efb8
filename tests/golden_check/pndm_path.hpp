#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "diffusion/run_path.hpp"

namespace golden {

/// The path of a run of diffusers' PNDM: a step for every evaluation, in the peer's arithmetic of indices. It
/// moves by a stride of T div n, whatever the next entry of its list, or by half of it in the Runge-Kutta
/// start. `indices` is the peer's list with its doubled entries; index i is t = i + 1, and what is below 0 is
/// the last level.
inline diffusion::run_path pndm_path(const diffusion::discrete_schedule<>& schedule,
                                     std::span<const int> indices, int n, bool halved, bool last_is_clean) {
  struct listed_levels {  // numbered along the run, three for each step
    using time_type = int;
    std::vector<diffusion::noise_level> levels;
    [[nodiscard]] diffusion::noise_level level(int number) const {
      return levels[static_cast<std::size_t>(number)];
    }
  };
  const auto level_at = [&](int index) {
    return schedule.level(index >= 0 ? index + 1 : last_is_clean ? 0 : 1);
  };
  const int stride = schedule.steps() / n;
  listed_levels listed;
  std::vector<diffusion::interval<int>> steps;
  for (std::size_t k = indices.size(); k-- > 0;) {
    const int index = indices[k];
    int from = index;
    int to = index - stride;
    if (halved && k < 12) {
      from = indices[k / 4 * 4];
      to = k % 2 == 0 ? index - stride / 2 : index;
    } else if (!halved && k == 1) {  // the first step a second time
      from = index + stride;
      to = index;
    }
    listed.levels.insert(listed.levels.end(), {level_at(index), level_at(to), level_at(from)});
  }
  for (int number = static_cast<int>(listed.levels.size()) - 1; number >= 0; number -= 3)
    steps.push_back({.from = number, .to = number - 1, .eval = number - 2});
  return diffusion::run_path(listed, diffusion::time_grid(std::move(steps)));
}

}  // namespace golden
