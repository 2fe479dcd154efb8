#pragma once

#include <cstddef>
#include <map>

#include "diffusion/detail/traced_step.hpp"
#include "diffusion/renoise.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/trace.hpp"

namespace diffusion {

/// RePaint's resampling (Lugmayr et al. 2022, algorithm 1 with jumps as in appendix B): whenever the run has
/// come down to a multiple of `jump_length` steps before the end, it adds noise until it is that many steps
/// back and comes down again, until it has been down `jump_n_sample` times. One stage per jump: the same
/// distribution as noise step by step. To inpaint, the known part is replaced after each step: see
/// sample_inpaint.
template <Sampler S = ddpm>
struct repaint {
  S sampler{};             ///< of the steps down, stochastic to be of use
  int jump_length = 10;    ///< j, in steps of the path, at least 1
  int jump_n_sample = 10;  ///< r, at least 1: 1 is the sampler alone

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (jump_length < 1) detail::invalid("jump_length", jump_length, "at least 1");
    if (jump_n_sample < 1) detail::invalid("jump_n_sample", jump_n_sample, "at least 1");
    path.require_chained();
    const std::size_t n = path.size();
    const auto length = static_cast<std::size_t>(jump_length);
    std::map<std::size_t, int> jumps;  // those that are left, by the number of steps before the end
    for (std::size_t left = 0; left + length < n; left += length) jumps[left] = jump_n_sample - 1;
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < n; ++k) {
      const path_step& now = path[k];
      const step_coefficients step = sampler(now.from.level, now.to.level);
      const auto predicted = run.ask(x, now.from);
      x = detail::moved(step, x, predicted) + step.noise * run.noise();
      run.arrive(x, now.to);
      const auto jump = jumps.find(n - 1 - k);
      if (jump == jumps.end() || jump->second == 0) continue;
      --jump->second;
      const path_point& back = path.point(k + 1 - length);
      const step_coefficients up = renoise({.x = 1}, now.to.level, back.level);
      x = up.x * x + up.noise * run.noise();
      run.arrive(x, back);
      k -= length;
    }
    return run.finish();
  }
};

}  // namespace diffusion
