#pragma once

#include "diffusion/interop/configured_grids.hpp"
#include "diffusion/schedules/flow.hpp"

namespace diffusion {

/// Variance preserving levels of data in a unit of its own, whose networks are told ¼ ln(unit · σ/α): EDM
/// networks take data in units of σ_data (Karras et al. 2022, table 1, c_noise).
struct log_sigma_schedule {
  using time_type = double;
  double unit = 1;
  [[nodiscard]] noise_level level(double t) const { return find(std::exp(4 * t) / unit).level; }
  [[nodiscard]] time_point<double> find(double noise_to_signal) const {
    if (!(noise_to_signal >= 0)) detail::invalid("sigma / alpha", noise_to_signal, "[0, inf]");
    if (noise_to_signal == 0) return {0, {1, 0}};
    return {std::log(unit * noise_to_signal) / 4,
            {1 / std::hypot(1, noise_to_signal), 1 / std::hypot(1, 1 / noise_to_signal)}};
  }
};

/// Lists of σ for EDM networks; levels are those of data in units of σ_data.
struct edm_grid {
  sigma_spacing list = sigma_spacing::karras;
  sigma_range range{};
  double rho = 7;
  double sigma_data = 0.5;
  run_end end = run_end::clean;
  compat peer = compat::none;

  [[nodiscard]] run_path operator()(int n, const run_request& = {}) const {
    detail::require_configured_steps(n);
    const bool ends_within = peer == compat::none && end != run_end::clean;
    std::vector<double> sigmas = detail::spread_sigmas(list, ends_within ? n + 1 : n, range, rho);
    if (end == run_end::clean) sigmas.push_back(0);
    if (end != run_end::clean && !ends_within) sigmas.push_back(sigmas.back());
    for (double& sigma : sigmas) sigma /= sigma_data;
    return run_path(log_sigma_schedule{sigma_data}, sigmas);
  }
};

/// Lists of s for rectified flows, x = (1-s) x_0 + s ε. Times are s · train_steps.
struct flow_grid {
  enum class family {
    matching,  ///< FlowMatch classes
    solver,    ///< `use_flow_sigmas` of DPM-Solver and DEIS
    unipc,     ///< `use_flow_sigmas` of UniPC
  };

  family kind = family::matching;
  int train_steps = 1000;
  double shift = 1;
  bool dynamic = false;      ///< the shift depends on the request
  bool shift_is_mu = false;  ///< the dynamic shift is μ, not exp(μ)
  flow_dynamic_shift tokens{};
  bool takes_tokens = true;  ///< else only μ is accepted
  std::optional<double> terminal{};
  sigma_spacing list = sigma_spacing::of_times;
  run_end end = run_end::clean;
  compat peer = compat::none;

  [[nodiscard]] run_path operator()(int n, const run_request& request = {}) const {
    detail::require_configured_steps(n);
    const bool ends_within = peer == compat::none && end != run_end::clean;
    std::vector<double> s = values(ends_within ? n + 1 : n, shift_for(request));
    if (list != sigma_spacing::of_times)
      s = detail::spread_sigmas(list, static_cast<int>(s.size()), {s.back(), s.front()});
    std::vector<path_point> points;
    for (const double value : s) points.push_back({value * train_steps, {1 - value, value}});
    if (end == run_end::clean)
      points.push_back({0, {1, 0}});
    else if (!ends_within)
      points.push_back(points.back());
    return detail::path_through(points, [time_scale = double(train_steps)](double noise_to_signal) {
      return flow_schedule{time_scale}.find(noise_to_signal);
    });
  }

  [[nodiscard]] double shift_for(const run_request& request) const {
    if (!dynamic) {
      if (request.mu || request.image_tokens)
        detail::invalid("mu or image_tokens", "given", "none: use_dynamic_shifting is false");
      return shift;
    }
    if (request.mu.has_value() == request.image_tokens.has_value())
      detail::invalid("mu, image_tokens", request.mu ? "both" : "none",
                      "one of them: use_dynamic_shifting is true");
    if (request.image_tokens && !takes_tokens)
      detail::invalid("image_tokens", *request.image_tokens, "none, but mu: this class knows no base_shift");
    const double mu = request.mu ? *request.mu : tokens.mu(*request.image_tokens);
    return shift_is_mu ? mu : std::exp(mu);
  }

 private:
  [[nodiscard]] std::vector<double> values(int n, double by) const {
    const double lowest = 1.0 / train_steps;
    if (peer == compat::none) return flow_times(n, {.shift = by, .terminal = terminal});
    if (kind == family::matching)  // the lower end has been shifted before, unless dynamically
      return flow_times(
          n, {.shift = by, .last = dynamic ? lowest : flow_shift(lowest, by), .terminal = terminal});
    const bool unipc = kind == family::unipc;
    std::vector<double> s =
        unipc ? detail::linspace(1, lowest, n + 1) : detail::linspace(1 - lowest, 0, n + 1);
    s.pop_back();
    for (double& value : s) value = flow_shift(value, by);
    if (terminal)
      for (const double stretch = (1 - *terminal) / (1 - s.back()); double& value : s)
        value = 1 - (1 - value) * stretch;
    if (unipc && s[0] > 1 - 1e-6) s[0] -= 1e-6;
    return s;
  }
};

}  // namespace diffusion
