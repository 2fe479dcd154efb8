#pragma once

#include "diffusion/schedule.hpp"

namespace diffusion {

/// The schedule with √ᾱ shifted and scaled so that √ᾱ_T = 0 and √ᾱ_1 keeps its value (Lin et al. 2024,
/// algorithm 1). Needs T ≥ 2. At t = T use x0, v or velocity prediction: ε does not determine x_0 there.
template <std::floating_point Real>
[[nodiscard]] discrete_schedule<Real> rescale_zero_terminal_snr(const discrete_schedule<Real>& schedule) {
  const int steps = schedule.steps();
  if (steps < 2) detail::invalid("steps", steps, "at least 2");
  const double first = schedule.level(1).alpha;
  const double last = schedule.level(steps).alpha;
  std::vector<double> alpha_bars(static_cast<std::size_t>(steps));
  for (int t = 1; t <= steps; ++t) {
    const double alpha = (schedule.level(t).alpha - last) * (first / (first - last));
    alpha_bars[static_cast<std::size_t>(t - 1)] = alpha * alpha;
  }
  return discrete_schedule<Real>::from_alpha_bars(alpha_bars);
}

}  // namespace diffusion
