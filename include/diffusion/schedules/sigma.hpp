#pragma once

#include "diffusion/run_path.hpp"

namespace diffusion {

/// Variance exploding process whose time is σ itself: x = x_0 + σ ε (Karras et al. 2022). Lists of σ for it:
/// sigma_lists.hpp.
struct sigma_schedule {
  using time_type = double;
  [[nodiscard]] noise_level level(double sigma) const {
    if (!(sigma >= 0 && std::isfinite(sigma))) detail::invalid("sigma", sigma, "[0, inf)");
    return {1, sigma};
  }
  [[nodiscard]] time_point<double> find(double noise_to_signal) const {
    return {noise_to_signal, level(noise_to_signal)};
  }
};

}  // namespace diffusion
