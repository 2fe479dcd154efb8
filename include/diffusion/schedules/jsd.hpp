#pragma once

#include "diffusion/schedule.hpp"

namespace diffusion {

/// β_t = 1/(T-t+1): 1/T, 1/(T-1), …, 1, so that ᾱ_t = 1 - t/T (Sohl-Dickstein et al. 2015). Ends at zero SNR.
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> jsd_schedule(int steps) {
  if (steps < 1) detail::invalid("steps", steps, "at least 1");
  std::vector<double> betas(static_cast<std::size_t>(steps));
  for (int t = 1; t <= steps; ++t) betas[static_cast<std::size_t>(t - 1)] = 1.0 / (steps - t + 1);
  return discrete_schedule<Real>::from_betas(betas);
}

}  // namespace diffusion
