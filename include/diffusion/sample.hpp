#pragma once

#include <type_traits>

#include "diffusion/stepper.hpp"

namespace diffusion {

/// Runs a sampler over a whole grid, in place: on entry x holds the state at the first level (for a
/// generative run, noise: see draw_noise with step 0), on return the state at the last.
///
/// `on_step(run)` is called before each step, after the network was asked: it may read run.step_index(),
/// run.x() and run.preview(x0), and may return false to stop. Returns the number of steps done; x is then the
/// state after them. The kernels run on `executor`, with the same result for each.
template <NoiseSchedule Schedule, class Time, Sampler S, Element T, Predictor<T, Time> P, NoiseSource<T> N,
          class OnStep, Executor E = serial>
requires(!Executor<OnStep>) std::size_t
    sample(const Schedule& schedule, const basic_time_grid<Time>& grid, S sampler, P&& predictor, N&& noise,
           rows<T> x, workspace<T>& work, const run_options& options, OnStep&& on_step,
           const E& executor = {}) {
  stepper run(schedule, grid, std::move(sampler), x, work, options, executor);
  while (!run.done()) {
    run.predict(predictor);
    if constexpr (std::is_same_v<decltype(on_step(run)), bool>) {
      if (!on_step(run)) break;
    } else {
      on_step(run);
    }
    run.advance(noise);
  }
  return run.step_index();
}

template <NoiseSchedule Schedule, class Time, Sampler S, Element T, Predictor<T, Time> P, NoiseSource<T> N,
          Executor E = serial>
std::size_t sample(const Schedule& schedule, const basic_time_grid<Time>& grid, S sampler, P&& predictor,
                   N&& noise, rows<T> x, workspace<T>& work, const run_options& options = {},
                   const E& executor = {}) {
  return sample(
      schedule, grid, std::move(sampler), predictor, noise, x, work, options, [](const auto&) {}, executor);
}

}  // namespace diffusion
