#pragma once

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// DPM++ 2S a: a second-order DPM-Solver++ step (Lu et al. 2022b algorithm 1) down to ς_down, then noise ς_up
/// up to ς_to, ς_up² + ς_down² = ς_to² (k-diffusion). Asks the network at the start and in the middle of the
/// step in λ: two evaluations, one where the step is infinite or ends clean. Order 2, with η > 0 in
/// distribution.
struct dpmpp_2s_ancestral {
  double eta = 1;      ///< in [0, 1]: ς_up = η √β̃/α_to
  double s_noise = 1;  ///< factor of fresh noise, [0, inf)

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_solver_options(eta, s_noise);
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      const step_coefficients split = ddim{.eta = eta, .rederive_epsilon = false}(from.level, to.level);
      const noise_level down{to.level.alpha, split.epsilon};
      x = detail::dpm_step_between(run, x, path, from, down, 2, dpm_solver_form::data);
      x += s_noise * split.noise * run.noise();
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
