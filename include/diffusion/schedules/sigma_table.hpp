#pragma once

#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

/// Variance exploding process over steps t = 1 … T with given σ_1 < … < σ_T; t = 0 is clean data (Song &
/// Ermon 2019).
class sigma_table {
 public:
  using time_type = int;

  explicit sigma_table(std::vector<double> ascending_sigmas) : sigmas_(std::move(ascending_sigmas)) {
    if (sigmas_.empty()) detail::invalid("steps", 0, "at least 1");
    for (std::size_t i = 0; i < sigmas_.size(); ++i) {
      const double previous = i == 0 ? 0 : sigmas_[i - 1];
      if (!(sigmas_[i] > previous && std::isfinite(sigmas_[i])))
        detail::invalid(detail::text("sigma_", i + 1), sigmas_[i],
                        detail::text("(", previous, ", inf), increasing"));
    }
  }

  /// T.
  [[nodiscard]] int steps() const noexcept { return static_cast<int>(sigmas_.size()); }

  /// Level of step t in 0 … T.
  [[nodiscard]] noise_level level(int t) const {
    if (t < 0 || t > steps()) detail::invalid("t", t, detail::text("[0, ", steps(), "]"));
    return {1, t == 0 ? 0 : sigmas_[static_cast<std::size_t>(t - 1)]};
  }

 private:
  std::vector<double> sigmas_;
};

/// ln σ linear in t (smalldiffusion's log-linear schedule).
[[nodiscard]] inline sigma_table log_linear_sigma_table(int steps, sigma_range range) {
  std::vector<double> sigmas = exponential_sigmas(steps, range);
  std::reverse(sigmas.begin(), sigmas.end());
  return sigma_table(std::move(sigmas));
}

}  // namespace diffusion
