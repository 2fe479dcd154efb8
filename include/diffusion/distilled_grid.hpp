#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "diffusion/time_grid.hpp"

namespace diffusion {

/// The grid of models that were distilled on original_steps of the training process, evenly
/// ⌊T/original_steps⌋ apart (LCM, TCD): n of them, from T (or ⌊strength · original_steps⌋ strides, for a
/// start from a partly noised image) down. n divides ⌊strength · original_steps⌋ or the spacing varies by a
/// stride.
///
/// The run ends at `end`: 0 is clean data; 1, the first noised level, is where diffusers' TCD ends.
/// `strength` lies in (0, 1].
[[nodiscard]] inline time_grid distilled_grid(int train_steps, int original_steps, int n, double strength = 1,
                                              int end = 0) {
  detail::require_steps(train_steps, 1);
  if (original_steps < 1 || original_steps > train_steps)
    detail::invalid("original_steps", original_steps, detail::text("[1, ", train_steps, "]"));
  if (!(strength > 0 && strength <= 1)) detail::invalid("strength", strength, "(0, 1]");
  const int length = static_cast<int>(original_steps * strength);
  if (n < 1 || n > length)
    detail::invalid("steps", n, detail::text("[1, ", length, "], the times that the model was distilled on"));
  const int stride = train_steps / original_steps;
  const auto time_of = [&](int k) {
    return stride * (length - static_cast<int>(std::int64_t{k} * length / n));
  };
  if (end < 0 || end >= time_of(n - 1))
    detail::invalid("end", end, detail::text("[0, ", time_of(n - 1) - 1, "]"));
  std::vector<interval<int>> steps;
  for (int k = 0; k < n; ++k) steps.push_back({time_of(k), k + 1 < n ? time_of(k + 1) : end, time_of(k)});
  return time_grid(std::move(steps));
}

}  // namespace diffusion
