#pragma once

#include <algorithm>
#include <numbers>

#include "diffusion/noise_level.hpp"

namespace diffusion {

/// Continuous-time variance preserving schedules: t in [0, 1] to log SNR.

namespace detail {
inline void require_unit_time(double t) {
  if (!(t >= 0 && t <= 1)) invalid("t", t, "[0, 1]");
}
}  // namespace detail

/// log SNR(t) = -ln(exp(1e-4 + 10 t²) - 1) (Kingma et al. 2021, Variational Diffusion Models, as used by
/// Imagen).
struct linear_log_snr_schedule {
  using time_type = double;
  [[nodiscard]] double log_snr(double t) const {
    detail::require_unit_time(t);
    return -std::log(std::expm1(1e-4 + 10 * t * t));
  }
  [[nodiscard]] noise_level level(double t) const { return vp_level_from_log_snr(log_snr(t)); }
};

/// log SNR(t) = -ln(max(cos⁻²(π/2 · (t+s)/(1+s)) - 1, 1e-5)) (Nichol & Dhariwal 2021, in continuous time).
struct cosine_log_snr_schedule {
  using time_type = double;
  double s = 0.008;
  [[nodiscard]] double log_snr(double t) const {
    detail::require_unit_time(t);
    const double tangent = std::tan(std::numbers::pi / 2 * (t + s) / (1 + s));
    return -std::log(std::max(tangent * tangent, 1e-5));
  }
  [[nodiscard]] noise_level level(double t) const { return vp_level_from_log_snr(log_snr(t)); }
};

}  // namespace diffusion
