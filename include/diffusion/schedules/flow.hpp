#pragma once

#include <optional>

#include "diffusion/compat.hpp"
#include "diffusion/run_path.hpp"

namespace diffusion {

/// Rectified flow (Liu et al. 2023, Lipman et al. 2023): x = (1-s) x_0 + s ε. Time is s · time_scale, 1 for
/// pure noise by default; networks of diffusers are told 1000 s.
struct flow_schedule {
  using time_type = double;
  double time_scale = 1;
  [[nodiscard]] noise_level level(double t) const {
    const double s = t / time_scale;
    if (!(s >= 0 && s <= 1)) detail::invalid("t", t, detail::text("[0, ", time_scale, "]"));
    return {1 - s, s};
  }
  [[nodiscard]] time_point<double> find(double noise_to_signal) const {
    if (!(noise_to_signal >= 0)) detail::invalid("sigma / alpha", noise_to_signal, "[0, inf]");
    const double s = 1 / (1 + 1 / noise_to_signal);
    return {s * time_scale, {1 / (1 + noise_to_signal), s}};
  }
};

/// σ/α multiplied by `shift` > 0: s → shift s / (1 + (shift-1) s). Larger images need more noise to lose as
/// much (Esser et al. 2024, eq. 23).
[[nodiscard]] inline double flow_shift(double s, double shift) {
  detail::require_positive("shift", shift);
  if (!(s >= 0 && s <= 1)) detail::invalid("s", s, "[0, 1]");
  return shift * s / (shift * s + (1 - s));
}

/// The dynamic shift of FLUX for an image of so many tokens: flow_shift(s, exp(μ)), μ linear in the number of
/// tokens through two given points. (diffusers' time_shift_type "linear" takes μ itself for the shift.)
struct flow_dynamic_shift {
  double base_tokens = 256;
  double max_tokens = 4096;
  double base_mu = 0.5;
  double max_mu = 1.15;
  [[nodiscard]] double mu(double tokens) const {
    if (!(base_tokens < max_tokens)) detail::invalid("base_tokens", base_tokens, "below max_tokens");
    return base_mu + (tokens - base_tokens) * ((max_mu - base_mu) / (max_tokens - base_tokens));
  }
  [[nodiscard]] double shift(double tokens) const { return std::exp(mu(tokens)); }
};

struct flow_times_options {
  double shift = 1;                  ///< > 0, see flow_shift
  std::optional<double> last{};      ///< the last value before the shift, in (0, 1]; 1/n if not given
  std::optional<double> terminal{};  ///< 1 - s is stretched so that this becomes the last value, in (0, 1)
};

/// n values of s, from 1 down: uniform, then shifted, then stretched. The default is 1, 1 - 1/n, …, 1/n
/// before the shift, as FLUX has it. (diffusers' flow matching schedulers have 1/1000 for the last, and shift
/// it twice: last = flow_shift(0.001, shift).)
[[nodiscard]] inline std::vector<double> flow_times(int n, flow_times_options options = {}) {
  if (n < 1) detail::invalid("n", n, "at least 1");
  const double last = options.last.value_or(1.0 / n);
  if (!(last > 0 && last <= 1)) detail::invalid("last", last, "(0, 1]");
  if (options.terminal && !(*options.terminal > 0 && *options.terminal < 1))
    detail::invalid("terminal", *options.terminal, "(0, 1)");
  std::vector<double> values = detail::linspace(1, last, n);
  for (double& s : values) s = flow_shift(s, options.shift);
  if (options.terminal && n > 1) {
    const double stretch = (1 - *options.terminal) / (1 - values.back());
    for (double& s : values) s = 1 - (1 - s) * stretch;
  }
  return values;
}

}  // namespace diffusion
