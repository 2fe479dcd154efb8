#pragma once

#include "diffusion/schedule.hpp"

namespace diffusion {

/// ᾱ(u) = exp(-rate · u), u = t/T, rate > 0: the same β at every step.
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> exponential_schedule(int steps, double rate = 12,
                                                           double max_beta = 0.999) {
  detail::require_positive("rate", rate);
  if (steps < 1) detail::invalid("steps", steps, "at least 1");
  detail::require_max_beta(max_beta);
  const double beta = std::min(-std::expm1(-rate / steps), max_beta);
  return discrete_schedule<Real>::from_betas(detail::linspace(beta, beta, steps));
}

}  // namespace diffusion
