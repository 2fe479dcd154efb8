#pragma once

#include <cmath>

#include "diffusion/compat.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/trace.hpp"

namespace diffusion {

/// Euler-Maruyama for the reverse of dx = -β(t)/2 x dt + √β(t) dw with β linear in t (Song et al. 2021 score
/// SDE, eq. 25, 32): x + h (β/2 x + β ∇ log q(x)) + √(β h) z over a time h. Of order 1 in distribution; the
/// times of the path are those of the SDE, 1 at the noisy end.
struct vp_euler_maruyama {
  double beta_min = 0.1;  ///< β(0), [0, inf)
  double beta_max = 20;   ///< β(1), (0, inf)

  /// diffusers takes h = 1/n whatever the times of its steps are, and adds noise also on the last.
  compat peer = compat::none;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (!(beta_min >= 0 && std::isfinite(beta_min))) detail::invalid("beta_min", beta_min, "[0, inf)");
    detail::require_positive("beta_max", beta_max);
    if (peer == compat::k_diffusion) detail::invalid("peer", "k_diffusion", "none, diffusers");
    const bool as_diffusers = peer == compat::diffusers;
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      const double t = from.t;
      if (!(t > to.t && t <= 1)) detail::invalid("t", t, "(t of the next point, 1], the time of the SDE");
      if (from.level.sigma == 0) detail::invalid("from.sigma", 0, "(0, inf): a step starts from noised data");
      const double h = as_diffusers ? 1 / static_cast<double>(path.size()) : t - to.t;
      const double beta = h * (beta_min + t * (beta_max - beta_min));
      const bool noisy = as_diffusers || to.level.sigma > 0;
      const traced epsilon = detail::direction(x, run.ask(x, eval), from.level);
      x = (1 + beta / 2) * x - (beta / from.level.sigma) * epsilon +
          (noisy ? std::sqrt(beta) : 0) * run.noise();
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
