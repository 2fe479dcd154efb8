#pragma once

#include "diffusion/renoise.hpp"

namespace diffusion {

/// Multistep sampling of a consistency model (Song et al. 2023, "Consistency models", algorithm 1): the
/// network maps any noised state to data, x̂0, which is noised again for the next step, x_to = α_to x̂0 + noise
/// z. Where the run ends clean, or at the level sigma_min, the result is x̂0.
///
/// The same in other words: sCM over the levels cos t, σ_d sin t (Lu & Song 2025), rectified flow "stochastic
/// sampling", and LCM without boundary scalings. It is ddim with its direction replaced by fresh noise: every
/// step keeps the marginals, whatever the network.
struct consistency {
  /// σ/α of what the network returns, ≥ 0: models that were trained down to ε > 0 return x_ε, not x_0, so
  /// that only √(σ_to² - ε²) is added.
  double sigma_min = 0;
  double s_noise = 1;  ///< factor of the noise, ≥ 0

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    detail::require_level("from", from);
    detail::require_level("to", to);
    if (!(sigma_min >= 0 && std::isfinite(sigma_min))) detail::invalid("sigma_min", sigma_min, "[0, inf)");
    detail::require_s_noise(s_noise);
    if (to.sigma <= to.alpha * sigma_min) return {.x0 = to.alpha};
    return renoise({.x0 = 1}, {1, sigma_min}, to, s_noise);
  }
};

}  // namespace diffusion
