#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/run_path.hpp"

namespace golden {

/// One evaluation of a peer, at the level `at`, and the move after it.
struct peer_move {
  diffusion::noise_level from, to, at;
};

/// A path of any moves, one for every evaluation.
inline diffusion::run_path path_of_moves(std::span<const peer_move> moves) {
  std::vector<diffusion::path_step> steps;
  for (std::size_t k = 0; k < moves.size(); ++k) {
    const double t = static_cast<double>(moves.size() - k);
    steps.push_back({{t, moves[k].from}, {t - 1, moves[k].to}, {t, moves[k].at}});
  }
  return diffusion::run_path(std::move(steps));
}

/// The level at an index of a peer's table; below 0 its last level.
inline diffusion::noise_level level_at(const diffusion::discrete_schedule<>& schedule, int index,
                                       bool last_is_clean) {
  return schedule.level(index >= 0 ? index + 1 : last_is_clean ? 0 : 1);
}

/// From every index by T div n, whatever the next index.
inline diffusion::run_path path_of_strides(const diffusion::discrete_schedule<>& schedule,
                                           std::span<const int> indices, bool last_is_clean) {
  const int stride = schedule.steps() / static_cast<int>(indices.size());
  std::vector<peer_move> moves;
  for (const int index : indices) {
    const diffusion::noise_level from = level_at(schedule, index, last_is_clean);
    moves.push_back({from, level_at(schedule, index - stride, last_is_clean), from});
  }
  return path_of_moves(moves);
}

/// The path of a run of diffusers' PNDM: a step for every evaluation, in the peer's arithmetic of indices. It
/// moves by a stride of T div n, whatever the next entry of its list, or by half of it in the Runge-Kutta
/// start. `indices` is the peer's list with its doubled entries; index i is t = i + 1, and what is below 0 is
/// the last level.
inline diffusion::run_path pndm_path(const diffusion::discrete_schedule<>& schedule,
                                     std::span<const int> indices, int n, bool halved, bool last_is_clean) {
  const auto level = [&](int index) { return level_at(schedule, index, last_is_clean); };
  const int stride = schedule.steps() / n;
  std::vector<peer_move> moves;
  for (std::size_t k = 0; k < indices.size(); ++k) {
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
    moves.push_back({level(from), level(to), level(index)});
  }
  return path_of_moves(moves);
}

}  // namespace golden
