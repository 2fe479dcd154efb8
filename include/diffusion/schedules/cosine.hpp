#pragma once

#include <numbers>

#include "diffusion/schedule.hpp"

namespace diffusion {

struct cosine_options {
  double s = 0.008;         ///< offset that keeps the first betas from vanishing, > 0
  double max_beta = 0.999;  ///< cap of β near t = T, in (0, 1]
};

/// ᾱ(u) ∝ cos²(π/2 · (u+s)/(1+s)), u = t/T (Nichol & Dhariwal 2021, eq. 17).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> cosine_schedule(int steps, cosine_options options = {}) {
  if (steps < 1) detail::invalid("steps", steps, "at least 1");
  detail::require_positive("s", options.s);
  detail::require_max_beta(options.max_beta);
  const auto angle = [&](int t) {
    return std::numbers::pi / 2 * (double(t) / steps + options.s) / (1 + options.s);
  };
  std::vector<double> betas(static_cast<std::size_t>(steps));
  for (int t = 1; t <= steps; ++t) {
    const double b = angle(t);
    const double a = angle(t - 1);
    // 1 - cos²b/cos²a as a product: the difference would lose five digits in the first betas.
    const double beta = std::sin(b - a) * std::sin(b + a) / (std::cos(a) * std::cos(a));
    betas[static_cast<std::size_t>(t - 1)] = std::min(beta, options.max_beta);
  }
  return discrete_schedule<Real>::from_betas(betas);
}

}  // namespace diffusion
