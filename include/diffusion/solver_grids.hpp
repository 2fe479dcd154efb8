#pragma once

#include <span>

#include "diffusion/schedule.hpp"
#include "diffusion/time_grid.hpp"

namespace diffusion {

// Time grids that solvers in σ use beside those of time_grid.hpp. Times are t = 1 … T, 0 is clean data; grids
// of double are for continuous().

namespace detail {
/// Of grids that leave out one time more than they have.
inline void require_open_steps(int train_steps, int n) {
  if (train_steps < 2) invalid("train_steps", train_steps, "at least 2");
  if (n < 1 || n >= train_steps) invalid("steps", n, text("[1, ", train_steps - 1, "]"));
}
}  // namespace detail

/// The given times, strictly decreasing: n + 1 of them make n steps, the last is the end of the run.
[[nodiscard]] inline basic_time_grid<double> chained_grid(std::span<const double> times) {
  std::vector<interval<double>> steps;
  for (std::size_t k = 0; k + 1 < times.size(); ++k) steps.push_back({times[k], times[k + 1], times[k]});
  return basic_time_grid<double>(std::move(steps));
}

/// n times evenly from T to 1, not rounded, then clean data. One step is t = 1, as in linspace_grid.
[[nodiscard]] inline basic_time_grid<double> fractional_linspace_grid(int train_steps, int n) {
  detail::require_steps(train_steps, n);
  std::vector<double> times = n == 1 ? std::vector<double>{1.0} : detail::linspace(train_steps, 1, n);
  times.push_back(0);
  return chained_grid(times);
}

/// The first n of n + 1 times evenly from T to 1, not rounded, then clean data ("sgm_uniform" of ComfyUI).
[[nodiscard]] inline basic_time_grid<double> sgm_uniform_grid(int train_steps, int n) {
  detail::require_open_steps(train_steps, n);
  std::vector<double> times = detail::linspace(train_steps, 1, n + 1);
  times.back() = 0;
  return chained_grid(times);
}

/// The first n of n + 1 times evenly from T to 1, rounded half to even, then clean data ("linspace" of the
/// DPM-Solver family in diffusers).
[[nodiscard]] inline time_grid open_linspace_grid(int train_steps, int n) {
  detail::require_open_steps(train_steps, n);
  return detail::chain(
      n, [=](int k) { return 1 + detail::round_half_even(std::int64_t{n - k} * (train_steps - 1), n); });
}

/// The first n of n + 1 times ⌊T/(n+1)⌋ apart, down to 1 + offset, then clean data ("leading" of the
/// DPM-Solver family in diffusers). Does not reach T.
[[nodiscard]] inline time_grid open_leading_grid(int train_steps, int n, int offset = 0) {
  detail::require_open_steps(train_steps, n);
  const int stride = train_steps / (n + 1);
  const int free = train_steps - 1 - n * stride;
  if (offset < 0 || offset > free) detail::invalid("offset", offset, detail::text("[0, ", free, "]"));
  return detail::chain(n, [=](int k) { return (n - k) * stride + offset + 1; });
}

/// T - ⌊k T/n⌋, k = 0 … n-1, then clean data: trailing_grid rounded upwards ("simple" of ComfyUI).
[[nodiscard]] inline time_grid simple_grid(int train_steps, int n) {
  detail::require_steps(train_steps, n);
  return detail::chain(
      n, [=](int k) { return train_steps - static_cast<int>(std::int64_t{k} * train_steps / n); });
}

/// 2, 2 + ⌊T/n⌋, … up to T, descending, then clean data: n steps or a few more ("ddim_uniform" of ComfyUI).
[[nodiscard]] inline time_grid ddim_uniform_grid(int train_steps, int n) {
  detail::require_steps(train_steps, n);
  if (train_steps < 2) detail::invalid("train_steps", train_steps, "at least 2");
  const int stride = train_steps / n;
  const int count = (train_steps - 2) / stride + 1;
  return detail::chain(count, [=](int k) { return 2 + (count - 1 - k) * stride; });
}

/// How many steps of the schedule have λ = log(α/σ) ≥ `lowest`: the T to build a grid over where a noisier
/// start is to be avoided (Lu et al. 2022, DPM-Solver++ code: λ ≥ -5.1 for cosine schedules).
template <class Schedule>
[[nodiscard]] int steps_above(const Schedule& schedule, double lowest) {
  int t = schedule.steps();
  while (t > 0 && half_log_snr(schedule.level(t)) < lowest) --t;
  if (t == 0) detail::invalid("lowest half_log_snr", lowest, "one that a step of the schedule reaches");
  return t;
}

}  // namespace diffusion
