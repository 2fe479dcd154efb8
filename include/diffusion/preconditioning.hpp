#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <functional>
#include <vector>

#include "diffusion/prediction.hpp"
#include "diffusion/schedules/edm_sigmas.hpp"

namespace diffusion {

/// How a denoiser is made of a network F of scaled input and output: x̂0 = c_skip y + c_out F(c_in y;
/// c_noise), y = x_0 + σ n (Karras et al. 2022, eq. 7). Here σ is noise_to_signal and y = x_t/α.
struct preconditioning {
  double c_skip = 0;
  double c_out = 1;
  double c_in = 1;
  double c_noise = 0;
};

/// The target of F: x0 · x_0 + epsilon · n, so that ‖x̂0 - x_0‖² = c_out² ‖F - target‖².
[[nodiscard]] inline target_weights training_target(const preconditioning& c, double sigma) noexcept {
  return {(1 - c.c_skip) / c.c_out, -c.c_skip * sigma / c.c_out};
}

/// The coefficients at σ in (0, inf).
template <class P>
concept Preconditioning = requires(const P& p, double sigma) {
  { p(sigma) } -> std::same_as<preconditioning>;
};

namespace detail {
/// F = n, from a state that has unit variance if the data have.
inline preconditioning of_noise(double sigma, double c_noise) {
  return {.c_skip = 1, .c_out = -sigma, .c_in = 1 / std::hypot(1, sigma), .c_noise = c_noise};
}
}  // namespace detail

/// EDM: input and target of F have unit variance for data of deviation σ_d, and errors of F are amplified
/// least. Loss weights: edm_weights, noise: log_normal_sigmas.
struct edm_preconditioning {
  double sigma_data = 0.5;
  [[nodiscard]] preconditioning operator()(double sigma) const {
    detail::require_positive("sigma", sigma);
    detail::require_positive("sigma_data", sigma_data);
    const double total = std::hypot(sigma, sigma_data);
    const double kept = sigma_data / total;
    return {.c_skip = kept * kept, .c_out = sigma * kept, .c_in = 1 / total, .c_noise = std::log(sigma) / 4};
  }
};

/// Variance preserving networks of ε (Song et al. 2021): F = n, c_noise = (M-1) t with t the time of σ in the
/// process of vp_sigmas.
struct vp_preconditioning {
  double beta_d = 19.9;   ///< β_max - β_min, [0, inf)
  double beta_min = 0.1;  ///< (0, inf)
  int M = 1000;           ///< steps that the network was trained on
  [[nodiscard]] preconditioning operator()(double sigma) const {
    detail::require_positive("sigma", sigma);
    detail::require_vp_range(beta_d, beta_min);
    if (M < 1) detail::invalid("M", M, "at least 1");
    return detail::of_noise(sigma, (M - 1) * detail::vp_time(sigma, beta_d, beta_min));
  }
};

/// Variance exploding networks of σ times the score (Song et al. 2021): F = -n.
struct ve_preconditioning {
  [[nodiscard]] preconditioning operator()(double sigma) const {
    detail::require_positive("sigma", sigma);
    return {.c_skip = 1, .c_out = sigma, .c_in = 1, .c_noise = std::log(sigma / 2)};
  }
};

/// Networks of ε trained on the M steps of a cosine schedule (Nichol & Dhariwal 2021): F = n, c_noise = M - 1
/// - j with u_j the entry of iddpm_sigma_table nearest to σ, clean data left out.
class iddpm_preconditioning {
 public:
  explicit iddpm_preconditioning(iddpm_sigma_options options = {}) : u_(iddpm_sigma_table(options)) {}

  [[nodiscard]] preconditioning operator()(double sigma) const {
    detail::require_positive("sigma", sigma);
    return detail::of_noise(sigma, static_cast<double>(u_.size()) - 2 - static_cast<double>(nearest(sigma)));
  }

  /// The entry of the table nearest to σ: where the network is at home.
  [[nodiscard]] double round(double sigma) const {
    detail::require_positive("sigma", sigma);
    return u_[nearest(sigma)];
  }

 private:
  [[nodiscard]] std::size_t nearest(double sigma) const {
    const auto end = u_.end() - 1;  // u_M = 0
    const auto below = std::lower_bound(u_.begin(), end, sigma, std::greater<>());
    const auto j = static_cast<std::size_t>(below - u_.begin());
    if (below == end) return j - 1;
    return j == 0 || sigma - u_[j] < u_[j - 1] - sigma ? j : j - 1;
  }

  std::vector<double> u_;  // falling
};

}  // namespace diffusion
