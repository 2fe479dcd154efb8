#pragma once

#include <algorithm>
#include <cmath>

#include "diffusion/schedule.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

namespace detail {

/// √(SNR_from / SNR_to) in [0, 1]: every coefficient of a step towards the data is a function of this ratio.
/// Zero at both special ends: α_from = 0 (zero terminal SNR) and σ_to = 0 (clean data).
inline double snr_ratio_root(noise_level from, noise_level to) {
  require_level("from", from);
  require_level("to", to);
  if (from.sigma == 0) invalid("from.sigma", from.sigma, "(0, inf): a step starts from noised data");
  if (to.alpha == 0) invalid("to.alpha", to.alpha, "(0, inf): a step leads towards the data");
  const double r = (from.alpha * to.sigma) / (to.alpha * from.sigma);
  if (!(r <= 1)) invalid("sqrt(SNR_from / SNR_to)", r, "[0, 1]: the step must not add noise");
  return r;
}

}  // namespace detail

/// q(x_to | x_from, x_0) = N(x · x_from + x0 · x_0, noise² I): the mean weights μ̃ and the standard deviation
/// √β̃ of the forward process posterior (Ho et al. 2020, eqs. 6, 7), for any two levels with SNR_to ≥
/// SNR_from, σ_from > 0, α_to > 0.
[[nodiscard]] inline step_coefficients posterior(noise_level from, noise_level to) {
  const double r = detail::snr_ratio_root(from, to);
  const double lost = (1 - r) * (1 + r);  // 1 - SNR_from/SNR_to
  return {.x = r * to.sigma / from.sigma, .x0 = to.alpha * lost, .noise = to.sigma * std::sqrt(lost)};
}

/// β̃ of q(x_to | x_from, x_0) ("fixed small"). Zero when `to` is clean.
[[nodiscard]] inline double posterior_variance(noise_level from, noise_level to) {
  const double r = detail::snr_ratio_root(from, to);
  return to.sigma * to.sigma * ((1 - r) * (1 + r));
}

/// Variance of q(x_from | x_to) = N(α_from/α_to · x_to, · I) ("fixed large"): β_t for one step of a discrete
/// schedule, 1 - ᾱ_from/ᾱ_to for a stride.
[[nodiscard]] inline double transition_variance(noise_level from, noise_level to) {
  const double r = detail::snr_ratio_root(from, to);
  return from.sigma * from.sigma * ((1 - r) * (1 + r));
}

/// log β̃, finite everywhere: a variance below `floor` (as at the last step, where β̃ = 0) counts as `floor` >
/// 0.
[[nodiscard]] inline double posterior_log_variance(noise_level from, noise_level to, double floor = 1e-20) {
  if (!(floor > 0)) detail::invalid("floor", floor, "(0, inf)");
  return std::log(std::max(posterior_variance(from, to), floor));
}

/// log β̃_t of a discrete schedule, t in 1 … T, with β̃_1 = 0 replaced by β̃_2 (Ho et al. 2020, code), or by β_1
/// if T = 1.
template <std::floating_point Real>
[[nodiscard]] double posterior_log_variance(const discrete_schedule<Real>& schedule, int t) {
  const double beta = schedule.beta(t);
  if (schedule.steps() == 1) return std::log(beta);
  const int from = t == 1 ? 2 : t;
  return std::log(posterior_variance(schedule.level(from), schedule.level(from - 1)));
}

}  // namespace diffusion
