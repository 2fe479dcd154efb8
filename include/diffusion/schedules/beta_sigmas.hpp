#pragma once

#include "diffusion/detail/beta_quantile.hpp"
#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

/// σ from max to min, distributed like Beta(alpha, beta): below 1 the values crowd at both ends (Lee et al.
/// 2024, "Beta Sampling is All You Need"). Shapes in (0, 100].
[[nodiscard]] inline std::vector<double> beta_sigmas(int n, sigma_range range = {}, double alpha = 0.6,
                                                     double beta = 0.6) {
  detail::require_range(range);
  return detail::over_ramp(n, [=](double r) {
    return range.min + detail::beta_quantile(1 - r, alpha, beta) * (range.max - range.min);
  });
}

}  // namespace diffusion
