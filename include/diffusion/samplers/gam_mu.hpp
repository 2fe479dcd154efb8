#pragma once

#include <cmath>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/posterior.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// The generalised sampler of Permenter & Yuan 2023 (smalldiffusion): a step of the direction ε̄ = γ ε + (1 -
/// γ) ε_last down to ς_down, then noise up to ς_to, where ς_to = ς^μ ς_down^(1-μ), ς = σ/α. One evaluation
/// per step. γ = 1, μ = 0 is ddim{}, γ = 1, μ = ½ is ddpm{}, γ = 2, μ = 0 the paper's accelerated "gradient
/// estimation" sampler. Order 1, but 2 for γ = 3/2, μ = 0 on smooth grids.
struct gam_mu {
  double gam = 2;  ///< γ, finite
  double mu = 0;   ///< in [0, 1); 0 is deterministic, and required for steps towards more noise

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (!std::isfinite(gam)) detail::invalid("gam", gam, "(-inf, inf)");
    if (!(mu >= 0 && mu < 1)) detail::invalid("mu", mu, "[0, 1)");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    traced last;
    bool first = true;
    for (const auto& [from, to, eval] : path) {
      const auto predicted = run.ask(x, eval);
      // ς_down / ς_to = (ς_to / ς_from)^(μ/(1-μ)), at most 1.
      const double kept = mu == 0 ? 1 : std::pow(detail::snr_ratio_root(from.level, to.level), mu / (1 - mu));
      const noise_level down{to.level.alpha, to.level.sigma * kept};
      traced next = detail::moved(ddim{}(from.level, down), x, predicted) +
                    to.level.sigma * std::sqrt((1 - kept) * (1 + kept)) * run.noise();
      const traced slope = run.keep(detail::direction(x, predicted, from.level));
      if (!first) {
        const double length = down.sigma - to.level.alpha * noise_to_signal(from.level);
        next += (1 - gam) * length * (last - slope);
      }
      first = false;
      last = slope;
      x = next;
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
