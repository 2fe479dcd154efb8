#pragma once

#include "diffusion/schedule.hpp"

namespace diffusion {

/// The same β at every step, in (0, 1).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> constant_schedule(int steps, double beta = 0.02) {
  return discrete_schedule<Real>::from_betas(detail::linspace(beta, beta, steps));
}

}  // namespace diffusion
