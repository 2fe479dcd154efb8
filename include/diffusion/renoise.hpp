#pragma once

#include <cmath>

#include "diffusion/posterior.hpp"

namespace diffusion {

/// A step that leaves the state at the level `at`, and from there forward through the process to the noisier
/// level `to`: x_to = α_to/α_at · x_at + √(σ_to² - (α_to/α_at σ_at)²) s_noise z, q(x_to | x_at) for s_noise
/// = 1. The step itself has no noise. SNR_at ≥ SNR_to, α_at > 0.
[[nodiscard]] inline step_coefficients renoise(const step_coefficients& step, noise_level at, noise_level to,
                                               double s_noise = 1) {
  const double scale = to.alpha / at.alpha;
  const double noise = to.sigma > 0 ? std::sqrt(transition_variance(to, at)) : 0;
  return {
      .x = scale * step.x, .x0 = scale * step.x0, .epsilon = scale * step.epsilon, .noise = s_noise * noise};
}

namespace detail {

inline void require_s_noise(double s_noise) {
  if (!(s_noise >= 0 && std::isfinite(s_noise))) invalid("s_noise", s_noise, "[0, inf)");
}

}  // namespace detail
}  // namespace diffusion
