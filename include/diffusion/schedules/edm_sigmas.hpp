#pragma once

#include <numbers>

#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

// The discretisations that Karras et al. 2022, table 1, compare. Their fourth, "edm", is karras_sigmas(n).

/// "vp": vp_sigmas whose process has σ(eps_s) = min and σ(1) = max.
[[nodiscard]] inline std::vector<double> edm_vp_sigmas(int n, sigma_range range, double eps_s = 1e-3) {
  detail::require_range(range);
  if (!(eps_s > 0 && eps_s < 1)) detail::invalid("eps_s", eps_s, "(0, 1)");
  const double low = std::log1p(range.min * range.min);
  const double high = std::log1p(range.max * range.max);
  const double beta_d = 2 * (high - low / eps_s) / (1 - eps_s);
  return vp_sigmas(n, {.beta_d = beta_d, .beta_min = high - beta_d / 2, .eps_s = eps_s});
}

/// "ve": σ² geometric from max² to min².
[[nodiscard]] inline std::vector<double> edm_ve_sigmas(int n, sigma_range range = {.min = 0.02, .max = 100}) {
  return exponential_sigmas(n, range);
}

struct iddpm_sigma_options {
  int M = 1000;        ///< steps of the cosine schedule
  double C_1 = 0.001;  ///< lower bound of ᾱ_(j-1)/ᾱ_j, in (0, 1)
  double C_2 = 0.008;  ///< offset of the cosine, > 0
};

/// The σ of the cosine schedule of Nichol & Dhariwal 2021: u_0 > u_1 > … > u_M = 0 (Karras et al. 2022, eq.
/// 165).
[[nodiscard]] inline std::vector<double> iddpm_sigma_table(iddpm_sigma_options options = {}) {
  if (options.M < 1) detail::invalid("M", options.M, "at least 1");
  if (!(options.C_1 > 0 && options.C_1 < 1)) detail::invalid("C_1", options.C_1, "(0, 1)");
  detail::require_positive("C_2", options.C_2);
  const auto alpha_bar = [&](int j) {
    const double sine = std::sin(std::numbers::pi / 2 * j / options.M / (options.C_2 + 1));
    return sine * sine;
  };
  std::vector<double> u(static_cast<std::size_t>(options.M) + 1, 0.0);
  for (int j = options.M; j > 0; --j) {
    const double kept = std::max(alpha_bar(j - 1) / alpha_bar(j), options.C_1);
    const double noisier = u[static_cast<std::size_t>(j)];
    u[static_cast<std::size_t>(j - 1)] = std::sqrt((noisier * noisier + 1) / kept - 1);
  }
  return u;
}

/// "iddpm": n entries evenly out of those of iddpm_sigma_table that lie in the range.
[[nodiscard]] inline std::vector<double> edm_iddpm_sigmas(int n,
                                                          sigma_range range = {.min = 0.002, .max = 81},
                                                          iddpm_sigma_options options = {}) {
  detail::require_range(range);
  std::vector<double> allowed;
  for (const double u : iddpm_sigma_table(options))
    if (u >= range.min && u <= range.max) allowed.push_back(u);
  const int count = static_cast<int>(allowed.size());
  if (n < 1 || n > count) detail::invalid("n", n, detail::text("[1, ", count, "], the entries in the range"));
  std::vector<double> sigmas;
  for (int i = 0; i < n; ++i) {
    const double position = n == 1 ? 0 : double(count - 1) / (n - 1) * i;
    sigmas.push_back(allowed[static_cast<std::size_t>(std::nearbyint(position))]);
  }
  return sigmas;
}

}  // namespace diffusion
