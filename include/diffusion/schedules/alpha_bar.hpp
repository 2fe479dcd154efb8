#pragma once

#include "diffusion/schedule.hpp"

namespace diffusion {

/// β_t = min(1 - f(t/T)/f((t-1)/T), max_beta) for a decreasing f on [0, 1] proportional to ᾱ.
template <std::floating_point Real = double, std::regular_invocable<double> F>
[[nodiscard]] discrete_schedule<Real> schedule_from_alpha_bar(int steps, F f, double max_beta = 0.999) {
  if (steps < 1) detail::invalid("steps", steps, "at least 1");
  detail::require_max_beta(max_beta);
  std::vector<double> betas(static_cast<std::size_t>(steps));
  for (int t = 1; t <= steps; ++t) {
    const double u = double(t) / steps;
    const double previous = double(t - 1) / steps;
    betas[static_cast<std::size_t>(t - 1)] = std::min(1 - f(u) / f(previous), max_beta);
  }
  return discrete_schedule<Real>::from_betas(betas);
}

}  // namespace diffusion
