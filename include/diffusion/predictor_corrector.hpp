#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "diffusion/ask_network.hpp"
#include "diffusion/kernels/ordered_sum.hpp"
#include "diffusion/samplers/langevin.hpp"
#include "diffusion/samplers/reverse_diffusion.hpp"
#include "diffusion/stepper.hpp"

namespace diffusion {

/// Langevin dynamics with steps of size τ = 2 κ² (snr ‖z‖/‖∇ log q‖)² (Song et al. 2021 score SDE, algorithms
/// 4, 5), κ = α_from/α_to of the step that follows: 1 in variance exploding processes.
struct langevin_corrector {
  double snr = 0.16;  ///< r of the paper, (0, inf)
  int steps = 1;      ///< before each step of the predictor, at least 0

  /// Norms are those of each sample (default), or their means over the batch (the paper's code, diffusers):
  /// then a sample depends on the batch that it is in.
  bool batch_norms = false;
};

/// A run of the predictor-corrector method: at each point corrections, then a step of a one-step sampler. A
/// stage asks the network once; its noise has the address stage + 1. Like stepper, but with steps whose size
/// depends on what the network says.
template <Element T, class Time = double, Executor E = serial>
class predictor_corrector_run {
 public:
  /// On entry x holds the state at the first level. `x` and `work` must outlive the run.
  template <Sampler S>
  predictor_corrector_run(const run_path& path, const S& sampler, const langevin_corrector& corrector,
                          rows<T> x, workspace<T>& work, run_options options = {}, E executor = {})
      : corrector_(corrector),
        x_(x),
        work_(&work),
        options_(std::move(options)),
        executor_(std::move(executor)),
        row_plans_(x.count()),
        norm_ratios_(x.count()) {
    detail::require_positive("snr", corrector.snr);
    if (corrector.steps < 0) detail::invalid("steps", corrector.steps, "at least 0");
    detail::require_x0_transform(options_.x0);
    for (const path_step& step : path) {
      const step_coefficients next = sampler(step.from.level, step.to.level);
      const double kept = step.from.level.alpha / step.to.level.alpha;
      stages_.insert(stages_.end(), static_cast<std::size_t>(corrector.steps),
                     {{step.from, step.from, step.eval}, true, kept, {}});
      stages_.push_back({step, false, kept, next});
    }
    work.output.resize(x.data().size());
    work.noise.resize(x.row_size());
    work.scratch.resize(x.row_size());
  }

  [[nodiscard]] bool done() const noexcept { return stage_ == stages_.size(); }
  /// Stages done, 0 … stages().
  [[nodiscard]] std::size_t stage_index() const noexcept { return stage_; }
  [[nodiscard]] std::size_t stages() const noexcept { return stages_.size(); }
  /// The points of the stage that is about to be done. Only while !done().
  [[nodiscard]] const path_step& current() const noexcept { return stages_[stage_].points; }
  /// Whether it is a correction.
  [[nodiscard]] bool corrects() const noexcept { return stages_[stage_].corrects; }
  [[nodiscard]] rows<const T> x() const noexcept { return x_; }

  /// Asks the network at the current stage.
  template <PathPredictor<T, Time> P>
  void predict(P& predictor) {
    require_running();
    predicted_ = false;
    const path_step& now = current();
    maps_ = detail::maps_of(kind_of(predictor), now.eval.level, now.from.level);
    detail::ask_network<Time, T>(predictor, x(), now.eval, output());
    predicted_ = true;
  }

  /// x̂0 of the current stage, after predict.
  void preview(rows<T> x0) const {
    require_predicted();
    detail::require_rows("x0", x0, x_, x_.row_size());
    for (std::size_t i = 0; i < x_.count(); ++i)
      predict_x0(maps_.x0, clamp(i), x_[i], output()[i], x0[i], executor_);
  }

  /// Moves x with the last prediction.
  template <NoiseSource<T> N>
  void advance(N& noise) {
    require_predicted();
    const stage& now = stages_[stage_];
    for (std::size_t i = 0; i < x_.count(); ++i)
      row_plans_[i] = {maps_.x0, maps_.epsilon, clamp(i), now.step};
    if (now.corrects) {
      measure_norms(noise);
      for (std::size_t i = 0; i < x_.count(); ++i) {
        const double size = corrector_.snr * now.kept * norm_ratios_[i];
        row_plans_[i].step = correction(2 * size * size, now.points.from.level);
      }
    }
    const auto address = static_cast<std::uint32_t>(stage_ + 1);
    if constexpr (RowNoiseSource<N>) {
      apply_step(std::span<const step_plan>(row_plans_), rows<const T>(output()), noise, address,
                 options_.first_sample, x_, executor_);
    } else {
      const std::span<T> z(work_->noise);
      for (std::size_t i = 0; i < x_.count(); ++i) {
        if (row_plans_[i].step.noise != 0) noise(options_.first_sample + i, address, z);
        apply_step(row_plans_[i], output()[i], z, x_[i], executor_);
      }
    }
    ++stage_;
    predicted_ = false;
  }

  template <PathPredictor<T, Time> P, NoiseSource<T> N>
  void step(P& predictor, N& noise) {
    predict(predictor);
    advance(noise);
  }

  /// A copy of the state before the current stage.
  [[nodiscard]] run_state<T> save() const { return {stage_, {x_.data().begin(), x_.data().end()}, {}}; }

  /// Continues from a saved state of a run with the same arguments: bit-identical to one that was not
  /// interrupted.
  void restore(const run_state<T>& state) {
    if (state.stage > stages())
      detail::invalid("state.stage", state.stage, detail::text("[0, ", stages(), "]"));
    detail::require_size("state.x", state.x.size(), x_.data().size());
    std::copy(state.x.begin(), state.x.end(), x_.data().begin());
    stage_ = state.stage;
    predicted_ = false;
  }

 private:
  struct stage {
    path_step points;
    bool corrects;
    double kept;  ///< κ
    step_coefficients step;
  };

  void require_running() const {
    if (done()) detail::invalid("stage", stage_, detail::text("below ", stages(), ": the run is done"));
  }
  void require_predicted() const {
    require_running();
    if (!predicted_) detail::invalid("stage", stage_, "one after predict()");
  }
  [[nodiscard]] rows<T> output() const { return {std::span<T>(work_->output), x_.count()}; }
  [[nodiscard]] x0_clamp clamp(std::size_t i) const {
    return clamp_for(options_.x0, maps_.x0, std::span<const T>(x_[i]), output()[i],
                     std::span(work_->scratch));
  }
  [[nodiscard]] bool transforms() const { return !std::holds_alternative<x0_keep>(options_.x0); }

  /// A step of Langevin dynamics. Where x̂0 is not transformed, with the network's own ε̂, which has more
  /// digits.
  [[nodiscard]] step_coefficients correction(double size, noise_level level) const {
    if (transforms()) return detail::langevin_step(size, level);
    return {.x = 1, .x0 = 0, .epsilon = -size / level.sigma, .noise = std::sqrt(2 * size)};
  }

  /// ‖ε̂‖² of one sample.
  [[nodiscard]] double squared_epsilon(std::size_t i) const {
    const T* const x = x_[i].data();
    const T* const out = output()[i].data();
    const auto square_of = [&](auto epsilon) {
      return detail::ordered_sum(x_.row_size(), [=](std::size_t j) {
        const double e = epsilon(detail::widened(x[j]), detail::widened(out[j]));
        return e * e;
      });
    };
    if (!transforms()) return square_of(maps_.epsilon);
    const auto [alpha, sigma] = current().from.level;
    const x0_clamp limits = row_plans_[i].clamp;
    return square_of([=, map = maps_.x0, a = alpha, s = sigma](double state, double output) {
      return (state - a * limits(map(state, output))) / s;
    });
  }

  /// ‖z‖/‖∇ log q‖ for every sample.
  template <class N>
  void measure_norms(N& noise) {
    const double sigma = current().from.level.sigma;
    const std::span<T> z(work_->noise);
    double all_noise = 0;
    double all_scores = 0;
    for (std::size_t i = 0; i < x_.count(); ++i) {
      noise(options_.first_sample + i, static_cast<std::uint32_t>(stage_ + 1), z);
      const double of_noise = std::sqrt(detail::ordered_sum(
          z.size(), [&](std::size_t j) { return detail::widened(z[j]) * detail::widened(z[j]); }));
      const double of_score = std::sqrt(squared_epsilon(i)) / sigma;
      if (!(of_score > 0)) detail::invalid("norm of the score", of_score, "(0, inf)");
      norm_ratios_[i] = of_noise / of_score;
      all_noise += of_noise;
      all_scores += of_score;
    }
    if (corrector_.batch_norms) std::fill(norm_ratios_.begin(), norm_ratios_.end(), all_noise / all_scores);
  }

  langevin_corrector corrector_;
  rows<T> x_;
  workspace<T>* work_;
  run_options options_;
  E executor_;
  std::vector<step_plan> row_plans_;
  std::vector<double> norm_ratios_;
  std::vector<stage> stages_;
  detail::prediction_maps maps_;
  std::size_t stage_ = 0;
  bool predicted_ = false;
};

/// Runs a one-step sampler with a Langevin corrector over a whole grid, in place: (steps + 1) evaluations per
/// step. Song et al.'s "PC sampler" is reverse_diffusion{} with langevin_corrector{.batch_norms = true}.
template <NoiseSchedule Schedule, Sampler S, Element T, PathPredictor<T, typename Schedule::time_type> P,
          NoiseSource<T> N, Executor E = serial>
void sample_predictor_corrector(const Schedule& schedule,
                                const basic_time_grid<typename Schedule::time_type>& grid, const S& sampler,
                                const langevin_corrector& corrector, P&& predictor, N&& noise, rows<T> x,
                                workspace<T>& work, const run_options& options = {}, const E& executor = {}) {
  predictor_corrector_run<T, typename Schedule::time_type, E> run(run_path(schedule, grid), sampler,
                                                                  corrector, x, work, options, executor);
  while (!run.done()) run.step(predictor, noise);
}

}  // namespace diffusion
