#pragma once

#include <algorithm>
#include <cmath>

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// DPM-Solver-fast (Lu et al. 2022a section 3.4): steps of order 3, each with three evaluations, at the start
/// and at a third and two thirds of the step in λ; at the end lower ones such that all make `evaluations`.
/// For a path of steps() steps, in the paper even in λ. Order 3, but for the error of the last step. With η >
/// 0 each step goes down to ς_down and adds noise ς_up, as dpmpp_2s_ancestral: the same order in
/// distribution.
struct dpm_fast {
  int evaluations = 0;  ///< of the network in the whole run, at least 1
  double eta = 0;       ///< in [0, 1]: ς_up = η √β̃/α_to
  double s_noise = 1;   ///< factor of fresh noise, [0, inf)

  /// Steps of a run with these evaluations.
  [[nodiscard]] int steps() const noexcept { return evaluations / 3 + 1; }

  /// Order and evaluations of step k.
  [[nodiscard]] int order(int k) const noexcept {
    const int last = steps() - 1;
    if (evaluations % 3 == 0) return k < last - 1 ? 3 : k < last ? 2 : 1;
    return k < last ? 3 : evaluations % 3;
  }

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (evaluations < 1) detail::invalid("evaluations", evaluations, "at least 1");
    if (path.size() != static_cast<std::size_t>(steps()))
      detail::invalid("number of steps", path.size(), detail::text(steps(), ", that is evaluations / 3 + 1"));
    detail::require_solver_options(eta, s_noise);
    path.require_chained();
    trace run(path);
    traced x = run.x();
    const double end = path.noise_to_signal(path.size());
    for (std::size_t k = 0; k < path.size(); ++k) {
      const path_point& from = path[k].from;
      const noise_level to = path[k].to.level;
      const step_coefficients split = ddim{.eta = eta, .rederive_epsilon = false}(from.level, to);
      // Not below the end of the run, where the network may know nothing.
      const noise_level down{to.alpha, std::max(split.epsilon, to.alpha * end)};
      x = detail::dpm_step_between(run, x, path, from, down, order(static_cast<int>(k)),
                                   dpm_solver_form::noise);
      if (down.sigma < to.sigma)
        x += s_noise * std::sqrt((to.sigma - down.sigma) * (to.sigma + down.sigma)) * run.noise();
      run.arrive(x, path[k].to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
