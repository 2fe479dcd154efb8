#pragma once

#include <algorithm>
#include <vector>

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// DPM-Solver and DPM-Solver++ that remember the predictions of earlier steps (Lu et al. 2022a, 2022b
/// algorithm 2 "2M"), for the diffusion ODE and, with η > 0, the SDE (2022b section 5). One evaluation per
/// step. Order 1 is DDIM. Over an inverted grid the ODE forms lead from data to noise.
struct dpm_solver_multistep {
  int order = 2;                                 ///< 1 to 3; the first steps have fewer predictions to use
  dpm_solver_form form = dpm_solver_form::data;  ///< x̂0 (DPM-Solver++) or ε̂ (DPM-Solver)
  dpm_solver_type type = dpm_solver_type::midpoint;  ///< of second-order steps
  double eta = 0;                 ///< 0: ODE, 1: SDE ("sde-"), in between as k-diffusion; [0, inf)
  double s_noise = 1;             ///< factor of fresh noise, [0, inf)
  bool lower_order_final = true;  ///< orders 2, 1 at the end of runs of fewer than 15 steps
  bool euler_at_final = false;    ///< order 1 in the last step of any run; so it is anyway to clean data

  /// The third-order step of both peers has half the second derivative that it should have, which leaves
  /// order 2; that of diffusers' SDE also has a wrong sign. Reproduces them.
  compat peer = compat::none;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_solver_order(order);
    detail::require_solver_options(eta, s_noise);
    path.require_chained();
    trace run(path);
    traced x = run.x();
    std::vector<noise_level> levels;  // of the predictions at hand, the newest first
    std::vector<traced> predictions;
    for (std::size_t k = 0; k < path.size(); ++k) {
      const noise_level from = path[k].from.level;
      const noise_level to = path[k].to.level;
      detail::require_denoising(from, to, eta);
      const auto p = run.ask(x, path[k].from);
      levels.insert(levels.begin(), from);
      predictions.insert(predictions.begin(), detail::dpm_prediction(run, x, p, from, form));
      const std::size_t used = std::min(order_of(k, path.size()), levels.size());
      if (std::isfinite(detail::half_log_snr_step(from, to))) {
        const detail::dpm_weights w = weights(to, std::span(levels).first(used));
        x = w.x * x + s_noise * w.noise * run.noise();
        for (std::size_t i = 0; i < used; ++i) x += w.f[i] * predictions[i];
      } else {
        x = detail::infinite_step(run, x, p, from, to, eta, s_noise);
      }
      run.arrive(x, path[k].to);
      if (levels.size() == static_cast<std::size_t>(order)) {
        levels.pop_back();
        predictions.pop_back();
      }
    }
    return run.finish();
  }

 private:
  [[nodiscard]] std::size_t order_of(std::size_t k, std::size_t steps) const noexcept {
    const std::size_t left = steps - k;
    const auto full = static_cast<std::size_t>(order);
    if (left == 1 && euler_at_final) return 1;
    return lower_order_final && steps < 15 ? std::min(full, left) : full;
  }

  [[nodiscard]] detail::dpm_weights weights(noise_level to, std::span<const noise_level> levels) const {
    detail::dpm_integral i = detail::integrate(levels[0], to, form, eta);
    if (levels.size() == 2 && type == dpm_solver_type::midpoint) i.slope = i.value / 2;
    if (levels.size() == 3) {
      if (peer == compat::diffusers && form == dpm_solver_form::data && eta > 0) i.curvature -= to.alpha;
      if (peer != compat::none) i.curvature /= 2;
    }
    return detail::interpolate(i, levels);
  }
};

/// DPM++ 2M.
[[nodiscard]] constexpr dpm_solver_multistep dpmpp_2m() noexcept { return {.lower_order_final = false}; }
/// DPM++ 2M SDE.
[[nodiscard]] constexpr dpm_solver_multistep dpmpp_2m_sde(double eta = 1) noexcept {
  return {.eta = eta, .lower_order_final = false};
}
/// DPM++ 3M SDE.
[[nodiscard]] constexpr dpm_solver_multistep dpmpp_3m_sde(double eta = 1) noexcept {
  return {.order = 3, .type = dpm_solver_type::heun, .eta = eta, .lower_order_final = false};
}

}  // namespace diffusion
