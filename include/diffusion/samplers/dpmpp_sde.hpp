#pragma once

#include <cmath>

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// DPM++ SDE (k-diffusion): stochastic second-order DPM-Solver++ with two evaluations per step, at its start
/// and a fraction r of it later in λ. The noise of the first part is part of that of the whole step, as on
/// one path of the SDE: order 2 in distribution. η = 0 is deterministic of order 2.
struct dpmpp_sde {
  double eta = 1;      ///< in [0, 1]: noise ς_up = η √β̃/α_to over a step
  double s_noise = 1;  ///< factor of fresh noise, [0, inf)
  double r = 0.5;      ///< in (0, 1)

  /// The peers take the second draw as it is for the noise of the whole step: with independent draws order 1.
  /// They mean draws from a Brownian tree, which are correlated. Reproduces it.
  compat peer = compat::none;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_solver_options(eta, s_noise);
    if (!(r > 0 && r < 1)) detail::invalid("r", r, "(0, 1)");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (const auto& [from, to, eval] : path) {
      const step_coefficients whole = ddim{.eta = eta}(from.level, to.level);
      const auto p = run.ask(x, from);
      if (!detail::has_inner_slopes(from.level, to.level)) {
        x = detail::moved(whole, x, p) + s_noise * whole.noise * run.noise();
      } else {
        const double h = detail::half_log_snr_step(from.level, to.level);
        const path_point middle = path.find(noise_to_signal(from.level) * std::exp(-r * h));
        const step_coefficients part = ddim{.eta = eta}(from.level, middle.level);
        const step_coefficients rest = ddim{.eta = eta}(middle.level, to.level);
        // β̃ of the whole step is that of the rest and what the rest leaves of that of the part.
        const bool shared = peer == compat::none && eta > 0;
        const double left = shared ? part.noise * posterior(middle.level, to.level).x : 0;
        const double fresh = shared ? rest.noise : whole.noise;
        const double weight = 1 / (2 * r);  // of the second prediction
        const traced end =
            run.keep(whole.x * x + whole.x0 * (1 - weight) * p.x0 + s_noise * left * run.noise());
        x = detail::moved(part, x, p) + s_noise * part.noise * run.noise();
        const traced second = run.ask(x, middle).x0;
        x = end + whole.x0 * weight * second + s_noise * fresh * run.noise();
      }
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
