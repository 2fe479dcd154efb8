#pragma once

#include "diffusion/schedule.hpp"
#include "diffusion/schedules/beta_range.hpp"

namespace diffusion {

/// √β_t linear in t (Song et al. 2021, DDIM).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> quadratic_schedule(int steps, beta_range range = {}) {
  std::vector<double> betas = detail::linspace(std::sqrt(range.start), std::sqrt(range.end), steps);
  for (double& beta : betas) beta *= beta;
  return discrete_schedule<Real>::from_betas(betas);
}

/// The quadratic schedule under the name and with the range of latent diffusion (Rombach et al. 2022).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> scaled_linear_schedule(int steps, beta_range range = {0.00085, 0.012}) {
  return quadratic_schedule<Real>(steps, range);
}

}  // namespace diffusion
