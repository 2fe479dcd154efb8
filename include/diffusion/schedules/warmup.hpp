#pragma once

#include "diffusion/schedule.hpp"
#include "diffusion/schedules/beta_range.hpp"

namespace diffusion {

/// β linear from start to end over the first ⌊fraction · T⌋ steps, then constant (Ho et al. 2020, code:
/// "warmup10" is 0.1, "warmup50" 0.5). `fraction` in [0, 1].
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> warmup_schedule(int steps, double fraction, beta_range range = {}) {
  if (!(fraction >= 0 && fraction <= 1)) detail::invalid("fraction", fraction, "[0, 1]");
  std::vector<double> betas = detail::linspace(range.end, range.end, steps);
  const int ramp_steps = static_cast<int>(steps * fraction);
  if (ramp_steps > 0) {
    const std::vector<double> ramp = detail::linspace(range.start, range.end, ramp_steps);
    std::copy(ramp.begin(), ramp.end(), betas.begin());
  }
  return discrete_schedule<Real>::from_betas(betas);
}

}  // namespace diffusion
