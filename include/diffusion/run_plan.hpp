#pragma once

#include <concepts>
#include <cstddef>
#include <vector>

#include "diffusion/run_path.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

/// A vector that an earlier stage left in the run's memory, weighted.
struct memory_term {
  std::size_t slot = 0;
  double weight = 0;
};

/// A weighted sum of the stage's state, prediction and noise, and of what earlier stages left in memory.
struct stage_sum {
  step_coefficients now;
  std::vector<memory_term> past;
};

/// What a stage leaves in memory for later ones.
struct memory_write {
  std::size_t slot = 0;
  stage_sum value;
};

/// The unit of a run: the network is asked once (or not at all, where a stage only adds noise), the state
/// moves once.
struct run_stage {
  path_point from, to;  ///< of the state, before and after
  path_point eval;      ///< what the network is told
  bool asks = true;     ///< whether the network is asked
  bool arrives = true;  ///< whether `to` is a point of the path; else the stage is a part of a step
  stage_sum next;       ///< the state after the stage
  std::vector<memory_write> keep;  ///< read before written: a slot may be in both
  variance_map variance{};         ///< of the noise, where the run's variance is learned
};

/// A whole run as data: every coefficient of every stage, computed before the first evaluation.
struct run_plan {
  std::vector<run_stage> stages;
  std::size_t slots = 0;          ///< vectors of memory beside the state
  bool learned_variance = false;  ///< the network has a second output per element
};

/// A method of several stages per step or with a memory: lays out a whole run, see trace.
template <class S>
concept PlannedSampler = requires(const S& sampler, const run_path& path) {
  { sampler.plan(path) } -> std::same_as<run_plan>;
};

template <class S>
concept AnySampler = Sampler<S> || PlannedSampler<S>;

/// The run of a sampler along a path, or over a schedule and a grid. Bad options, grids and levels throw here
/// and not in the middle of a run.
template <AnySampler S>
[[nodiscard]] run_plan make_plan(const run_path& path, const S& sampler) {
  if constexpr (PlannedSampler<S>) {
    return sampler.plan(path);
  } else {
    run_plan plan;
    plan.stages.reserve(path.size());
    plan.learned_variance = LearnedVarianceSampler<S>;
    for (const auto& [from, to, eval] : path) {
      plan.stages.push_back(
          {.from = from, .to = to, .eval = eval, .next = {sampler(from.level, to.level), {}}, .keep = {}});
      if constexpr (LearnedVarianceSampler<S>)
        plan.stages.back().variance = sampler.variance_of(from.level, to.level);
    }
    return plan;
  }
}
template <NoiseSchedule Schedule, AnySampler S>
[[nodiscard]] run_plan make_plan(const Schedule& schedule,
                                 const basic_time_grid<typename Schedule::time_type>& grid,
                                 const S& sampler) {
  return make_plan(run_path(schedule, grid), sampler);
}

}  // namespace diffusion
