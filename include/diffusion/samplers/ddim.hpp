#pragma once

#include "diffusion/posterior.hpp"

namespace diffusion {

/// Denoising diffusion implicit models (Song et al. 2021, eq. 12): x_to = α_to x̂0 + √(σ_to² - n²) ε̂ + n z
/// with n = η √β̃. η = 0 is deterministic and also steps towards more noise (inversion); η = 1 is ddpm with
/// posterior variance.
struct ddim {
  double eta = 0;  ///< in [0, 1]; 0 is required for steps towards more noise

  /// ε̂ is (x - α x̂0)/σ with the transformed x̂0, so that a clipped x̂0 still lies on the path through x
  /// (default, guided-diffusion), or the network's own ε̂ (diffusers unless use_clipped_model_output). Without
  /// clipping both are equal.
  bool rederive_epsilon = true;

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    if (!(eta >= 0 && eta <= 1)) detail::invalid("eta", eta, "[0, 1]");
    detail::require_level("from", from);
    detail::require_level("to", to);
    double direction = to.sigma;
    double noise = 0;
    if (eta > 0) {
      const double r = detail::snr_ratio_root(from, to);
      noise = eta * to.sigma * std::sqrt((1 - r) * (1 + r));
      // 1 - η² (1 - r²), written so that η = 1 gives r exactly.
      direction = to.sigma * std::sqrt((1 - eta) * (1 + eta) + eta * eta * r * r);
    }
    // Clean data carry no noise to derive ε from: there the network's own ε̂ is the only one.
    if (!rederive_epsilon || from.sigma == 0)
      return {.x = 0, .x0 = to.alpha, .epsilon = direction, .noise = noise};
    const double ratio = direction / from.sigma;
    return {.x = ratio, .x0 = to.alpha - ratio * from.alpha, .noise = noise};
  }
};

}  // namespace diffusion
