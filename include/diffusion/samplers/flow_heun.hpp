#pragma once

#include <cstddef>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Heun's method along a rectified flow: in y = x/(α + σ) over u = σ/(α + σ), where dy/du is the velocity ε -
/// x_0 and the straighter the flow, the smaller the error (Liu et al. 2023). Over flow levels y
/// is the state and u is σ; it serves every process. Order 2, two evaluations per step, also from pure noise;
/// a step to clean data is Euler's, with one. heun is the same in x/α over σ/α.
struct flow_heun {
  [[nodiscard]] run_plan plan(const run_path& path) const {
    path.require_chained();
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < path.size(); ++k) {
      const auto& [from, to, eval] = path[k];
      const auto first = run.ask(x, from);
      x = detail::moved(ddim{}(from.level, to.level), x, first);
      if (from.level.sigma > 0 && to.level.sigma > 0) {
        // The velocities differ by (x̂0_1 - x̂0_2)/u_to at the point that Euler's step reached.
        const auto second = run.ask(x, to);
        const double scale = to.level.alpha + to.level.sigma;
        const double ratio = flow_sigma(from.level) / flow_sigma(to.level);
        x += (scale * (ratio - 1) / 2) * (second.x0 - first.x0);
      }
      run.arrive(x, to);
    }
    return run.finish();
  }

 private:
  [[nodiscard]] static double flow_sigma(noise_level level) {
    return level.sigma / (level.alpha + level.sigma);
  }
};

}  // namespace diffusion
