#pragma once

#include <cmath>
#include <cstddef>

#include "diffusion/samplers/churn.hpp"
#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

enum class edm_solver {
  euler,
  heun,  ///< second order, generalised by `alpha`
};
/// σ(t), the time in which the solver's steps are straight (Karras et al. 2022, table 1).
enum class edm_schedule {
  linear,  ///< t
  vp,      ///< √(exp(½ β_d t² + β_min t) - 1)
  ve,      ///< √t
};
/// s(t), the scale of the variable in which they are straight.
enum class edm_scaling {
  none,  ///< 1
  vp,    ///< 1/√(1 + σ²)
};

/// The sampler of EDM's ablations (Karras et al. 2022, algorithm 2 with the choices of table 1): solves dx/dt
/// = (σ̇/σ + ṡ/s) x - (σ̇ s/σ) x̂0 for s(t) x_0 + s(t) σ(t) ε, whatever the process of the path: x is scaled
/// there and back. The defaults are heun{}. The last step is Euler's. Order 2 for heun, 1 for euler, with as
/// many evaluations per step. Refuses pure noise (α = 0), which is at t = ∞.
struct edm_ablation {
  edm_solver solver = edm_solver::heun;
  double alpha = 1;  ///< in (0, 1]: where heun asks again: 1 Heun, 2/3 Ralston, 1/2 midpoint
  edm_schedule schedule = edm_schedule::linear;
  edm_scaling scaling = edm_scaling::none;
  edm_churn churn{};
  double beta_d = 19.9;   ///< ≥ 0, of edm_schedule::vp
  double beta_min = 0.1;  ///< of edm_schedule::vp. Below 0, as EDM's code has it for ranges wider than the
                          ///< process', σ(t) turns round before t = 0, where the run ends all the same

  [[nodiscard]] run_plan plan(const run_path& path) const {
    require_valid(path);
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < path.size(); ++k) {
      const auto [from, to, eval] = churn.lift(run, x, path, k);
      const double t = time_of(noise_to_signal(from.level));
      const double h = time_of(noise_to_signal(to.level)) - t;
      const traced slope = slope_of(x, run.ask(x, eval).x0, from.level);
      const traced start = scale_of(from.level) * x;
      if (solver == edm_solver::euler || to.level.sigma == 0) {
        x = (1 / scale_of(to.level)) * (start + h * slope);
      } else {
        const path_point middle = alpha == 1 ? to : path.find(sigma_at(t + alpha * h));
        const traced base = run.keep(start + (h * (1 - 1 / (2 * alpha))) * slope);
        x = (1 / scale_of(middle.level)) * (start + (alpha * h) * slope);
        const traced x0 = run.ask(x, middle).x0;
        x = (1 / scale_of(to.level)) * (base + (h / (2 * alpha)) * slope_of(x, x0, middle.level));
      }
      run.arrive(x, to);
    }
    return run.finish();
  }

 private:
  void require_valid(const run_path& path) const {
    churn.require_valid();
    path.require_chained();
    if (!(alpha > 0 && alpha <= 1)) detail::invalid("alpha", alpha, "(0, 1]");
    if (schedule == edm_schedule::vp) {
      if (!(beta_d >= 0 && std::isfinite(beta_d))) detail::invalid("beta_d", beta_d, "[0, inf)");
      if (!std::isfinite(beta_min) || !(beta_min > 0 || beta_d > 0))
        detail::invalid("beta_min", beta_min, "finite, and > 0 where beta_d = 0");
    }
    for (const path_step& step : path) {
      if (step.from.level.alpha == 0 || step.to.level.alpha == 0)
        detail::invalid("level.alpha", 0, "(0, inf): pure noise is at t = inf");
      if (step.from.level.sigma == 0)
        detail::invalid("level.sigma", 0, "(0, inf): the slope at clean data is singular");
    }
  }

  [[nodiscard]] double sigma_at(double t) const {
    if (schedule == edm_schedule::linear) return t;
    if (schedule == edm_schedule::ve) return std::sqrt(t);
    return std::sqrt(std::expm1((beta_d * t / 2 + beta_min) * t));
  }
  [[nodiscard]] double time_of(double sigma) const {
    if (schedule == edm_schedule::linear) return sigma;
    if (schedule == edm_schedule::ve) return sigma * sigma;
    return sigma == 0 ? 0 : detail::vp_time(sigma, beta_d, beta_min);
  }
  /// d log σ / dt.
  [[nodiscard]] double log_sigma_slope(double sigma) const {
    if (schedule == edm_schedule::linear) return 1 / sigma;
    if (schedule == edm_schedule::ve) return 1 / (2 * sigma * sigma);
    return (beta_min + beta_d * time_of(sigma)) * (1 + 1 / (sigma * sigma)) / 2;
  }
  /// s(t) where σ(t) = σ/α.
  [[nodiscard]] double scale_at(noise_level level) const {
    return scaling == edm_scaling::none ? 1 : 1 / std::hypot(1, noise_to_signal(level));
  }
  /// From the process of the path to the solver's variable: s(t)/α.
  [[nodiscard]] double scale_of(noise_level level) const { return scale_at(level) / level.alpha; }

  [[nodiscard]] traced slope_of(const traced& x, const traced& x0, noise_level level) const {
    const double rate = log_sigma_slope(noise_to_signal(level));
    const double s = scale_at(level);
    // ṡ/s = -σ σ̇ s², hence σ̇/σ + ṡ/s = σ̇/σ s² for s = 1/√(1 + σ²).
    return (rate * s * s * scale_of(level)) * x - (rate * s) * x0;
  }
};

}  // namespace diffusion
