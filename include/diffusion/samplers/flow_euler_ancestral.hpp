#pragma once

#include <cmath>

#include "diffusion/renoise.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Ancestral Euler for rectified flows (ComfyUI's sample_euler_ancestral_RF): with u = σ/(α + σ), the σ of
/// the flow α = 1 - σ, a step goes by ddim beyond its end, to u_down = u_to (1 + η (u_to/u_from - 1)), and is
/// noised again up to u_to. The formula is one of σ/α only and serves every process.
///
/// Every step keeps the marginals for s_noise = 1. Each is a step of ddim with an η of its own,
/// η_ddim² = (1 - (ς_down/ς_to)²)/(1 - (ς_to/ς_from)²), ς = σ/α, which tends to √η for short steps; from
/// pure noise it is less stochastic than that.
struct flow_euler_ancestral {
  double eta = 1;      ///< in [0, 1]; 0 is ddim
  double s_noise = 1;  ///< factor of the noise, ≥ 0

  [[nodiscard]] step_coefficients operator()(noise_level from, noise_level to) const {
    if (!(eta >= 0 && eta <= 1)) detail::invalid("eta", eta, "[0, 1]");
    detail::require_s_noise(s_noise);
    if (eta == 0) return ddim{}(from, to);
    const double r = detail::snr_ratio_root(from, to);
    // 1 - u_down/u_to, by 1 - u_to/u_from = (1 - r)(1 - u_to)
    const double lost = eta * (1 - r) * (to.alpha / (to.alpha + to.sigma));
    const double q = (1 - lost) * to.alpha / (to.alpha + lost * to.sigma);  // ς_down/ς_to
    step_coefficients step = ddim{}(from, {to.alpha, q * to.sigma});
    step.noise = s_noise * to.sigma * std::sqrt((1 - q) * (1 + q));
    return step;
  }
};

}  // namespace diffusion
