#pragma once

#include <cstddef>
#include <vector>

#include "diffusion/compat.hpp"
#include "diffusion/detail/pseudo_linear.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Improved pseudo linear multistep (Zhang & Chen 2023, section 4): pndm that starts with lower orders
/// instead of extra evaluations. Adams-Bashforth weights of equal steps on ε̂, which then counts as constant
/// over the step. One evaluation per step, order - 1 vectors of memory. Of second order for steps that are
/// even in some time, up to that of its start for steps even in σ/α; see lms for weights that know the grid.
/// ε̂ is derived from the transformed x̂0.
struct ipndm {
  int order = 4;  ///< in [1, 4]; 1 is ddim{}

  /// diffusers takes x̂0 = 0 in a step from pure noise, which loses the mean of the data.
  compat peer = compat::none;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (order < 1 || order > 4) detail::invalid("order", order, "[1, 4]");
    if (peer != compat::none && peer != compat::diffusers)
      detail::invalid("peer", static_cast<int>(peer), "none or diffusers");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    std::vector<traced> slopes;
    for (const auto& [from, to, eval] : path) {
      const auto now = run.ask(x, from);
      slopes.insert(slopes.begin(), run.keep(detail::direction(x, now, from.level)));
      if (slopes.size() > static_cast<std::size_t>(order)) slopes.pop_back();
      if (from.level.alpha > 0) {
        const detail::transfer step(from.level, to.level);
        x = step.x * x + step.epsilon * detail::adams_bashforth(slopes);
      } else {
        x = detail::moved(ddim{}(from.level, to.level), x, now);
        if (peer == compat::diffusers) x = to.level.sigma * slopes[0];
      }
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
