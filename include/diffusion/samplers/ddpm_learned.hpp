#pragma once

#include "diffusion/posterior.hpp"

namespace diffusion {

/// How a network's second output v, one value per element, gives the variance of p(x_to | x_from).
enum class learned_variance {
  log_range,  ///< log Σ = log β̃ + (v+1)/2 · (log β - log β̃) (Nichol & Dhariwal 2021, eq. 15)
  log_value,  ///< log Σ = v
  value,      ///< Σ = v
};

/// Ancestral sampling with a learned variance per element. The predictor writes two values per element: rows
/// hold first the mean's part, then v. The step to clean data adds no noise.
struct ddpm_learned {
  learned_variance variance = learned_variance::log_range;

  /// The mean of the step; the noise is element-wise, see variance_of.
  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    step_coefficients step = posterior(from, to);
    step.noise = 0;
    return step;
  }

  /// Finite at every step, also where β̃ = 0 (a variance below `floor` counts as `floor`).
  [[nodiscard]] variance_map variance_of(noise_level from, noise_level to, double floor = 1e-20) const {
    switch (variance) {
      case learned_variance::log_range: {
        const double low = posterior_log_variance(from, to, floor);
        const double high = std::log(transition_variance(from, to));
        return {.offset = (low + high) / 2, .slope = (high - low) / 2};
      }
      case learned_variance::log_value:
        return {};
      case learned_variance::value:
        return {.is_log = false};
    }
    detail::invalid("variance", static_cast<int>(variance), "a member of diffusion::learned_variance");
  }
};

}  // namespace diffusion
