#pragma once

#include <cmath>

#include "diffusion/detail/normal_quantile.hpp"
#include "diffusion/schedules/shifted_cosine.hpp"
#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

// Distributions of σ for training, by their quantile functions: σ(u) for u uniform in (0, 1), so that the
// caller's u may be stratified over a batch. The two log-normal ones also take a standard normal draw.

namespace detail {
inline void require_unit(double u) {
  if (!(u >= 0 && u <= 1)) invalid("u", u, "[0, 1]");
}
}  // namespace detail

/// ln σ = loc + scale z, z ~ N(0, 1) (Karras et al. 2022, table 1).
struct log_normal_sigmas {
  double loc = -1.2;
  double scale = 1.2;
  [[nodiscard]] double of_normal(double z) const { return std::exp(loc + scale * z); }
  [[nodiscard]] double operator()(double u) const { return of_normal(detail::normal_quantile(u)); }
};

/// ln σ uniform.
struct log_uniform_sigmas {
  sigma_range range{};
  [[nodiscard]] double operator()(double u) const {
    detail::require_range(range);
    detail::require_unit(u);
    return std::exp(std::lerp(std::log(range.min), std::log(range.max), u));
  }
};

/// ln σ logistic about loc, cut off at the ends of the range.
struct log_logistic_sigmas {
  double loc = 0;
  double scale = 1;
  sigma_range range{};
  [[nodiscard]] double operator()(double u) const {
    detail::require_range(range);
    detail::require_positive("scale", scale);
    detail::require_unit(u);
    const auto cdf = [&](double sigma) { return 1 / (1 + std::exp((loc - std::log(sigma)) / scale)); };
    const double p = std::lerp(cdf(range.min), cdf(range.max), u);
    return std::exp(loc + scale * (std::log(p) - std::log1p(-p)));
  }
};

/// arctan(σ/σ_d) uniform, as for v prediction over the quarter circle (Salimans & Ho 2022).
struct v_diffusion_sigmas {
  double sigma_data = 1;
  sigma_range range{};
  [[nodiscard]] double operator()(double u) const {
    detail::require_range(range);
    detail::require_positive("sigma_data", sigma_data);
    detail::require_unit(u);
    return sigma_data *
           std::tan(std::lerp(std::atan(range.min / sigma_data), std::atan(range.max / sigma_data), u));
  }
};

/// The interpolated shifted cosine schedule of Hoogeboom et al. 2023 in σ = σ_d SNR^(-1/2), but noisy at u =
/// 0 and, other than shifted_cosine_schedule, within the same range whatever the shift (k-diffusion). With
/// both sizes equal to image_size it is v_diffusion_sigmas backwards.
struct shifted_cosine_sigmas {
  double image_size = 64;
  double noisy_size = 64;  ///< the size whose noise u = 0 has
  double clean_size = 64;
  double sigma_data = 1;
  sigma_range range{.min = 1e-3, .max = 1e3};
  [[nodiscard]] double operator()(double u) const {
    detail::require_range(range);
    detail::require_positive("sigma_data", sigma_data);
    detail::require_unit(u);
    const double clean = -2 * std::log(range.min / sigma_data);
    const double noisy = -2 * std::log(range.max / sigma_data);
    const auto log_snr = [&](double size) {
      const double shift = 2 * std::log(size / image_size);
      return shifted_cosine_schedule{image_size, size, size, noisy - shift, clean - shift}.log_snr(1 - u);
    };
    return sigma_data * std::exp(-std::lerp(log_snr(noisy_size), log_snr(clean_size), u) / 2);
  }
};

/// ln σ normal with another deviation below loc than above, continuous there.
struct split_log_normal_sigmas {
  double loc = 0;
  double scale_below = 1;
  double scale_above = 1;
  /// From the sign, decided by u uniform in (0, 1), and the magnitude of z ~ N(0, 1).
  [[nodiscard]] double of_normal(double z, double u) const {
    detail::require_positive("scale_below", scale_below);
    detail::require_positive("scale_above", scale_above);
    detail::require_unit(u);
    const bool below = u < scale_below / (scale_below + scale_above);
    return std::exp(loc + std::abs(z) * (below ? -scale_below : scale_above));
  }
};

}  // namespace diffusion
