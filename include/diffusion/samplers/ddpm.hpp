#pragma once

#include "diffusion/posterior.hpp"

namespace diffusion {

/// Variance of p(x_to | x_from) that is not learned.
enum class fixed_variance {
  posterior,   ///< β̃, "fixed small": the lower bound, right when x_0 is known
  transition,  ///< β, "fixed large": the upper bound, right when x_0 ~ N(0, I)
};

/// Ancestral sampling, "p_sample" (Ho et al. 2020, algorithm 2), for any stride. The step to clean data adds
/// no noise.
struct ddpm {
  fixed_variance variance = fixed_variance::posterior;

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    step_coefficients step = posterior(from, to);
    if (variance == fixed_variance::transition && to.sigma > 0)
      step.noise = std::sqrt(transition_variance(from, to));
    return step;
  }
};

}  // namespace diffusion
