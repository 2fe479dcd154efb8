#pragma once

#include "diffusion/renoise.hpp"
#include "diffusion/run_plan.hpp"

namespace diffusion {

/// Latent consistency models (Luo et al. 2023): x̂0 of an ε, x0 or v network is
/// turned into the data f = c_skip x + c_out x̂0 that a consistency function returns, with the boundary
/// scalings c_skip = σ_d²/(s² + σ_d²) and c_out = s/√(s² + σ_d²) at the scaled time s, and noised again for
/// the next step. Where the run ends clean the result is f. Grids: distilled_grid.
struct lcm {
  double timestep_scaling = 10;  ///< > 0
  double sigma_data = 0.5;       ///< σ_d > 0
  /// s = (t + time_offset) · timestep_scaling. LCMs are distilled with times that count from 0 at the first
  /// noised level, where discrete schedules here have t = 1.
  double time_offset = -1;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_positive("timestep_scaling", timestep_scaling);
    detail::require_positive("sigma_data", sigma_data);
    if (!std::isfinite(time_offset)) detail::invalid("time_offset", time_offset, "(-inf, inf)");
    run_plan plan;
    plan.stages.reserve(path.size());
    for (const auto& [from, to, eval] : path)
      plan.stages.push_back({.from = from,
                             .to = to,
                             .eval = eval,
                             .next = {renoise(boundary(eval.t), {1, 0}, to.level), {}},
                             .keep = {}});
    return plan;
  }

 private:
  [[nodiscard]] step_coefficients boundary(double t) const {
    const double s = (t + time_offset) * timestep_scaling;
    if (!(s >= 0))
      detail::invalid("t", t,
                      detail::text("[", -time_offset, ", inf): t + time_offset is the network's time"));
    const double root = std::hypot(s, sigma_data);
    const double skip = sigma_data / root;
    return {.x = skip * skip, .x0 = s / root};
  }
};

}  // namespace diffusion
