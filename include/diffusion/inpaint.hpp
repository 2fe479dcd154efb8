#pragma once

#include <cstdint>

#include "diffusion/kernels/blend_known.hpp"
#include "diffusion/sample.hpp"

namespace diffusion {

/// The address of the noise of the known part after `stages` stages of a run: apart from those of the stages.
[[nodiscard]] constexpr std::uint32_t known_noise_step(std::size_t stages) noexcept {
  return 0x8000'0000u + static_cast<std::uint32_t>(stages);
}

/// Replaces the known part of a run's state where it has arrived: at its start and after each step that asked
/// the network. Adding noise keeps the known part right by itself.
template <Element T, class Time, Executor E, NoiseSource<T> N>
void blend_known(const stepper<T, Time, E>& run, const known_part<T>& known, N& noise, rows<T> x,
                 workspace<T>& work, std::uint64_t first_sample = 0, const E& executor = {}) {
  const std::size_t done = run.stage_index();
  const auto& stages = run.plan().stages;
  if (done > 0 && !(stages[done - 1].asks && stages[done - 1].arrives)) return;
  const noise_level level = done > 0 ? stages[done - 1].to.level : stages[0].from.level;
  blend_known(known, level, noise, known_noise_step(done), first_sample, x, std::span<T>(work.noise),
              executor);
}

/// Inpainting with an unconditional network: samples the rest of partly known data, in place. After each step
/// the known part is replaced by a draw of q(x_t | x_0), which makes the rest fit approximately; with
/// repaint<…> as the sampler better the more often it jumps (Lugmayr et al. 2022). Works with every sampler.
/// x starts as noise.
template <Element T, PathPredictor<T, double> P, NoiseSource<T> N, Executor E = serial>
void sample_inpaint(const run_plan& plan, const known_part<T>& known, P&& predictor, N&& noise, rows<T> x,
                    workspace<T>& work, const run_options& options = {}, const E& executor = {}) {
  detail::require_known(known, x);
  stepper<T, double, E> run(plan, x, work, options, executor);
  blend_known(run, known, noise, x, work, options.first_sample, executor);
  while (!run.done()) {
    run.step(predictor, noise);
    blend_known(run, known, noise, x, work, options.first_sample, executor);
  }
}
template <NoiseSchedule Schedule, AnySampler S, Element T, PathPredictor<T, double> P, NoiseSource<T> N,
          Executor E = serial>
void sample_inpaint(const Schedule& schedule, const basic_time_grid<typename Schedule::time_type>& grid,
                    const S& sampler, const known_part<T>& known, P&& predictor, N&& noise, rows<T> x,
                    workspace<T>& work, const run_options& options = {}, const E& executor = {}) {
  sample_inpaint(make_plan(schedule, grid, sampler), known, predictor, noise, x, work, options, executor);
}

}  // namespace diffusion
