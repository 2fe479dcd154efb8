#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

#include "diffusion/trace.hpp"

namespace diffusion {

/// Stochasticity for solvers of the probability flow: before a step, noise lifts the state from ς = σ/α to
/// ς̂ = ς (1 + γ), from where the step starts. γ = min(S_churn / n, √2 - 1) for n steps where S_tmin ≤ ς ≤
/// S_tmax, else 0 (Karras et al. 2022, algorithm 2).
struct edm_churn {
  double churn = 0;                                       ///< S_churn, ≥ 0; 0 is deterministic
  double tmin = 0;                                        ///< S_tmin, ≥ 0
  double tmax = std::numeric_limits<double>::infinity();  ///< S_tmax, ≥ S_tmin
  double noise = 1;                                       ///< S_noise ≥ 0: factor of the added noise

  void require_valid() const {
    if (!(churn >= 0 && std::isfinite(churn))) detail::invalid("churn", churn, "[0, inf)");
    if (!(tmin >= 0 && std::isfinite(tmin))) detail::invalid("churn.tmin", tmin, "[0, inf)");
    if (!(tmax >= tmin)) detail::invalid("churn.tmax", tmax, detail::text("[", tmin, ", inf]"));
    if (!(noise >= 0 && std::isfinite(noise))) detail::invalid("churn.noise", noise, "[0, inf)");
  }

  /// γ for one of n steps. Neither pure noise nor clean data are lifted.
  [[nodiscard]] double gamma(noise_level from, std::size_t n) const {
    const double s = noise_to_signal(from);
    if (!(s > 0 && s < std::numeric_limits<double>::infinity() && s >= tmin && s <= tmax)) return 0;
    return std::min(churn / static_cast<double>(n), std::numbers::sqrt2 - 1);
  }

  /// √(ς̂² - ς²) S_noise, the noise added to x/α.
  [[nodiscard]] double added(noise_level from, double gamma) const {
    return noise * noise_to_signal(from) * std::sqrt(gamma * (2 + gamma));
  }

  /// Lifts x from the start of a step and returns the step that is left: from ς̂.
  [[nodiscard]] path_step lift(trace& run, traced& x, const run_path& path, std::size_t k) const {
    path_step step = path[k];
    const noise_level from = step.from.level;
    const double g = gamma(from, path.size());
    if (g == 0) return step;
    step.from = step.eval = path.find((1 + g) * noise_to_signal(from));
    const double alpha = step.from.level.alpha;
    x = (alpha / from.alpha) * x + (alpha * added(from, g)) * run.noise();
    return step;
  }
};

}  // namespace diffusion
