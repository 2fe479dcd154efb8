#pragma once

#include <string>
#include <vector>

#include "diffusion/time_grid.hpp"
#include "record.hpp"

namespace golden {

/// t = k + 1 for the peers' index k and back.
[[nodiscard]] constexpr int time_of_index(int k) noexcept { return k + 1; }
[[nodiscard]] constexpr int index_of_time(int t) noexcept { return t - 1; }

/// What determines a grid of the peers.
struct grid_request {
  std::string spacing;
  int train_steps = 0;
  int steps = 0;
  int offset = 0;
  std::string respacing{};  ///< of spacing "respaced"
};

/// The library's grid. `recorded_indices` are needed for spacing "explicit", and settle ties: the peers reach
/// a position exactly halfway between two indices in floating point, where its last bit decides; the library
/// rounds the exact fraction half to even. There, and only there, either neighbour is accepted. Throws
/// unsupported for other spacings.
[[nodiscard]] diffusion::time_grid make_grid(const grid_request& request, std::vector<int> recorded_indices);

/// The grid of a `timesteps` object over T steps.
[[nodiscard]] diffusion::time_grid read_grid(const record& timesteps, int train_steps);

/// The `from` times of a grid as the peers count them.
[[nodiscard]] std::vector<int> indices_of(const diffusion::time_grid& grid);

}  // namespace golden
