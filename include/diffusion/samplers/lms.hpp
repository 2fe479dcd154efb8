#pragma once

#include <cstddef>
#include <vector>

#include "diffusion/detail/lagrange.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Linear multistep (Adams-Bashforth) for the probability flow dy/dς = ε, y = x/α, ς = σ/α, with the exact
/// weights of an uneven grid (k-diffusion, LMSDiscreteScheduler). One evaluation per step; step k has the
/// order min(k, order). The Euler step at the start leaves an error of O(h²), so a run is of order min(order,
/// 2) unless its first steps are short: on grids that begin like u² the full order shows up to 4.
struct lms {
  int order = 4;  ///< ≥ 1; 1 is Euler's method, ddim{}

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (order < 1) detail::invalid("order", order, "at least 1");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    std::vector<double> at;      // ς of the slopes, the newest first
    std::vector<traced> slopes;  // ε
    for (const auto& [from, to, eval] : path) {
      const auto predicted = run.ask(x, eval);
      traced next = detail::moved(ddim{}(from.level, to.level), x, predicted);
      if (from.level.alpha > 0) {  // a slope at ς = ∞ is no use to a polynomial
        const double s = noise_to_signal(from.level);
        const double length = noise_to_signal(to.level) - s;
        at.insert(at.begin(), s);
        slopes.insert(slopes.begin(), run.keep(detail::direction(x, predicted, from.level)));
        if (slopes.size() > static_cast<std::size_t>(order)) {
          at.pop_back();
          slopes.pop_back();
        }
        std::vector<double> nodes;
        for (const double node : at) nodes.push_back(node - s);
        std::vector<double> weights = detail::lagrange_integrals(nodes, length);
        weights[0] -= length;  // what Euler's step has already
        for (std::size_t j = 0; slopes.size() > 1 && j < slopes.size(); ++j)
          next += (to.level.alpha * weights[j]) * slopes[j];
      }
      x = next;
      run.arrive(x, to);
    }
    return run.finish();
  }
};

}  // namespace diffusion
