#pragma once

#include "diffusion/compat.hpp"
#include "diffusion/posterior.hpp"

namespace diffusion {

/// The reverse diffusion predictor (Song et al. 2021 score SDE, appendix E, eq. 46): for a forward step
/// x_from = κ x_to + G z, x_to = (2 - κ) x_from + G² ∇ log q(x_from) + G z, κ = α_from/α_to, G² = σ_from² -
/// κ² σ_to². Of order 1 in distribution for any process; ddpm is exact where this is only consistent, and
/// better for few steps.
struct reverse_diffusion {
  /// ε̂ in the score -ε̂/σ is (x - α x̂0)/σ with the transformed x̂0 (default), or the network's own.
  bool rederive_epsilon = true;

  /// The step to clean data adds no noise (default), or G like all others (diffusers, which returns the mean
  /// beside).
  compat peer = compat::none;

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    if (peer == compat::k_diffusion) detail::invalid("peer", "k_diffusion", "none, diffusers");
    const double variance = transition_variance(from, to);
    const double x = 2 - from.alpha / to.alpha;
    const double noise = to.sigma > 0 || peer == compat::diffusers ? std::sqrt(variance) : 0;
    if (!rederive_epsilon) return {.x = x, .x0 = 0, .epsilon = -variance / from.sigma, .noise = noise};
    const double pull = variance / (from.sigma * from.sigma);
    return {.x = x - pull, .x0 = pull * from.alpha, .noise = noise};
  }
};

}  // namespace diffusion
