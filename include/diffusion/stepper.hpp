#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "diffusion/ask_network.hpp"
#include "diffusion/kernels/learned_noise.hpp"
#include "diffusion/kernels/memory_step.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/run_plan.hpp"
#include "diffusion/workspace.hpp"

namespace diffusion {

/// One run of a sampler over a grid, advanced stage by stage: for most methods a stage is a step. Holds no
/// randomness and no hidden time: its state is the index of the stage, the caller's x and the memory of a
/// multistep method.
///
///     stepper run(schedule, grid, ddim{}, x, work);
///     while (!run.done()) run.step(predict, noise);
template <Element T, class Time = double, Executor E = serial>
class stepper {
 public:
  /// A run that is already planned. On entry x holds the state at its first level. `x` and `work` must
  /// outlive the stepper.
  stepper(run_plan plan, rows<T> x, workspace<T>& work, run_options options = {}, E executor = {})
      : plan_(std::move(plan)),
        x_(x),
        work_(&work),
        options_(std::move(options)),
        executor_(std::move(executor)),
        row_plans_(x.count()) {
    detail::require_x0_transform(options_.x0);
    for (const run_stage& stage : plan_.stages) require_executable(stage);
    work.output.resize((plan_.learned_variance ? 2 : 1) * x.data().size());
    work.memory.assign(plan_.slots * x.data().size(), T(0));
    work.noise.resize(x.row_size());
    work.scratch.resize(x.row_size());
  }

  /// Plans every stage, so bad grids, levels and options throw here and not in the middle of a run.
  template <NoiseSchedule Schedule, AnySampler S>
  requires std::same_as<typename Schedule::time_type, Time> stepper(const Schedule& schedule,
                                                                    const basic_time_grid<Time>& grid,
                                                                    const S& sampler, rows<T> x,
                                                                    workspace<T>& work,
                                                                    run_options options = {}, E executor = {})
      : stepper(make_plan(schedule, grid, sampler), x, work, std::move(options), std::move(executor)) {}

  [[nodiscard]] bool done() const noexcept { return stage_ == plan_.stages.size(); }
  /// Stages done, 0 … stages().
  [[nodiscard]] std::size_t stage_index() const noexcept { return stage_; }
  [[nodiscard]] std::size_t stages() const noexcept { return plan_.stages.size(); }
  /// The stage that is about to be done. Only while !done().
  [[nodiscard]] const run_stage& current() const noexcept { return plan_.stages[stage_]; }
  [[nodiscard]] const run_plan& plan() const noexcept { return plan_; }
  [[nodiscard]] rows<const T> x() const noexcept { return x_; }

  /// Asks the network at the current stage, unless that only adds noise. Throws where its kind of prediction
  /// does not determine x_0.
  template <PathPredictor<T, Time> P>
  void predict(P& predictor) {
    require_running();
    predicted_ = false;
    const run_stage& now = current();
    x0_map_ = {0, 0, 0};
    epsilon_map_ = {0, 0, 0};
    if (now.asks) {
      const prediction kind = kind_of(predictor);
      const noise_level told = now.eval.level;
      if (told == now.from.level) {
        x0_map_ = x0_map(kind, told);
        if (uses_epsilon(now)) epsilon_map_ = epsilon_map(kind, told);
      } else {
        // The network was told the other end of the step, and its output means ε̂ only there.
        epsilon_map_ = epsilon_map(kind, told);
        x0_map_ = x0_map(epsilon_map_, now.from.level);
      }
      detail::ask_network<Time>(predictor, x(), now.eval, output());
    }
    predicted_ = true;
  }

  /// x̂0 of the current stage, after predict: what the run would give if it ended here. `x0` has the shape of
  /// x. Not for stages that do not ask the network.
  void preview(rows<T> x0) const {
    require_predicted();
    if (!current().asks) detail::invalid("stage", stage_, "one that asks the network");
    detail::require_rows("x0", x0, x_, x_.row_size());
    for (std::size_t i = 0; i < x_.count(); ++i)
      predict_x0(x0_map_, clamp(i), x_[i], mean_output(i), x0[i], executor_);
  }

  /// Moves x to the next level with the last prediction; draws noise only where the stage uses it.
  template <NoiseSource<T> N>
  void advance(N& noise) {
    require_predicted();
    const run_stage& now = current();
    const bool noisy = draws_noise(now);
    for (std::size_t i = 0; i < x_.count(); ++i)
      row_plans_[i] = {x0_map_, epsilon_map_, now.asks ? clamp(i) : x0_clamp{}, now.next.now};
    if (!now.keep.empty() || !now.next.past.empty()) collect_memory(now);
    const auto address = static_cast<std::uint32_t>(stage_ + 1);
    if constexpr (RowNoiseSource<N>) {
      if (noisy)
        move_rows([&](std::size_t i) { return noise.row(options_.first_sample + i, address).tiles(); });
      else
        move_rows([](std::size_t) { return detail::no_noise{}; });
    } else if (noisy) {
      for (std::size_t i = 0; i < x_.count(); ++i) {
        const std::span<T> z(work_->noise);
        noise(options_.first_sample + i, address, z);
        move_row(i, z);
      }
    } else {
      move_rows([](std::size_t) { return detail::no_noise{}; });
    }
    for (std::size_t i = 0; plan_.learned_variance && now.to.level.sigma > 0 && i < x_.count(); ++i) {
      const std::span<T> z(work_->noise);
      noise(options_.first_sample + i, address, z);
      add_learned_noise(now.variance, output()[i].subspan(x_.row_size()), z, x_[i], executor_);
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
  [[nodiscard]] run_state<T> save() const {
    return {stage_, {x_.data().begin(), x_.data().end()}, work_->memory};
  }

  /// Continues from a saved state of a run with the same arguments: bit-identical to one that was not
  /// interrupted.
  void restore(const run_state<T>& state) {
    if (state.stage > stages())
      detail::invalid("state.stage", state.stage, detail::text("[0, ", stages(), "]"));
    detail::require_size("state.x", state.x.size(), x_.data().size());
    detail::require_size("state.memory", state.memory.size(), work_->memory.size());
    std::copy(state.x.begin(), state.x.end(), x_.data().begin());
    std::copy(state.memory.begin(), state.memory.end(), work_->memory.begin());
    stage_ = state.stage;
    predicted_ = false;
  }

 private:
  template <class Check>
  static bool any_sum(const run_stage& stage, Check check) {
    return check(stage.next.now) ||
           std::any_of(stage.keep.begin(), stage.keep.end(),
                       [&](const memory_write& write) { return check(write.value.now); });
  }
  static bool uses_epsilon(const run_stage& stage) {
    return any_sum(stage, [](const step_coefficients& sum) { return sum.epsilon != 0; });
  }
  static bool draws_noise(const run_stage& stage) {
    return any_sum(stage, [](const step_coefficients& sum) { return sum.noise != 0; });
  }
  void require_executable(const run_stage& stage) const {
    const auto finite = [](const step_coefficients& c) {
      return std::isfinite(c.x) && std::isfinite(c.x0) && std::isfinite(c.epsilon) && std::isfinite(c.noise);
    };
    if (any_sum(stage, [&](const step_coefficients& c) { return !finite(c); }))
      detail::invalid("coefficients of the step from t", stage.from.t, "finite");
    if (stage.keep.size() > max_kept)
      detail::invalid("vectors kept by a stage", stage.keep.size(), detail::text("at most ", max_kept));
  }

  void require_running() const {
    if (done()) detail::invalid("stage", stage_, detail::text("below ", stages(), ": the run is done"));
  }
  void require_predicted() const {
    require_running();
    if (!predicted_) detail::invalid("stage", stage_, "one after predict()");
  }
  rows<T> output() const { return {std::span<T>(work_->output), x_.count()}; }
  std::span<const T> mean_output(std::size_t i) const { return output()[i].first(x_.row_size()); }
  x0_clamp clamp(std::size_t i) const {
    return clamp_for(options_.x0, x0_map_, std::span<const T>(x_[i]), mean_output(i),
                     std::span(work_->scratch));
  }

  T* slot(std::size_t s) const { return work_->memory.data() + s * x_.data().size(); }
  /// The stage's sums with the arrays that its slots are.
  void collect_memory(const run_stage& stage) {
    memory_.past_count = 0;
    memory_.sum_count = 0;
    const auto add_sum = [&](const stage_sum& sum, T* out) {
      memory_sum<T>& entry = memory_.sums[memory_.sum_count++];
      entry = {.now = sum.now, .past = {}, .out = out};
      for (const auto& [index, weight] : sum.past) {
        const T* const vector = slot(index);
        const auto end = memory_.past.begin() + static_cast<std::ptrdiff_t>(memory_.past_count);
        const auto found = std::find(memory_.past.begin(), end, vector);
        if (found == end) {
          if (memory_.past_count == max_past)
            detail::invalid("vectors of memory that a stage reads", max_past + 1,
                            detail::text("at most ", max_past));
          memory_.past[memory_.past_count++] = vector;
        }
        entry.past[static_cast<std::size_t>(found - memory_.past.begin())] += weight;
      }
    };
    add_sum(stage.next, x_.data().data());
    for (const auto& [index, value] : stage.keep) add_sum(value, slot(index));
  }

  template <class NoiseOfRow>
  void move_rows(const NoiseOfRow& noise_of_row) {
    const run_stage& now = current();
    // A stage that asks nothing reads the state where others read the output, with weight 0.
    const rows<const T> out = now.asks ? rows<const T>(output()) : rows<const T>(x_);
    const std::span<const step_plan> plans(row_plans_);
    if (now.keep.empty() && now.next.past.empty())
      detail::step_rows<default_arch>(plans, out, noise_of_row, x_, executor_);
    else
      detail::memory_step_rows<default_arch, T>(plans, memory_, out, noise_of_row, x_, executor_);
  }
  /// One row with noise from a source of whole rows.
  void move_row(std::size_t i, std::span<const T> z) {
    const run_stage& now = current();
    const std::span<const T> out = now.asks ? mean_output(i) : std::span<const T>(x_[i]);
    if (now.keep.empty() && now.next.past.empty()) return apply_step(row_plans_[i], out, z, x_[i], executor_);
    step_memory<T> of_row = memory_;
    const std::size_t offset = i * x_.row_size();
    for (std::size_t j = 0; j < of_row.past_count; ++j) of_row.past[j] += offset;
    for (std::size_t s = 0; s < of_row.sum_count; ++s) of_row.sums[s].out += offset;
    apply_step(row_plans_[i], of_row, out, z, x_[i], executor_);
  }

  run_plan plan_;
  rows<T> x_;
  workspace<T>* work_;
  run_options options_;
  E executor_;
  std::vector<step_plan> row_plans_;
  step_memory<T> memory_;
  prediction_map x0_map_, epsilon_map_;
  std::size_t stage_ = 0;
  bool predicted_ = false;
};

template <class T, class... Options>
stepper(run_plan, rows<T>, workspace<T>&, Options...) -> stepper<T>;
template <class T, class E>
stepper(run_plan, rows<T>, workspace<T>&, run_options, E) -> stepper<T, double, E>;
template <class Schedule, class Time, class S, class T>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&) -> stepper<T, Time>;
template <class Schedule, class Time, class S, class T>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&, run_options)
    -> stepper<T, Time>;
template <class Schedule, class Time, class S, class T, class E>
stepper(const Schedule&, const basic_time_grid<Time>&, S, rows<T>, workspace<T>&, run_options, E)
    -> stepper<T, Time, E>;

}  // namespace diffusion
