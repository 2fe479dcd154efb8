#pragma once

#include <type_traits>
#include <utility>

#include "diffusion/stepper.hpp"

namespace diffusion {

namespace detail {

template <class Run, class P, class N, class OnStep>
std::size_t run_to_end(Run& run, P& predictor, N& noise, OnStep& on_step) {
  for (; !run.done(); run.advance(noise)) {
    run.predict(predictor);
    if (!run.current().asks) continue;
    if constexpr (std::is_same_v<decltype(on_step(run)), bool>) {
      if (!on_step(run)) break;
    } else {
      on_step(run);
    }
  }
  return run.stage_index();
}

struct ignore_step {
  void operator()(const auto&) const {}
};

}  // namespace detail

/// Runs a sampler over a whole grid, in place: on entry x holds the state at the first level (for a
/// generative run, noise: see draw_noise with step 0), on return the state at the last.
///
/// `on_step(run)` is called whenever the network was asked, before the state moves: it may read
/// run.stage_index(), run.x() and run.preview(x0), and may return false to stop. Returns the number of stages
/// done (steps, for methods of one stage per step); x is then the state after them. The kernels run on
/// `executor`, with the same result for each.
template <NoiseSchedule Schedule, AnySampler S, Element T, PathPredictor<T, typename Schedule::time_type> P,
          NoiseSource<T> N, class OnStep, Executor E = serial>
requires(!Executor<OnStep>) std::size_t
    sample(const Schedule& schedule, const basic_time_grid<typename Schedule::time_type>& grid,
           const S& sampler, P&& predictor, N&& noise, rows<T> x, workspace<T>& work,
           const run_options& options, OnStep&& on_step, const E& executor = {}) {
  stepper run(schedule, grid, sampler, x, work, options, executor);
  return detail::run_to_end(run, predictor, noise, on_step);
}
template <NoiseSchedule Schedule, AnySampler S, Element T, PathPredictor<T, typename Schedule::time_type> P,
          NoiseSource<T> N, Executor E = serial>
std::size_t sample(const Schedule& schedule, const basic_time_grid<typename Schedule::time_type>& grid,
                   const S& sampler, P&& predictor, N&& noise, rows<T> x, workspace<T>& work,
                   const run_options& options = {}, const E& executor = {}) {
  return sample(schedule, grid, sampler, predictor, noise, x, work, options, detail::ignore_step{}, executor);
}

/// The same for a run that is planned, as make_plan(path, sampler) does.
template <Element T, PathPredictor<T, double> P, NoiseSource<T> N, class OnStep, Executor E = serial>
requires(!Executor<OnStep>) std::size_t
    sample(const run_plan& plan, P&& predictor, N&& noise, rows<T> x, workspace<T>& work,
           const run_options& options, OnStep&& on_step, const E& executor = {}) {
  stepper run(plan, x, work, options, executor);
  return detail::run_to_end(run, predictor, noise, on_step);
}
template <Element T, PathPredictor<T, double> P, NoiseSource<T> N, Executor E = serial>
std::size_t sample(const run_plan& plan, P&& predictor, N&& noise, rows<T> x, workspace<T>& work,
                   const run_options& options = {}, const E& executor = {}) {
  return sample(plan, predictor, noise, x, work, options, detail::ignore_step{}, executor);
}

}  // namespace diffusion
