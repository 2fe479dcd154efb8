#pragma once

#include <cmath>
#include <cstddef>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/churn.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

namespace detail {

/// x at `to` by the midpoint method for dy/dς = ε, y = x/α, ς = σ/α, with the midpoint in log ς. Asks the
/// network twice; once, by Euler's method, for a step to or from clean data or from pure noise.
inline traced log_midpoint_step(trace& run, traced& x, const run_path& path, const path_point& from,
                                noise_level to) {
  const auto first = run.ask(x, from);
  const traced end = moved(ddim{}(from.level, to), x, first);
  if (!has_inner_slopes(from.level, to) || from.level.sigma == 0) return end;
  const double s_from = noise_to_signal(from.level);
  const double s_to = noise_to_signal(to);
  const path_point middle = path.find(std::sqrt(s_from * s_to));
  // The slopes differ by (x̂0_1 - x̂0_2)/ς at the midpoint that Euler's half step reached.
  const double weight = to.alpha * (s_from - s_to) / noise_to_signal(middle.level);
  const traced start = run.keep(end - weight * first.x0);
  x = moved(ddim{}(from.level, middle.level), x, first);
  return start + weight * run.ask(x, middle).x0;
}

}  // namespace detail

/// DPM-Solver-2 in the form of Karras et al. 2022 ("KDPM2"): the midpoint method in σ/α, the midpoint being
/// the geometric mean. Optional churn. Order 2, two evaluations per step. A step to clean data or from pure
/// noise (α = 0) is Euler's, with one.
struct dpm2 {
  edm_churn churn{};

  [[nodiscard]] run_plan plan(const run_path& path) const {
    churn.require_valid();
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < path.size(); ++k) {
      const auto [from, to, eval] = churn.lift(run, x, path, k);
      x = detail::log_midpoint_step(run, x, path, eval, to.level);
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
