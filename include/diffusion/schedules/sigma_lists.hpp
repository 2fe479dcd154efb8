#pragma once

#include "diffusion/schedule.hpp"
#include "diffusion/time_grid.hpp"

namespace diffusion {

// Lists of σ = noise_to_signal for a run, descending. Each function returns the n values at which the network
// is asked; with_final appends the end of the run. run_path(schedule, list) makes a path of them.

/// Ends of a list of σ, 0 < min ≤ max. The defaults are those of Karras et al. 2022 for images.
struct sigma_range {
  double min = 0.002;
  double max = 80;
};

/// The list and then the end of the run: 0 is clean data.
[[nodiscard]] inline std::vector<double> with_final(std::vector<double> sigmas, double final_sigma = 0) {
  if (!(final_sigma >= 0 && std::isfinite(final_sigma)))
    detail::invalid("final_sigma", final_sigma, "[0, inf)");
  sigmas.push_back(final_sigma);
  return sigmas;
}

/// The σ of a run over the times of a grid, its end included.
template <NoiseSchedule Schedule>
[[nodiscard]] std::vector<double> sigmas_of(const Schedule& schedule,
                                            const basic_time_grid<typename Schedule::time_type>& grid) {
  std::vector<double> sigmas;
  for (const auto& step : grid) sigmas.push_back(noise_to_signal(schedule.level(step.from)));
  sigmas.push_back(noise_to_signal(schedule.level(grid[grid.size() - 1].to)));
  return sigmas;
}

namespace detail {

inline void require_range(sigma_range range) {
  require_positive("sigma_range.max", range.max);
  if (!(range.min > 0 && range.min <= range.max))
    invalid("sigma_range.min", range.min, text("(0, ", range.max, "]"));
}

inline void require_rho(double rho) { require_positive("rho", rho); }

/// f(r) for r = 0, 1/(n-1), …, 1; a single value is f(0).
template <class F>
[[nodiscard]] std::vector<double> over_ramp(int n, F f) {
  std::vector<double> values = linspace(0, 1, n);
  for (double& value : values) value = f(value);
  return values;
}

}  // namespace detail

/// σ^(1/ρ) uniform from max to min (Karras et al. 2022, eq. 5).
[[nodiscard]] inline std::vector<double> karras_sigmas(int n, sigma_range range = {}, double rho = 7) {
  detail::require_range(range);
  detail::require_rho(rho);
  const double low = std::pow(range.min, 1 / rho);
  const double high = std::pow(range.max, 1 / rho);
  return detail::over_ramp(n, [=](double r) { return std::pow(high + r * (low - high), rho); });
}

/// ln σ = ln min + (1-r)^ρ ln(max/min), r from 0 to 1: ρ > 1 spends more values near min.
[[nodiscard]] inline std::vector<double> polyexponential_sigmas(int n, sigma_range range = {},
                                                                double rho = 1) {
  detail::require_range(range);
  detail::require_rho(rho);
  const double low = std::log(range.min);
  const double length = std::log(range.max) - low;
  return detail::over_ramp(n, [=](double r) { return std::exp(low + std::pow(1 - r, rho) * length); });
}

/// ln σ uniform from max to min, so also λ = -ln σ uniform (Lu et al. 2022, DPM-Solver: "lambda uniform",
/// "lu"; the geometric list of Song & Ermon 2019).
[[nodiscard]] inline std::vector<double> exponential_sigmas(int n, sigma_range range = {}) {
  return polyexponential_sigmas(n, range);
}

/// arctan σ uniform from max to min: optimal for data of unit variance (Sabour et al. 2024, theorem 3.1, "KL
/// optimal").
[[nodiscard]] inline std::vector<double> kl_optimal_sigmas(int n, sigma_range range = {}) {
  detail::require_range(range);
  const double low = std::atan(range.min);
  const double high = std::atan(range.max);
  return detail::over_ramp(n, [=](double r) { return std::tan(high + r * (low - high)); });
}

/// The variance preserving process of Song et al. 2021 in continuous time: σ(t)² = exp(β_d t²/2 + β_min t)
/// - 1.
struct vp_sigma_options {
  double beta_d = 19.9;   ///< β_max - β_min, ≥ 0
  double beta_min = 0.1;  ///< > 0
  double eps_s = 1e-3;    ///< the last time, in (0, 1]
};

namespace detail {

inline void require_vp_range(double beta_d, double beta_min) {
  if (!(beta_d >= 0 && std::isfinite(beta_d))) invalid("beta_d", beta_d, "[0, inf)");
  require_positive("beta_min", beta_min);
}

/// The t of that process where it has this σ; of β_min < 0, where there may be two, the later.
[[nodiscard]] inline double vp_time(double sigma, double beta_d, double beta_min) {
  const double exponent = std::log1p(sigma * sigma);
  const double root = std::sqrt(beta_min * beta_min + 2 * beta_d * exponent);
  return beta_min > 0 ? 2 * exponent / (root + beta_min) : (root - beta_min) / beta_d;
}

}  // namespace detail

/// σ(t) at t uniform from 1 to eps_s.
[[nodiscard]] inline std::vector<double> vp_sigmas(int n, vp_sigma_options options = {}) {
  const auto [beta_d, beta_min, eps_s] = options;
  detail::require_vp_range(beta_d, beta_min);
  if (!(eps_s > 0 && eps_s <= 1)) detail::invalid("eps_s", eps_s, "(0, 1]");
  std::vector<double> values = detail::linspace(1, eps_s, n);
  for (double& t : values) t = std::sqrt(std::expm1(t * (beta_d * t / 2 + options.beta_min)));
  return values;
}

}  // namespace diffusion
