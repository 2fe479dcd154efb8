#pragma once

#include <array>

#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

/// Networks for which Sabour et al. 2024 publish optimised lists of σ.
enum class aligned_for { stable_diffusion_1, sdxl, stable_video };

namespace detail {

/// The 10-step lists of Sabour et al. 2024, with the σ_min of the network at the end.
[[nodiscard]] inline const std::array<double, 11>& aligned_table(aligned_for network) {
  static constexpr std::array<double, 11> stable_diffusion_1{
      14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
      0.9642583904,  0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582};
  static constexpr std::array<double, 11> sdxl{14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769,
                                               1.3405244945,  0.8620721141, 0.5550693289, 0.3798540708,
                                               0.2332364134,  0.1114188177, 0.0291671582};
  static constexpr std::array<double, 11> stable_video{700.00, 54.5,  15.886, 7.977, 4.248, 1.789,
                                                       0.981,  0.403, 0.173,  0.034, 0.002};
  switch (network) {
    case aligned_for::stable_diffusion_1:
      return stable_diffusion_1;
    case aligned_for::sdxl:
      return sdxl;
    case aligned_for::stable_video:
      return stable_video;
  }
  invalid("aligned_for", static_cast<int>(network), "stable_diffusion_1, sdxl, stable_video");
}

}  // namespace detail

/// The n σ of "Align Your Steps" (Sabour et al. 2024): the published list for n = 10, otherwise ln σ
/// interpolated linearly through it, its end σ_min being value n + 1. Append 0 with with_final, as the
/// authors do.
[[nodiscard]] inline std::vector<double> aligned_sigmas(int n, aligned_for network) {
  if (n < 1) detail::invalid("n", n, "at least 1");
  const auto& table = detail::aligned_table(network);
  std::vector<double> sigmas;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto before = static_cast<std::size_t>(i * 10 / n);
    const std::int64_t rest = i * 10 % n;
    const double low = std::log(table[before]);
    const double high = std::log(table[before + 1]);
    sigmas.push_back(rest == 0 ? table[before]
                               : std::exp(std::lerp(low, high, static_cast<double>(rest) / n)));
  }
  return sigmas;
}

}  // namespace diffusion
