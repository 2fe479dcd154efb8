#pragma once

#include <cstddef>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/churn.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Heun's method for the probability flow in σ/α, with optional churn: the sampler of EDM (Karras et al.
/// 2022, algorithm 2). Order 2, two evaluations per step. A step to clean data or from pure noise (α = 0) is
/// Euler's, with one.
struct heun {
  edm_churn churn{};

  [[nodiscard]] run_plan plan(const run_path& path) const {
    churn.require_valid();
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < path.size(); ++k) {
      const auto [from, to, eval] = churn.lift(run, x, path, k);
      const auto first = run.ask(x, eval);
      x = detail::moved(ddim{}(from.level, to.level), x, first);
      if (detail::has_inner_slopes(from.level, to.level)) {
        // The slopes ε of y = x/α differ by (x̂0_1 - x̂0_2)/ς_to at the point that Euler's step reached.
        const double ratio = noise_to_signal(from.level) / noise_to_signal(to.level);
        const auto second = run.ask(x, to);
        x += (to.level.alpha * (ratio - 1) / 2) * (second.x0 - first.x0);
      }
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
