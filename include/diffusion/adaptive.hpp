#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "diffusion/ask_network.hpp"
#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/kernels/ordered_sum.hpp"
#include "diffusion/renoise.hpp"
#include "diffusion/samplers/dpm_adaptive.hpp"
#include "diffusion/stepper.hpp"

namespace diffusion {

/// What an adaptive run did so far, over all samples that have steps of their own.
struct adaptive_info {
  std::size_t steps = 0;        ///< attempts
  std::size_t evaluations = 0;  ///< calls of the network
  std::size_t accepted = 0;
  std::size_t rejected = 0;
};

/// An adaptive run between two attempts.
template <Element T>
struct adaptive_state {
  std::size_t group = 0;      ///< the sample that is under way, where each has steps of its own
  double half_log_snr = 0;    ///< λ, where it is
  std::uint32_t arrived = 0;  ///< its accepted steps
  std::size_t attempts = 0;   ///< all of its steps
  detail::step_size_controller controller;
  noise_level previous_level;  ///< of `previous`
  adaptive_info info;
  std::vector<T> x;
  std::vector<T> previous;  ///< the result of lower order of the step before
};

/// A run of dpm_adaptive from σ/α = `from` to σ/α = `to` > 0, attempt by attempt: towards the data, or,
/// without noise, away from it. Errors are those of x/α, so that a run is the same in every process with the
/// same σ/α. Where each sample has its own steps, one after the other runs from start to end.
///
/// The noise of the k-th accepted step of a sample has the address k, from 1; a rejected step has none.
template <Element T, InvertibleSchedule Schedule, Executor E = serial>
class adaptive_stepper {
 public:
  using Time = typename Schedule::time_type;

  /// On entry x holds the state at `from`. `x` and `work` must outlive the stepper.
  adaptive_stepper(Schedule schedule, double from, double to, const dpm_adaptive& method, rows<T> x,
                   workspace<T>& work, run_options options = {}, E executor = {})
      : schedule_(std::move(schedule)),
        start_(half_log_snr_of("from", from)),
        end_(half_log_snr_of("to", to)),
        method_(method),
        x_(x),
        work_(&work),
        options_(std::move(options)),
        executor_(std::move(executor)),
        groups_(method.batch == batch_error::each ? x.count() : 1),
        group_rows_(x.count() / groups_),
        size_(group_rows_ * x.row_size()),
        row_plans_(group_rows_) {
    detail::require_options(method_);
    detail::require_x0_transform(options_.x0);
    if (start_ == end_) detail::invalid("to", to, "a noise level other than that of `from`");
    if (start_ > end_ && method_.eta > 0)
      detail::invalid("eta", method_.eta, "0 for runs towards more noise, as in inversion");
    work.output.resize(size_);
    work.memory.assign(static_cast<std::size_t>(method_.order + 2) * size_, T(0));
    work.noise.resize(x.row_size());
    work.scratch.resize(x.row_size());
    begin_group();
  }

  [[nodiscard]] bool done() const noexcept { return state_.group == groups_; }
  [[nodiscard]] const adaptive_info& info() const noexcept { return state_.info; }
  [[nodiscard]] rows<const T> x() const noexcept { return x_; }
  /// Which of the samples is under way, or 0 where all have the same steps.
  [[nodiscard]] std::size_t group() const noexcept { return state_.group; }
  /// σ/α of the state that is under way.
  [[nodiscard]] double noise_to_signal() const noexcept { return std::exp(-state_.half_log_snr); }
  /// The length in λ that the next attempt has, unless it arrives.
  [[nodiscard]] double next_step() const noexcept { return state_.controller.h; }
  /// The error of the last attempt in units of the tolerance.
  [[nodiscard]] double error() const noexcept { return error_; }

  /// Tries one step; whether it was good enough to move x. If not, the next is a shorter one from the same
  /// place.
  template <PathPredictor<T, Time> P, NoiseSource<T> N>
  bool attempt(P& predictor, N& noise) {
    if (done()) detail::invalid("step", state_.info.steps, "none: the run is done");
    if (state_.attempts == method_.max_steps)
      detail::invalid("steps", state_.attempts + 1,
                      detail::text("at most max_steps: sigma/alpha = ", noise_to_signal(),
                                   " was reached, the tolerances ask for more"));
    const double from = state_.half_log_snr;
    const double to =
        std::abs(end_ - from) > std::abs(state_.controller.h) ? from + state_.controller.h : end_;
    if (to == from) detail::invalid("step in log(alpha/sigma)", state_.controller.h, "one that moves it");
    const double solved = solver_end(from, to);
    const detail::embedded_step step = detail::make_embedded_step(
        method_, [&](double u) { return point_at(u == 1 ? solved : from + u * (solved - from)).level; });
    try_step(predictor, step, from, solved);

    const noise_level at = point_at(solved).level;
    error_ = error_of(1 / at.alpha, 1 / state_.previous_level.alpha);
    if (!std::isfinite(error_))
      detail::invalid("error of a step", error_, "finite: the network's output is not");
    ++state_.attempts;
    ++state_.info.steps;
    state_.info.evaluations += static_cast<std::size_t>(method_.order);
    const bool accepted = state_.controller.propose(error_, method_);
    ++(accepted ? state_.info.accepted : state_.info.rejected);
    if (!accepted) return false;
    std::swap(low_, previous_);
    state_.previous_level = at;
    ++state_.arrived;
    arrive(renoise({.x = 1}, at, point_at(to).level, method_.s_noise), solved == to, noise);
    state_.half_log_snr = to;
    if (std::abs(end_ - to) <= 1e-5) {
      ++state_.group;
      if (!done()) begin_group();
    }
    return true;
  }

  /// A copy of the state between two attempts.
  [[nodiscard]] adaptive_state<T> save() const {
    adaptive_state<T> copy = state_;
    copy.x.assign(x_.data().begin(), x_.data().end());
    copy.previous.assign(slot(previous_), slot(previous_) + size_);
    return copy;
  }

  /// Continues from a saved state of a run with the same arguments: bit-identical to one that was not
  /// interrupted.
  void restore(const adaptive_state<T>& state) {
    if (state.group > groups_)
      detail::invalid("state.group", state.group, detail::text("[0, ", groups_, "]"));
    detail::require_size("state.x", state.x.size(), x_.data().size());
    detail::require_size("state.previous", state.previous.size(), size_);
    std::copy(state.x.begin(), state.x.end(), x_.data().begin());
    std::copy(state.previous.begin(), state.previous.end(), slot(previous_));
    state_ = state;
    state_.x.clear();
    state_.previous.clear();
  }

 private:
  static double half_log_snr_of(const char* symbol, double noise_to_signal) {
    if (!(noise_to_signal > 0 && std::isfinite(noise_to_signal)))
      detail::invalid(symbol, noise_to_signal, "(0, inf), a sigma/alpha");
    return -std::log(noise_to_signal);
  }

  void begin_group() {
    state_.half_log_snr = start_;
    state_.controller = detail::step_size_controller(end_ > start_ ? method_.h_init : -method_.h_init);
    state_.arrived = 0;
    state_.attempts = 0;
    state_.previous_level = point_at(start_).level;
    const rows<T> x = state();
    std::copy(x.data().begin(), x.data().end(), slot(previous_));
  }

  [[nodiscard]] path_point point_at(double half_log_snr) const {
    const auto [t, level] = schedule_.find(std::exp(-half_log_snr));
    return {static_cast<double>(t), level};
  }

  /// The samples that are under way.
  [[nodiscard]] rows<T> state() const {
    return {x_.data().subspan(state_.group * size_, size_), group_rows_};
  }
  [[nodiscard]] T* slot(std::size_t s) const { return work_->memory.data() + s * size_; }
  [[nodiscard]] rows<T> rows_of(T* values) const { return {std::span<T>(values, size_), group_rows_}; }

  /// Where the solver goes so that the step ends at `to` after fresh noise, but not below the end of the run.
  [[nodiscard]] double solver_end(double from, double to) const {
    if (method_.eta == 0) return to;
    const double r = std::exp(from - to);  // σ'/σ
    const double up = std::min(1.0, method_.eta * std::sqrt((1 - r) * (1 + r)));
    const double down = to - std::log((1 - up) * (1 + up)) / 2;
    return std::min(end_, down);
  }

  template <class P>
  void try_step(P& predictor, const detail::embedded_step& step, double from, double to) {
    const rows<T> x = state();
    T* const inner = slot(0);
    T* const third = slot(4);
    T* const low = slot(low_);
    T* const high = slot(2);
    ask(predictor, point_at(from), x);
    add_sum(inner, nullptr, step.second.x, step.second.f[0]);
    if (method_.order == 3) add_sum(third, nullptr, step.third.x, step.third.f[0]);
    add_sum(low, nullptr, step.low.x, step.low.f[0]);
    add_sum(high, nullptr, step.high.x, step.high.f[0]);
    write_sums(x);
    ask(predictor, point_at(from + step.second_at * (to - from)), rows_of(inner));
    if (method_.order == 3) {
      add_sum(low, low, 0, step.low.f[1]);
      add_sum(inner, third, 0, step.third.f[1]);
      write_sums(rows_of(inner));
      ask(predictor, point_at(from + step.third_at * (to - from)), rows_of(inner));
    }
    add_sum(high, high, 0, step.high.f[1]);
    write_sums(rows_of(inner));
  }

  /// Asks the network about x and readies the sums of what it says.
  template <class P>
  void ask(P& predictor, const path_point& at, rows<T> x) {
    level_ = at.level;
    const prediction_map x0 = x0_map(kind_of(predictor), at.level);
    const rows<T> output{std::span<T>(work_->output), group_rows_};
    detail::ask_network<Time, T>(predictor, x, at, output);
    for (std::size_t i = 0; i < group_rows_; ++i)
      row_plans_[i] = {
          x0,
          {},
          clamp_for(options_.x0, x0, std::span<const T>(x[i]), output[i], std::span(work_->scratch)),
          {}};
    memory_.past_count = 0;
    memory_.sum_count = 0;
  }

  /// out ← past + x · state + value · prediction.
  void add_sum(T* out, const T* past, double x, double value) {
    memory_sum<T>& sum = memory_.sums[memory_.sum_count++];
    sum = {.now = {.x = x, .x0 = value}, .past = {}, .out = out};
    if (method_.form == dpm_solver_form::noise)
      sum.now = {.x = x + value / level_.sigma, .x0 = -value * level_.alpha / level_.sigma};
    if (past) {
      sum.past[memory_.past_count] = 1;
      memory_.past[memory_.past_count++] = past;
    }
  }
  void write_sums(rows<const T> x) {
    detail::memory_step_rows<default_arch, T>(
        std::span<const step_plan>(row_plans_), memory_,
        rows<const T>(std::span<const T>(work_->output), group_rows_),
        [](std::size_t) { return detail::no_noise{}; }, x, executor_);
  }

  /// How far the two results are apart, in units of the tolerance.
  [[nodiscard]] double error_of(double scale, double previous_scale) const {
    const auto squares = [&](std::size_t row) {
      const std::size_t offset = row * x_.row_size();
      const T* const low = slot(low_) + offset;
      const T* const high = slot(2) + offset;
      const T* const previous = slot(previous_) + offset;
      return detail::ordered_sum(x_.row_size(), [=, this](std::size_t i) {
        const double a = scale * static_cast<double>(low[i]);
        const double b = scale * static_cast<double>(high[i]);
        const double size =
            std::max(std::abs(a), std::abs(previous_scale * static_cast<double>(previous[i])));
        const double ratio = (a - b) / std::max(method_.atol, method_.rtol * size);
        return ratio * ratio;
      });
    };
    double sum = 0;
    double largest = 0;
    for (std::size_t row = 0; row < group_rows_; ++row) {
      const double of_row = squares(row);
      sum += of_row;
      if (!(of_row <= largest)) largest = of_row;
    }
    const double elements = static_cast<double>(x_.row_size());
    return method_.batch == batch_error::mean ? std::sqrt(sum / (elements * static_cast<double>(group_rows_)))
                                              : std::sqrt(largest / elements);
  }

  /// x ← the result of higher order, and the noise that leads from the solver's end to that of the step.
  template <class N>
  void arrive(const step_coefficients& renoised, bool exactly, N& noise) {
    const rows<T> x = state();
    const rows<T> high = rows_of(slot(2));
    if (exactly) return void(std::copy(high.data().begin(), high.data().end(), x.data().begin()));
    const std::span<T> z(work_->noise);
    for (std::size_t i = 0; i < group_rows_; ++i) {
      noise(options_.first_sample + state_.group * group_rows_ + i, state_.arrived, z);
      linear_combination(renoised.x, high[i], renoised.noise, z, x[i], executor_);
    }
  }

  Schedule schedule_;
  double start_, end_;
  dpm_adaptive method_;
  rows<T> x_;
  workspace<T>* work_;
  run_options options_;
  E executor_;
  std::size_t groups_, group_rows_, size_;
  std::vector<step_plan> row_plans_;
  step_memory<T> memory_;
  noise_level level_;
  adaptive_state<T> state_;
  std::size_t low_ = 1,
              previous_ = 3;  ///< slots; 0: inner states, 2: the result of higher order, 4: the third state
  double error_ = 0;
};

/// Runs dpm_adaptive from σ/α = `from` to σ/α = `to`, in place, and says how many steps that took. To clean
/// data from there leads one step of ddim{}.
template <InvertibleSchedule Schedule, Element T, PathPredictor<T, typename Schedule::time_type> P,
          NoiseSource<T> N, Executor E = serial>
adaptive_info sample_adaptive(const Schedule& schedule, double from, double to, const dpm_adaptive& method,
                              P&& predictor, N&& noise, rows<T> x, workspace<T>& work,
                              const run_options& options = {}, const E& executor = {}) {
  adaptive_stepper<T, Schedule, E> run(schedule, from, to, method, x, work, options, executor);
  while (!run.done()) run.attempt(predictor, noise);
  return run.info();
}

}  // namespace diffusion
