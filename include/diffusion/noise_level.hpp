#pragma once

#include <cmath>
#include <string_view>

#include "diffusion/detail/error.hpp"

namespace diffusion {

/// The marginal q(x_t | x_0) = N(alpha x_0, sigma² I): x_t = alpha x_0 + sigma ε.
/// Variance preserving: √ᾱ, √(1-ᾱ). Variance exploding: 1, σ. Rectified flow: 1-s, s. Clean data: 1, 0.
struct noise_level {
  double alpha = 1;
  double sigma = 0;
  friend bool operator==(const noise_level&, const noise_level&) = default;
};

/// Signal-to-noise ratio α²/σ²; infinite for clean data.
[[nodiscard]] inline double snr(noise_level level) noexcept {
  const double ratio = level.alpha / level.sigma;
  return ratio * ratio;
}

/// λ = log(α/σ), half the log of the SNR (DPM-Solver, Lu et al. 2022).
[[nodiscard]] inline double half_log_snr(noise_level level) noexcept {
  return std::log(level.alpha) - std::log(level.sigma);
}

/// σ/α: the σ of EDM (Karras et al. 2022) and of k-diffusion.
[[nodiscard]] inline double noise_to_signal(noise_level level) noexcept { return level.sigma / level.alpha; }

/// The variance preserving level with the given log(α²/σ²), from -∞ to +∞.
[[nodiscard]] inline noise_level vp_level_from_log_snr(double log_snr) noexcept {
  return {std::sqrt(1 / (1 + std::exp(-log_snr))), std::sqrt(1 / (1 + std::exp(log_snr)))};
}

/// The variance preserving level with signal power ᾱ in [0, 1].
[[nodiscard]] inline noise_level vp_level_from_alpha_bar(double alpha_bar) {
  if (!(alpha_bar >= 0 && alpha_bar <= 1)) detail::invalid("alpha_bar", alpha_bar, "[0, 1]");
  return {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)};
}

namespace detail {

inline void require_level(std::string_view symbol, noise_level level) {
  const auto refuse = [&](const char* member, double value, const char* allowed) {
    invalid(text(symbol, member), value, allowed);
  };
  if (!(level.alpha >= 0 && std::isfinite(level.alpha))) refuse(".alpha", level.alpha, "[0, inf)");
  if (!(level.sigma >= 0 && std::isfinite(level.sigma))) refuse(".sigma", level.sigma, "[0, inf)");
  if (level.alpha == 0 && level.sigma == 0) refuse(".sigma", level.sigma, "(0, inf) where alpha = 0");
}

}  // namespace detail
}  // namespace diffusion
