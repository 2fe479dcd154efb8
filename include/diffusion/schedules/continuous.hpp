#pragma once

#include <limits>

#include "diffusion/run_path.hpp"
#include "diffusion/schedules/sigma_table.hpp"

namespace diffusion {

/// What is linear between the steps of a table, where σ is noise_to_signal.
enum class interpolation { log_sigma, sigma };

/// A discrete schedule at every real time t in [1, T], and clean data at t = 0. find() inverts it linearly in
/// ln σ.
class continuous_schedule {
 public:
  using time_type = double;

  continuous_schedule(const discrete_schedule<>& schedule, interpolation between, double terminal_alpha_bar)
      : between_(between), level_at_(variance_preserving) {
    if (!(terminal_alpha_bar >= 0 && terminal_alpha_bar < 1))
      detail::invalid("terminal_alpha_bar", terminal_alpha_bar, "[0, 1)");
    fill(schedule);
    const std::size_t last = levels_.size() - 1;
    if (levels_[last].alpha == 0 && terminal_alpha_bar > 0)
      levels_[last] = vp_level_from_alpha_bar(terminal_alpha_bar);
    if (levels_[last].alpha == 0)
      detail::invalid("alpha_bar_T", 0, "(0, 1) to interpolate sigma: see terminal_alpha_bar");
    fill_logarithms();
  }

  continuous_schedule(const sigma_table& schedule, interpolation between)
      : between_(between), level_at_(variance_exploding) {
    fill(schedule);
    fill_logarithms();
  }

  /// T.
  [[nodiscard]] int steps() const noexcept { return static_cast<int>(levels_.size()) - 1; }

  /// Level of time t: 0, or from 1 to T.
  [[nodiscard]] noise_level level(double t) const {
    if (!((t >= 1 && t <= steps()) || t == 0))
      detail::invalid("t", t, detail::text("0 or [1, ", steps(), "]"));
    const auto before = static_cast<std::size_t>(t);
    const double rest = t - static_cast<double>(before);
    if (rest == 0) return levels_[before];
    if (between_ == interpolation::log_sigma)
      return level_at_(std::exp(std::lerp(log_sigmas_[before], log_sigmas_[before + 1], rest)));
    return level_at_(std::lerp(noise_to_signal(levels_[before]), noise_to_signal(levels_[before + 1]), rest));
  }

  /// The level with exactly this σ/α; its time is limited to [1, T], 0 for clean data.
  [[nodiscard]] time_point<double> find(double noise_to_signal) const {
    if (!(noise_to_signal >= 0)) detail::invalid("sigma / alpha", noise_to_signal, "[0, inf]");
    if (noise_to_signal == 0) return {0, {1, 0}};
    const double log_sigma = std::log(noise_to_signal);
    const auto above = std::upper_bound(log_sigmas_.begin() + 1, log_sigmas_.end(), log_sigma);
    const auto index = static_cast<std::size_t>(above - log_sigmas_.begin());
    double t = static_cast<double>(std::max<std::size_t>(index, 2) - 1);
    if (index > 1 && above != log_sigmas_.end())
      t += (log_sigma - log_sigmas_[index - 1]) / (log_sigmas_[index] - log_sigmas_[index - 1]);
    return {t, level_at_(noise_to_signal)};
  }

 private:
  static noise_level variance_preserving(double sigma) {
    return {1 / std::sqrt(1 + sigma * sigma), 1 / std::sqrt(1 + 1 / (sigma * sigma))};
  }
  static noise_level variance_exploding(double sigma) { return {1, sigma}; }

  void fill(const auto& schedule) {
    for (int t = 0; t <= schedule.steps(); ++t) levels_.push_back(schedule.level(t));
  }
  void fill_logarithms() {
    for (const noise_level& level : levels_) log_sigmas_.push_back(-half_log_snr(level));
  }

  interpolation between_;
  noise_level (*level_at_)(double sigma);
  std::vector<noise_level> levels_;  // of t = 0 … T
  std::vector<double> log_sigmas_;   // -∞ at t = 0
};

/// The schedule between its steps. The default is linear in ln σ, as in k-diffusion; diffusers reads
/// fractional times linearly in σ but, like find(), inverts in ln σ. A schedule of zero terminal SNR has no
/// σ_T: `terminal_alpha_bar` > 0 replaces its ᾱ_T (diffusers: 0x1p-24, which is σ = 4096).
[[nodiscard]] inline continuous_schedule continuous(const discrete_schedule<>& schedule,
                                                    interpolation between = interpolation::log_sigma,
                                                    double terminal_alpha_bar = 0) {
  return {schedule, between, terminal_alpha_bar};
}
[[nodiscard]] inline continuous_schedule continuous(const sigma_table& schedule,
                                                    interpolation between = interpolation::log_sigma) {
  return {schedule, between};
}

}  // namespace diffusion
