#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/compat.hpp"
#include "diffusion/detail/exponential_weights.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/ddim.hpp"
#include "diffusion/trace.hpp"

namespace diffusion {

/// Which prediction a DPM-Solver takes for a polynomial in λ.
enum class dpm_solver_form {
  data,   ///< x̂0: DPM-Solver++ (Lu et al. 2022b); stays good under large guidance
  noise,  ///< ε̂: DPM-Solver (Lu et al. 2022a)
};

/// How a second-order step weighs the slope of the prediction. Both are of order 2.
enum class dpm_solver_type {
  midpoint,  ///< half the weight of the prediction
  heun,      ///< the exact integral
};

namespace detail {

/// λ_to - λ_from, the length of a step; infinite from or to clean data and zero SNR.
inline double half_log_snr_step(noise_level from, noise_level to) noexcept {
  return std::log((to.alpha * from.sigma) / (to.sigma * from.alpha));
}

/// A step of finite length h in λ of the diffusion ODE (η = 0) or SDE (η > 0), solved exactly for a
/// prediction f that is a polynomial in λ: x_to = x · x_from + value · f + slope · h f' + curvature · h² f''
/// + noise · z, f and its derivatives at the start of the step. The SDE adds noise of variance 2 η σ² dλ.
struct dpm_integral {
  double h = 0;
  double x = 0, value = 0, slope = 0, curvature = 0, noise = 0;
};
inline dpm_integral integrate(noise_level from, noise_level to, dpm_solver_form form, double eta) {
  const bool data = form == dpm_solver_form::data;
  const double h = half_log_snr_step(from, to);
  const double z = data ? (1 + eta) * h : -h;
  const double scale = data ? to.alpha : (1 + eta) * to.sigma;
  return {.h = h,
          .x = data ? to.sigma / from.sigma * std::exp(-eta * h) : to.alpha / from.alpha,
          .value = -scale * std::expm1(-z),
          .slope = scale * z * exponential_moment(1, z),
          .curvature = scale * z * exponential_moment(2, z) / 2,
          .noise = to.sigma * std::sqrt(data ? -std::expm1(-2 * eta * h) : eta * std::expm1(2 * h))};
}

/// Weights of a state, of predictions and of fresh noise.
struct dpm_weights {
  double x = 0;
  std::array<double, 3> f{};
  double noise = 0;
};

/// The step for the polynomial through predictions at one to three levels, of which the first is where the
/// state is. Levels at an infinite distance have no weight, nor has one twice.
inline dpm_weights interpolate(const dpm_integral& i, std::span<const noise_level> levels) {
  dpm_weights w{i.x, {i.value}, i.noise};
  const double d1 = levels.size() > 1 ? half_log_snr_step(levels[0], levels[1]) : 0;
  const double d2 = levels.size() > 2 ? half_log_snr_step(levels[0], levels[2]) : d1;
  if (d1 != d2 && d1 != 0) {
    // With the difference quotients a, b to both levels: f' = a - d1 c/2, f'' = c = 2 (b - a)/(d2 - d1).
    const double b = (2 * i.curvature * i.h - i.slope * d1) / (d2 - d1);
    w.f[1] = (i.slope - b) * (i.h / d1);
    w.f[2] = b * (i.h / d2);
  } else if (d2 != 0) {
    w.f[levels.size() - 1] = i.slope * (i.h / d2);
  }
  w.f[0] -= w.f[1] + w.f[2];
  return w;
}

/// The prediction that a form is about, as one vector to remember.
inline traced dpm_prediction(trace& run, const traced& x, const trace::prediction& p, noise_level at,
                             dpm_solver_form form) {
  return form == dpm_solver_form::data ? p.x0 : run.keep(direction(x, p, at));
}

/// A step of infinite length, from or to clean data or zero SNR: of first order in either form.
inline traced infinite_step(const trace& run, const traced& x, const trace::prediction& p, noise_level from,
                            noise_level to, double eta, double s_noise) {
  const step_coefficients step = ddim{.eta = eta > 0 ? 1.0 : 0.0}(from, to);
  return moved(step, x, p) + s_noise * step.noise * run.noise();
}

/// The weights of a step that forgets earlier ones: the state is at the first level, the others are within
/// the step. `midpoint` in order 3 takes only the farther prediction, at 2/3 of the step: that makes up for
/// the second derivative.
inline dpm_weights singlestep_weights(dpm_integral i, std::span<const noise_level> levels,
                                      dpm_solver_type type) {
  if (type == dpm_solver_type::heun || levels.size() == 1) return interpolate(i, levels);
  if (levels.size() == 2) i.slope = i.value / 2;
  const noise_level ends[] = {levels.front(), levels.back()};
  dpm_weights w = interpolate(i, ends);
  std::swap(w.f[1], w.f[levels.size() - 1]);
  return w;
}

/// A step of the ODE that asks the network `order` times: at its start, and evenly in λ between there and
/// `to`, which is where the state is then. `to` need not be of the path.
inline traced dpm_step_between(trace& run, traced x, const run_path& path, const path_point& from,
                               noise_level to, int order, dpm_solver_form form) {
  const auto p = run.ask(x, from);
  if (!has_inner_slopes(from.level, to)) return infinite_step(run, x, p, from.level, to, 0, 0);
  const double h = half_log_snr_step(from.level, to);
  std::vector<noise_level> levels{from.level};
  std::vector<path_point> between;
  for (int i = 1; i < order; ++i) {
    between.push_back(path.find(noise_to_signal(from.level) * std::exp(-i * h / order)));
    levels.push_back(between.back().level);
  }
  const auto weights = [&](std::size_t count, noise_level at, dpm_solver_type type) {
    return singlestep_weights(integrate(from.level, at, form, 0), std::span(levels).first(count), type);
  };
  const dpm_weights whole = weights(levels.size(), to, dpm_solver_type::midpoint);
  const traced start = dpm_prediction(run, x, p, from.level, form);
  traced end = run.keep(whole.x * x + whole.f[0] * start);
  std::vector<traced> inner;
  for (std::size_t i = 0; i < between.size(); ++i) {
    const dpm_weights w = weights(i + 1, between[i].level, dpm_solver_type::heun);
    inner.push_back(run.keep(w.x * x + w.f[0] * start));
  }
  traced previous;
  for (std::size_t i = 0; i < between.size(); ++i) {
    x = inner[i];
    if (i > 0) x += weights(i + 1, between[i].level, dpm_solver_type::heun).f[i] * previous;
    const auto q = run.ask(x, between[i]);
    previous = dpm_prediction(run, x, q, between[i].level, form);
    end += whole.f[i + 1] * previous;
  }
  return end;
}

inline void require_solver_options(double eta, double s_noise) {
  if (!(eta >= 0 && std::isfinite(eta))) invalid("eta", eta, "[0, inf)");
  if (!(s_noise >= 0 && std::isfinite(s_noise))) invalid("s_noise", s_noise, "[0, inf)");
}
inline void require_solver_order(int order) {
  if (order < 1 || order > 3) invalid("order", order, "1, 2 or 3");
}
/// Steps of an SDE, and of methods that add noise, lead towards the data.
inline void require_denoising(noise_level from, noise_level to, double eta) {
  if (eta > 0 && half_log_snr_step(from, to) < 0)
    invalid("eta", eta,
            "0 for steps towards more noise, as in inversion: noise cannot be taken out of data again");
}

}  // namespace detail
}  // namespace diffusion
