#pragma once

#include "diffusion/schedules/log_snr.hpp"

namespace diffusion {

/// The cosine schedule in continuous time, bounded, and shifted so that an image of `image_size` pixels a
/// side is noised like one of `clean_size` near t = 0 and of `noisy_size` near t = 1 (Hoogeboom et al. 2023,
/// "simple diffusion"):
///   log SNR(t) = -2 ln tan(t_min + t (t_max - t_min)) + 2 ln(clean_size^(1-t) noisy_size^t / image_size).
/// All sizes equal: no shift. Equal clean and noisy size: the shifted schedule; otherwise the interpolated
/// one.
struct shifted_cosine_schedule {
  using time_type = double;
  double image_size = 64;
  double clean_size = 64;    ///< > 0
  double noisy_size = 64;    ///< > 0, at most clean_size, so that the SNR falls
  double min_log_snr = -15;  ///< before the shift
  double max_log_snr = 15;   ///< before the shift

  [[nodiscard]] double log_snr(double t) const {
    detail::require_unit_time(t);
    if (!(image_size > 0)) detail::invalid("image_size", image_size, "(0, inf)");
    if (!(clean_size > 0)) detail::invalid("clean_size", clean_size, "(0, inf)");
    if (!(noisy_size > 0 && noisy_size <= clean_size))
      detail::invalid("noisy_size", noisy_size, detail::text("(0, ", clean_size, "]"));
    if (!(min_log_snr < max_log_snr)) detail::invalid("min_log_snr", min_log_snr, "below max_log_snr");
    const double low = std::atan(std::exp(-max_log_snr / 2));
    const double high = std::atan(std::exp(-min_log_snr / 2));
    const double shift = std::lerp(std::log(clean_size / image_size), std::log(noisy_size / image_size), t);
    return 2 * (shift - std::log(std::tan(std::lerp(low, high, t))));
  }
  [[nodiscard]] noise_level level(double t) const { return vp_level_from_log_snr(log_snr(t)); }
};

}  // namespace diffusion
