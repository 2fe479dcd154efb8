#pragma once

#include <cmath>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/trace.hpp"

namespace diffusion {

namespace detail {

/// A step of Langevin dynamics of size τ at one level: x + τ ∇ log q(x) + √(2τ) z, ∇ log q = (α x̂0 - x)/σ².
[[nodiscard]] inline step_coefficients langevin_step(double size, noise_level level) {
  const double pull = size / (level.sigma * level.sigma);
  return {.x = 1 - pull, .x0 = pull * level.alpha, .noise = std::sqrt(2 * size)};
}


/// n steps of Langevin dynamics at a point of a path, each of size τ.
inline void langevin_steps(trace& run, traced& x, const path_point& at, double size, int steps) {
  const step_coefficients step = langevin_step(size, at.level);
  for (int i = 0; i < steps; ++i) {
    const auto predicted = run.ask(x, at);
    x = moved(step, x, predicted) + step.noise * run.noise();
  }
}

}  // namespace detail

/// Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): at every level of the path n steps of size
/// τ_i = step/2 · σ_i²/σ_last², last the level of the last step. The scores of all processes are those of
/// x/α, σ/α. Draws from the right distribution only for many small steps.
struct annealed_langevin {
  double step = 2e-5;  ///< ε of the paper: twice the size of a step at the last level, (0, inf)
  int steps = 100;     ///< at each level, at least 1
  bool denoise = true;  ///< one more evaluation that replaces x by α x̂0 at the end, where that is clean data

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_positive("step", step);
    if (steps < 1) detail::invalid("steps", steps, "at least 1");
    path.require_chained();
    const double last = path.noise_to_signal(path.size() - 1);
    if (!(last > 0)) detail::invalid("sigma of the last level", last, "(0, inf)");
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      if (from.level.alpha == 0)
        detail::invalid("from.alpha", 0, "(0, inf): Langevin dynamics needs a score");
      const double relative = from.level.sigma / last;
      detail::langevin_steps(run, x, from, step / 2 * relative * relative, steps);
      if (to.level.sigma == 0 && denoise)
        x = to.level.alpha * run.ask(x, from).x0;
      else
        x = (to.level.alpha / from.level.alpha) * x;
      run.arrive(x, to);
    }
    return run.finish();
  }
};

/// A predictor-corrector sampler (Song et al. 2021 score SDE, appendix G): n steps of Langevin dynamics at
/// every point of the path, then a step of any one-step sampler. They have the size that the paper's rule 2
/// κ² (snr ‖z‖/‖∇ log q‖)², κ = α_from/α_to, has for norms as expected, ‖z‖ = ‖ε̂‖: so the run is a plan, and
/// no sample depends on another. With measured norms: sample_predictor_corrector.
template <Sampler S = ddpm>
struct langevin_corrected {
  S predictor{};
  double snr = 0.16;    ///< r of the paper, (0, inf): 0.16 for VE, 0.01 to 0.15 for VP
  int corrections = 1;  ///< before each step, at least 1

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_positive("snr", snr);
    if (corrections < 1) detail::invalid("corrections", corrections, "at least 1");
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      const double size = snr * from.level.sigma * from.level.alpha / to.level.alpha;
      const step_coefficients next = predictor(from.level, to.level);
      detail::langevin_steps(run, x, from, 2 * size * size, corrections);
      const auto predicted = run.ask(x, eval);
      x = detail::moved(next, x, predicted) + next.noise * run.noise();
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
