#include "schedules.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "diffusion/compat.hpp"
#include "diffusion/schedules/constant.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/exponential.hpp"
#include "diffusion/schedules/jsd.hpp"
#include "diffusion/schedules/laplace.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/log_snr.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/sigmoid.hpp"
#include "diffusion/schedules/warmup.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"

namespace golden {

namespace {

using schedule = diffusion::discrete_schedule<>;

diffusion::beta_range read_beta_range(const record& options) {
  return {options.number("beta_start", 1e-4), options.number("beta_end", 0.02)};
}

schedule read_unscaled(const record& options, const std::string& kind, int steps) {
  namespace d = diffusion;
  if (kind == "linear") return d::linear_schedule(steps, read_beta_range(options));
  if (kind == "linear_scaled_by_steps") return d::linear_schedule(steps, d::rescaled_beta_range(steps));
  if (kind == "quadratic") return d::quadratic_schedule(steps, read_beta_range(options));
  if (kind == "scaled_linear") return d::scaled_linear_schedule(steps, read_beta_range(options));
  if (kind == "sigmoid") return d::sigmoid_schedule(steps, read_beta_range(options));
  if (kind == "cosine" || kind == "cosine_s") {
    const double s = kind == "cosine" ? options.number("s", 0.008) : options.number("s");
    return d::cosine_schedule(steps, {.s = s, .max_beta = options.number("max_beta", 0.999)});
  }
  if (kind == "sigmoid_alpha_bar")
    return d::sigmoid_alpha_bar_schedule(steps, {.start = options.number("start", -3),
                                                 .end = options.number("end", 3),
                                                 .tau = options.number("tau", 1)});
  if (kind == "laplace") return d::laplace_schedule(steps, {.peer = d::compat::diffusers});
  if (kind == "exp") return d::exponential_schedule(steps);
  if (kind == "warmup10") return d::warmup_schedule(steps, 0.1, read_beta_range(options));
  if (kind == "warmup50") return d::warmup_schedule(steps, 0.5, read_beta_range(options));
  if (kind == "const") return d::constant_schedule(steps, read_beta_range(options).end);
  if (kind == "jsd") {
    read_beta_range(options);  // ho-diffusion's call has it for every kind
    return d::jsd_schedule(steps);
  }
  if (kind == "explicit")
    return schedule::from_betas(options.numbers("betas", static_cast<std::size_t>(steps)));
  throw unsupported("schedule kind \"" + kind + '"');
}

/// ᾱ ← ᾱ/(k + (1-k) ᾱ), which divides the signal-to-noise ratio by k.
schedule with_snr_divided(const schedule& unscaled, double k) {
  std::vector<double> alpha_bars;
  for (int t = 1; t <= unscaled.steps(); ++t) {
    const double log_snr = 2 * diffusion::half_log_snr(unscaled.level(t)) - std::log(k);
    const double alpha = diffusion::vp_level_from_log_snr(log_snr).alpha;
    alpha_bars.push_back(alpha * alpha);
  }
  return schedule::from_alpha_bars(alpha_bars);
}

}  // namespace

diffusion::discrete_schedule<> read_schedule(const record& options) {
  const std::string kind = options.text("kind");
  const int steps = options.integer("train_steps", 1, max_train_steps);
  const double shift = options.number("snr_shift_scale", 1);
  const bool zero_terminal_snr = options.flag("zero_terminal_snr", false);
  schedule result = read_unscaled(options, kind, steps);
  options.refuse_unknown_keys();
  if (!(shift > 0)) options.fail("snr_shift_scale", "expected a positive number");
  if (shift != 1) result = with_snr_divided(result, shift);
  return zero_terminal_snr ? diffusion::rescale_zero_terminal_snr(result) : result;
}

continuous_schedule read_continuous_schedule(const record& options) {
  const std::string kind = options.choice("kind", {"log_snr_linear", "log_snr_cosine", "cosine_continuous"});
  if (kind == "log_snr_linear") {
    options.refuse_unknown_keys();
    return [](double t) { return diffusion::linear_log_snr_schedule{}.level(t); };
  }
  const diffusion::cosine_log_snr_schedule cosine{.s = options.number("s", 0.008)};
  if (kind == "log_snr_cosine") {
    options.refuse_unknown_keys();
    return [=](double t) { return cosine.level(t); };
  }
  // Diffusers' Wuerstchen: ᾱ is normalised to 1 at t = 0 and clamped, time is bent towards one end.
  const double scaler = options.number("scaler", 1);
  const double low = options.number("alpha_bar_min", 1e-4);
  const double high = options.number("alpha_bar_max", 0.9999);
  options.refuse_unknown_keys();
  if (!(scaler > 0)) options.fail("scaler", "expected a positive number");
  if (!(low >= 0 && low <= high && high <= 1)) options.fail("alpha_bar_min", "expected 0 <= min <= max <= 1");
  return [=](double t) {
    const double bent = scaler > 1 ? 1 - std::pow(1 - t, scaler) : std::pow(t, scaler);
    const double ratio = cosine.level(bent).alpha / cosine.level(0).alpha;
    return diffusion::vp_level_from_alpha_bar(std::clamp(ratio * ratio, low, high));
  };
}

}  // namespace golden
