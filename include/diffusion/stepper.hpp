#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/predictor.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/schedule.hpp"
#include "diffusion/time_grid.hpp"
#include "diffusion/x0_transform.hpp"

namespace diffusion {

/// Memory of a run, owned by the caller: allocated here and never during the run.
template <Element T>
struct workspace {
  /// For `count` samples of `row_size` elements. A learned variance doubles the model's output.
  workspace(std::size_t count, std::size_t row_size, bool learned_variance = false)
      : output(count * row_size * (learned_variance ? 2 : 1)), noise(row_size), scratch(row_size) {}

  std::vector<T> output;               ///< model output of the current step
  std::vector<T> noise;                ///< one row, for sources whose rows kernels cannot make as they go
  std::vector<arithmetic<T>> scratch;  ///< one row
};

struct run_options {
  x0_transform x0 = x0_keep{};
  std::uint64_t first_sample = 0;  ///< address of row 0 in the noise source; row i is first_sample + i
};

/// A run that can be stopped and continued after any step.
template <Element T>
struct run_state {
  std::size_t step = 0;  ///< steps done
  std::vector<T> x;
};

/// One run of a sampler over a grid, advanced step by step. Holds no randomness and no hidden time: its state
/// is the step index and the caller's x.
///
///     stepper run(schedule, grid, ddim{}, x, work);
///     while (!run.done()) run.step(predict, noise);
template <Element T, class Time, Sampler S, Executor E = serial>
class stepper {
 public:
  /// Plans every step, so bad grids, levels and options throw here and not in the middle of a run. On entry x
  /// holds the state at the first level of the grid. `x` and `work` must outlive the stepper.
  template <NoiseSchedule Schedule>
  requires std::same_as<typename Schedule::time_type, Time> stepper(const Schedule& schedule,
                                                                    const basic_time_grid<Time>& grid,
                                                                    S sampler, rows<T> x, workspace<T>& work,
                                                                    run_options options = {}, E executor = {})
      : sampler_(std::move(sampler)),
        x_(x),
        work_(&work),
        options_(std::move(options)),
        executor_(std::move(executor)),
        row_plans_(x.count()) {
    const std::size_t width = LearnedVarianceSampler<S> ? 2 : 1;
    detail::require_size("workspace.output", work.output.size(), width * x.data().size());
    detail::require_size("workspace.noise", work.noise.size(), x.row_size());
    detail::require_size("workspace.scratch", work.scratch.size(), x.row_size());
    detail::require_x0_transform(options_.x0);
    plan_.reserve(grid.size());
    for (const interval<Time>& step : grid) {
      const noise_level from = schedule.level(step.from);
      const noise_level to = schedule.level(step.to);
      planned now{step, {step.eval, schedule.level(step.eval)}, from, to, sampler_(from, to), {}};
      if constexpr (LearnedVarianceSampler<S>) now.variance = sampler_.variance_of(from, to);
      plan_.push_back(now);
    }
  }

  [[nodiscard]] bool done() const noexcept { return step_ == plan_.size(); }
  /// Steps done, 0 … steps().
  [[nodiscard]] std::size_t step_index() const noexcept { return step_; }
  [[nodiscard]] std::size_t steps() const noexcept { return plan_.size(); }
  /// The step that is about to be done. Only while !done().
  [[nodiscard]] const interval<Time>& current() const noexcept { return plan_[step_].times; }
  [[nodiscard]] rows<const T> x() const noexcept { return x_; }

  /// Asks the network at the current step. Throws where its kind of prediction does not determine x_0.
  template <Predictor<T, Time> P>
  void predict(P& predictor) {
    require_running();
    const planned& now = plan_[step_];
    const prediction kind = kind_of(predictor);
    predicted_ = false;
    if (now.at.level == now.from) {
      x0_map_ = x0_map(kind, now.from);
      epsilon_map_ = now.coefficients.epsilon != 0 ? epsilon_map(kind, now.from) : prediction_map{};
    } else {
      // The network was told the other end of the step, and its output means ε̂ only there.
      epsilon_map_ = epsilon_map(kind, now.at.level);
      x0_map_ = x0_map(epsilon_map_, now.from);
    }
    predictor(x(), now.at, output());
    predicted_ = true;
  }

  /// x̂0 of the current step, after predict: what the run would give if it ended here. `x0` has the shape of
  /// x.
  void preview(rows<T> x0) const {
    require_predicted();
    detail::require_rows("x0", x0, x_, x_.row_size());
    for (std::size_t i = 0; i < x_.count(); ++i)
      predict_x0(x0_map_, clamp(i), x_[i], mean_output(i), x0[i], executor_);
  }

  /// Moves x to the next level with the last prediction; draws noise only where the step uses it.
  template <NoiseSource<T> N>
  void advance(N& noise) {
    require_predicted();
    const planned& now = plan_[step_];
    const std::span<T> z(work_->noise);
    const auto address = static_cast<std::uint32_t>(step_ + 1);
    for (std::size_t i = 0; i < x_.count(); ++i)
      row_plans_[i] = {x0_map_, epsilon_map_, clamp(i), now.coefficients};
    if constexpr (RowNoiseSource<N>) {
      const auto step_all = [&](const auto& noise_of_row) {
        detail::step_rows<default_arch>(std::span<const step_plan>(row_plans_), rows<const T>(output()),
                                        noise_of_row, x_, executor_);
      };
      if (now.coefficients.noise != 0)
        step_all([&](std::size_t i) { return noise.row(options_.first_sample + i, address).tiles(); });
      else
        step_all([](std::size_t) { return detail::no_noise{}; });
    } else {
      for (std::size_t i = 0; i < x_.count(); ++i) {
        if (now.coefficients.noise != 0) noise(options_.first_sample + i, address, z);
        apply_step(row_plans_[i], mean_output(i), z, x_[i], executor_);
      }
    }
    if constexpr (LearnedVarianceSampler<S>) {
      for (std::size_t i = 0; now.to.sigma > 0 && i < x_.count(); ++i) {
        noise(options_.first_sample + i, address, z);
        add_learned_noise(now.variance, output()[i].subspan(x_.row_size()), z, x_[i], executor_);
      }
    }
    ++step_;
    predicted_ = false;
  }

  template <Predictor<T, Time> P, NoiseSource<T> N>
  void step(P& predictor, N& noise) {
    predict(predictor);
    advance(noise);
  }

  /// A copy of the state before the current step.
  [[nodiscard]] run_state<T> save() const { return {step_, {x_.data().begin(), x_.data().end()}}; }

  /// Continues from a saved state of a run with the same arguments: bit-identical to one that was not
  /// interrupted.
  void restore(const run_state<T>& state) {
    if (state.step > steps()) detail::invalid("state.step", state.step, detail::text("[0, ", steps(), "]"));
    detail::require_size("state.x", state.x.size(), x_.data().size());
    std::copy(state.x.begin(), state.x.end(), x_.data().begin());
    step_ = state.step;
    predicted_ = false;
  }

 private:
  struct planned {
    interval<Time> times;
    time_point<Time> at;
    noise_level from, to;
    step_coefficients coefficients;
    variance_map variance;  // only of samplers that learn it
  };

  void require_running() const {
    if (done()) detail::invalid("step", step_, detail::text("below ", steps(), ": the run is done"));
  }
  void require_predicted() const {
    require_running();
    if (!predicted_) detail::invalid("step", step_, "one after predict()");
  }
  rows<T> output() const { return {std::span<T>(work_->output), x_.count()}; }
  std::span<const T> mean_output(std::size_t i) const { return output()[i].first(x_.row_size()); }
  x0_clamp clamp(std::size_t i) const {
    return clamp_for(options_.x0, x0_map_, std::span<const T>(x_[i]), mean_output(i),
                     std::span(work_->scratch));
  }

  S sampler_;
  rows<T> x_;
  workspace<T>* work_;
  run_options options_;
  E executor_;
  std::vector<planned> plan_;
  std::vector<step_plan> row_plans_;
  prediction_map x0_map_, epsilon_map_;
  std::size_t step_ = 0;
  bool predicted_ = false;
};

template <class Schedule, class Time, class S, class T, class E>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&, run_options, E)
    -> stepper<T, Time, S, E>;
template <class Schedule, class Time, class S, class T>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&, run_options)
    -> stepper<T, Time, S>;
template <class Schedule, class Time, class S, class T>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&) -> stepper<T, Time, S>;

}  // namespace diffusion
