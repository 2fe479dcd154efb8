#pragma once

#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Ancestral sampling in σ/α as k-diffusion writes it: an Euler step down to ς_down, then noise ς_up up to
/// ς_to, ς_up² + ς_down² = ς_to². It is ddim with the same η, in any process; s_noise multiplies the noise.
/// Order 1.
struct euler_ancestral {
  double eta = 1;      ///< in [0, 1]: ς_up = η √β̃/α_to; 0 is Euler's method
  double s_noise = 1;  ///< ≥ 0; other than 1 the marginals are not kept

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    if (!(s_noise >= 0 && std::isfinite(s_noise))) detail::invalid("s_noise", s_noise, "[0, inf)");
    step_coefficients step = ddim{.eta = eta}(from, to);
    step.noise *= s_noise;
    return step;
  }
};

}  // namespace diffusion
