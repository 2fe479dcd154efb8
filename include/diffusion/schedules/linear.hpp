#pragma once

#include "diffusion/schedule.hpp"
#include "diffusion/schedules/beta_range.hpp"

namespace diffusion {

/// β_t linear in t (Ho et al. 2020). For T far from 1000 see rescaled_beta_range.
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> linear_schedule(int steps, beta_range range = {}) {
  return discrete_schedule<Real>::from_betas(detail::linspace(range.start, range.end, steps));
}

}  // namespace diffusion
