#pragma once

#include "diffusion/schedules/alpha_bar.hpp"
#include "diffusion/schedules/beta_range.hpp"

namespace diffusion {

namespace detail {
inline double logistic(double x) noexcept { return 1 / (1 + std::exp(-x)); }
}  // namespace detail

/// β_t = start + (end - start) · logistic(u), u from -6 to 6 (GeoDiff, Xu et al. 2022).
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> sigmoid_schedule(int steps, beta_range range = {}) {
  std::vector<double> betas = detail::linspace(-6, 6, steps);
  for (double& beta : betas) beta = detail::logistic(beta) * (range.end - range.start) + range.start;
  return discrete_schedule<Real>::from_betas(betas);
}

struct sigmoid_alpha_bar_options {
  double start = -3;
  double end = 3;
  double tau = 1;  ///< temperature, > 0
  double max_beta = 0.999;
};

/// ᾱ(u) ∝ logistic(end/τ) - logistic((start + u (end-start))/τ) (Jabri et al. 2022): another schedule called
/// "sigmoid".
template <std::floating_point Real = double>
[[nodiscard]] discrete_schedule<Real> sigmoid_alpha_bar_schedule(int steps,
                                                                 sigmoid_alpha_bar_options options = {}) {
  if (!(options.tau > 0)) detail::invalid("tau", options.tau, "(0, inf)");
  if (!(options.start < options.end)) detail::invalid("start", options.start, "below end");
  const double bottom = detail::logistic(options.end / options.tau);
  const auto f = [&](double u) {
    return bottom - detail::logistic((u * (options.end - options.start) + options.start) / options.tau);
  };
  return schedule_from_alpha_bar<Real>(steps, f, options.max_beta);
}

}  // namespace diffusion
