#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>
#include <utility>

#include "diffusion/kernels/step.hpp"

namespace diffusion {

/// The most vectors of memory that a step reads, and that it writes beside the state.
inline constexpr std::size_t max_past = 16;
inline constexpr std::size_t max_kept = 8;

/// A sum of x, x̂0, ε̂, z and of vectors of memory, and where it goes.
template <Element T>
struct memory_sum {
  step_coefficients now;
  std::array<double, max_past> past{};  ///< weights of the vectors in step_memory::past
  T* out = nullptr;                     ///< as many elements as the state
};

/// What a step reads and writes beside the state: all in one pass, and everything is read before anything is
/// written, so that a sum may go where one of `past` lies.
template <Element T>
struct step_memory {
  std::array<const T*, max_past> past{};
  std::size_t past_count = 0;
  std::array<memory_sum<T>, max_kept + 1> sums{};
  std::size_t sum_count = 0;
};

namespace detail {

/// What a usual stage leaves in memory.
enum class keeps { nothing, x0, sum };

/// The state's sum over N vectors of memory, of which those that are not there are the state with weight 0,
/// and at most one sum of state and x̂0 for later stages. ε̂ of the network itself has no part: so are nearly
/// all stages.
template <class Arch, Element T, std::size_t N, keeps kept, class Noise>
void usual_step_range(const step_plan& plan, const step_memory<T>& memory, std::size_t offset, const T* x,
                      const T* output, const Noise& noise, std::size_t begin, std::size_t end) {
  using R = arithmetic<T>;
  // By value and of constant size, so that all of it stays in registers.
  const step_coefficients& next = memory.sums[0].now;
  const R next_x = static_cast<R>(next.x);
  const R next_x0 = static_cast<R>(next.x0);
  const R next_noise = static_cast<R>(next.noise);
  const R kept_x = kept == keeps::sum ? static_cast<R>(memory.sums[1].now.x) : R(0);
  const R kept_x0 = kept == keeps::sum ? static_cast<R>(memory.sums[1].now.x0) : R(0);
  std::array<R, N> weights;
  std::array<const T*, N> past;
  for (std::size_t j = 0; j < N; ++j) {
    const bool there = j < memory.past_count;
    weights[j] = there ? static_cast<R>(memory.sums[0].past[j]) : R(0);
    past[j] = there ? memory.past[j] + offset : x;
  }
  T* const out = memory.sums[0].out + offset;
  T* const slot = kept != keeps::nothing ? memory.sums[1].out + offset : nullptr;
  // Where x̂0 is needed for the one sum only, its weight there costs nothing in its map.
  const double weight = plan.clamp.scale * (kept == keeps::nothing ? next.x0 : 1);
  with_x0<R>(
      plan.x0, plan.clamp.limit, weight, [&](const auto& x0_hat) __attribute__((always_inline)) {
        for_each_noisy_pack<Arch, R>(
            begin, end, noise, [=](auto at, const auto&... z) __attribute__((always_inline)) {
              const pack<R, Arch> vx = at.load(x);
              const pack<R, Arch> x0 = x0_hat(vx, at.load(output));
              pack<R, Arch> sum = x0;
              if constexpr (kept != keeps::nothing) sum = next_x0 * x0;
              sum = fused_multiply_add(next_x, vx, sum);
              [&]<std::size_t... j>(std::index_sequence<j...>) __attribute__((always_inline)) {
                ((sum = fused_multiply_add(weights[j], at.load(past[j]), sum)), ...);
              }
              (std::make_index_sequence<N>());
              ((sum = fused_multiply_add(next_noise, z, sum)), ...);
              if constexpr (kept == keeps::x0) at.store(x0, slot);
              if constexpr (kept == keeps::sum)
                at.store(fused_multiply_add(kept_x, vx, pack<R, Arch>(kept_x0 * x0)), slot);
              at.store(sum, out);
            });
      });
}

/// Any sums over any vectors of memory.
template <class Arch, Element T, class Noise>
void general_step_range(const step_plan& plan, const step_memory<T>& memory, std::size_t offset, const T* x,
                        const T* output, const Noise& noise, std::size_t begin, std::size_t end) {
  using R = arithmetic<T>;
  struct weighted_sum {
    sum_weights<R> now;
    std::array<R, max_past> past;
    T* out;
  };
  std::array<weighted_sum, max_kept + 1> sums;
  const std::size_t count = memory.sum_count;
  for (std::size_t s = 0; s < count; ++s) {
    sums[s].now = sum_weights<R>(memory.sums[s].now, plan.epsilon);
    for (std::size_t j = 0; j < max_past; ++j) sums[s].past[j] = static_cast<R>(memory.sums[s].past[j]);
    sums[s].out = memory.sums[s].out + offset;
  }
  with_x0<R>(
      plan.x0, plan.clamp.limit, plan.clamp.scale, [&](const auto& x0_hat) __attribute__((always_inline)) {
        for_each_noisy_pack<Arch, R>(begin, end, noise, [&](auto at, const auto&... z) {
          const pack<R, Arch> vx = at.load(x);
          const pack<R, Arch> vm = at.load(output);
          const pack<R, Arch> x0 = x0_hat(vx, vm);
          std::array<pack<R, Arch>, max_past> earlier;
          for (std::size_t j = 0; j < memory.past_count; ++j) earlier[j] = at.load(memory.past[j] + offset);
          for (std::size_t s = 0; s < count; ++s) {
            const weighted_sum& w = sums[s];
            pack<R, Arch> sum = w.now.x0 * x0;
            sum = fused_multiply_add(w.now.output, vm, sum);
            sum = fused_multiply_add(w.now.x, vx, sum);
            for (std::size_t j = 0; j < memory.past_count; ++j)
              sum = fused_multiply_add(w.past[j], earlier[j], sum);
            ((sum = fused_multiply_add(w.now.noise, z, sum)), ...);
            at.store(sum, w.out);
          }
        });
      });
}

/// Whether a usual step can do these sums, and with what for later stages.
template <Element T>
[[nodiscard]] bool is_usual(const step_memory<T>& memory, keeps& kept) {
  kept = keeps::nothing;
  if (memory.past_count > 4 || memory.sum_count > 2 || memory.sums[0].now.epsilon != 0) return false;
  if (memory.sum_count == 1) return true;
  const memory_sum<T>& sum = memory.sums[1];
  const auto& [x, x0, epsilon, noise] = sum.now;
  if (epsilon != 0 || noise != 0) return false;
  for (std::size_t j = 0; j < memory.past_count; ++j)
    if (sum.past[j] != 0) return false;
  kept = x == 0 && x0 == 1 ? keeps::x0 : keeps::sum;
  return true;
}

/// Every row with its own plan and the same memory, whose vectors hold all rows one after the other.
template <class Arch, Element T, class NoiseOfRow, Executor E>
void memory_step_rows(std::span<const step_plan> plans, const step_memory<T>& memory, rows<const T> output,
                      const NoiseOfRow& noise_of_row, rows<const T> x, const E& executor) {
  using Noise = decltype(noise_of_row(std::size_t{}));
  keeps kept;
  const bool usual = is_usual(memory, kept);
  for_each_block<step_block<Noise>>(
      executor, x.count(), x.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const auto go = [&](const auto& step) {
          step(plans[i], memory, i * x.row_size(), x[i].data(), output[i].data(), noise_of_row(i), begin,
               end);
        };
        const auto with_past = [&]<keeps k>(std::integral_constant<keeps, k>) {
          if (memory.past_count <= 1)
            go([](const auto&... all) { usual_step_range<Arch, T, 1, k>(all...); });
          else if (memory.past_count == 2)
            go([](const auto&... all) { usual_step_range<Arch, T, 2, k>(all...); });
          else
            go([](const auto&... all) { usual_step_range<Arch, T, 4, k>(all...); });
        };
        if (!usual)
          go([](const auto&... all) { general_step_range<Arch, T>(all...); });
        else if (kept == keeps::nothing)
          with_past(std::integral_constant<keeps, keeps::nothing>());
        else if (kept == keeps::x0)
          with_past(std::integral_constant<keeps, keeps::x0>());
        else
          with_past(std::integral_constant<keeps, keeps::sum>());
      });
}

}  // namespace detail

/// All sums of `memory` in one pass over x; the plan's own coefficients are not used. `z` may be empty where
/// no sum has noise; output has the size of x, and so has every vector of `memory`.
template <class Arch = default_arch, Element T, Executor E = serial>
void apply_step(const step_plan& plan, const step_memory<T>& memory,
                std::span<const std::type_identity_t<T>> output, std::span<const std::type_identity_t<T>> z,
                std::span<const std::type_identity_t<T>> x, const E& executor = {}) {
  detail::require_size("output", output.size(), x.size());
  const auto step = [&](const auto& noise_of_row) {
    detail::memory_step_rows<Arch, T>({&plan, 1}, memory, rows<const T>(output, 1), noise_of_row,
                                      rows<const T>(x, 1), executor);
  };
  const auto has_noise = [](const memory_sum<T>& sum) { return sum.now.noise != 0; };
  if (std::none_of(memory.sums.begin(), memory.sums.begin() + memory.sum_count, has_noise))
    return step([](std::size_t) { return detail::no_noise{}; });
  detail::require_size("z", z.size(), x.size());
  step([&](std::size_t) { return z.data(); });
}

}  // namespace diffusion
