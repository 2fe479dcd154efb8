#pragma once

#include <numbers>

#include "diffusion/run_path.hpp"

namespace diffusion {

/// TrigFlow (Lu & Song 2025): x = cos t · x_0 + sin t · σ_d ε, t from 0 to π/2, where σ_d is the standard
/// deviation of the data. (SCM / Sana-Sprint; its runs start at t = 1.57 or so.)
struct trigflow_schedule {
  using time_type = double;
  double sigma_data = 0.5;
  [[nodiscard]] noise_level level(double t) const {
    // A little more than π/2 is allowed: peers write 1.5708.
    if (!(t >= 0 && t <= 1.5708)) detail::invalid("t", t, "[0, pi/2]");
    return {std::max(std::cos(t), 0.0), std::sin(t) * sigma_data};
  }
  [[nodiscard]] time_point<double> find(double noise_to_signal) const {
    if (!(noise_to_signal >= 0)) detail::invalid("sigma / alpha", noise_to_signal, "[0, inf]");
    const double t = std::atan(noise_to_signal / sigma_data);
    return {t, level(t)};
  }
};

}  // namespace diffusion
