#pragma once

#include <functional>
#include <vector>

#include "diffusion/schedule.hpp"
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

}  // namespace golden
