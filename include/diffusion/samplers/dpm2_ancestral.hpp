#pragma once

#include "diffusion/samplers/dpm2.hpp"

namespace diffusion {

/// dpm2 down to ς_down, then noise ς_up up to ς_to, ς_up² + ς_down² = ς_to² (k-diffusion, "KDPM2 a"). Two
/// evaluations per step, one for a step to clean data or from pure noise (α = 0). Order 2 in distribution: a
/// solution without error to ς_down, then noise, would keep the distribution. η = 0 is dpm2{}.
struct dpm2_ancestral {
  double eta = 1;      ///< in [0, 1]: ς_up = η √β̃/α_to
  double s_noise = 1;  ///< ≥ 0; other than 1 the marginals are not kept

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (!(s_noise >= 0 && std::isfinite(s_noise))) detail::invalid("s_noise", s_noise, "[0, inf)");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      const step_coefficients step = ddim{.eta = eta, .rederive_epsilon = false}(from.level, to.level);
      const noise_level down{to.level.alpha, step.epsilon};
      const traced end = detail::log_midpoint_step(run, x, path, eval, down);
      x = end + s_noise * step.noise * run.noise();
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
