#pragma once

#include <functional>
#include <string>
#include <vector>

#include "diffusion/schedule.hpp"
#include "diffusion/time_grid.hpp"
#include "record.hpp"

namespace golden {

/// Limit of `train_steps`, so that a hostile file cannot ask for all memory.
inline constexpr int max_train_steps = 1'000'000;

/// The variance preserving schedule that a `schedule` object describes. Throws unsupported for other kinds
/// and for unknown options.
[[nodiscard]] diffusion::discrete_schedule<> read_schedule(const record& schedule);

/// A schedule over continuous time in [0, 1], growing with noise.
using continuous_schedule = std::function<diffusion::noise_level(double t)>;
[[nodiscard]] continuous_schedule read_continuous_schedule(const record& schedule);

/// The library's grid for a `timesteps` object over T steps. Throws unsupported for other spacings.
[[nodiscard]] diffusion::time_grid read_grid(const record& timesteps, int train_steps);

/// The grid of a spacing that only needs n and the offset: leading, linspace, trailing.
[[nodiscard]] diffusion::time_grid grid_of_spacing(const std::string& spacing, int train_steps, int n,
                                                   int offset);

/// t = k + 1 for the peers' index k and back.
[[nodiscard]] constexpr int time_of_index(int k) noexcept { return k + 1; }
[[nodiscard]] constexpr int index_of_time(int t) noexcept { return t - 1; }

/// The `from` times of a grid as the peers count them.
[[nodiscard]] std::vector<int> indices_of(const diffusion::time_grid& grid);

}  // namespace golden
