#pragma once

#include "diffusion/step_coefficients.hpp"
#include "diffusion/trace.hpp"

namespace diffusion::detail {

/// x after a step in normal form, without its noise.
[[nodiscard]] inline traced moved(const step_coefficients& step, const traced& x,
                                  const trace::prediction& predicted) {
  return step.x * x + step.x0 * predicted.x0 + step.epsilon * predicted.epsilon;
}

/// ε as it follows from x̂0, hence from a clipped one where that is transformed. Clean data hold no noise to
/// derive it from: there it is the network's.
[[nodiscard]] inline traced direction(const traced& x, const trace::prediction& predicted,
                                      noise_level level) {
  if (level.sigma == 0) return predicted.epsilon;
  return (1 / level.sigma) * x - (level.alpha / level.sigma) * predicted.x0;
}

/// Whether the step has finite length in σ/α and leads to noised data. Others, from pure noise and to clean
/// data, are left to Euler's method by methods that need a slope at both ends.
[[nodiscard]] inline bool has_inner_slopes(noise_level from, noise_level to) noexcept {
  return from.alpha > 0 && to.alpha > 0 && to.sigma > 0;
}

}  // namespace diffusion::detail
