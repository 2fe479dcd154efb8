#pragma once

#include "diffusion/compat.hpp"
#include "diffusion/schedules/alpha_bar.hpp"

namespace diffusion {

struct laplace_options {
  double location = 0;  ///< log SNR at u = 1/2
  double scale = 0.5;   ///< width of the distribution of log SNR, > 0
  double max_beta = 0.999;
  compat peer =
      compat::none;  ///< compat::diffusers takes a square root of ᾱ more, which is not Laplace distributed
};

/// Log SNR Laplace distributed over uniform u = t/T (Hang et al. 2024): λ(u) = location - scale sgn(½-u)
/// ln(1-2|½-u|), ᾱ = 1/(1+exp(-λ)).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> laplace_schedule(int steps, laplace_options options = {}) {
  if (!std::isfinite(options.location)) detail::invalid("location", options.location, "(-inf, inf)");
  detail::require_positive("scale", options.scale);
  const auto f = [&](double u) {
    const double side = u <= 0.5 ? 1 : -1;
    // 1e-6 keeps the logarithm finite at both ends.
    const double log_snr =
        options.location - options.scale * side * std::log(1 - 2 * std::abs(0.5 - u) + 1e-6);
    const double alpha_bar = 1 / (1 + std::exp(-log_snr));
    return options.peer == compat::diffusers ? std::sqrt(alpha_bar) : alpha_bar;
  };
  return schedule_from_alpha_bar<Real>(steps, f, options.max_beta);
}

}  // namespace diffusion
