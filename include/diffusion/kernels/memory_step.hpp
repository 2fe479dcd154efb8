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

/// The sums of the elements [begin, end). N vectors of memory are read; where there are fewer, the others
/// have weight 0 and are the state.
template <class Arch, Element T, std::size_t N, class Noise>
void memory_step_range(const step_plan& plan, const step_memory<T>& memory, std::size_t offset, const T* x,
                       const T* output, const Noise& noise, std::size_t begin, std::size_t end) {
  using R = arithmetic<T>;
  struct weighted_sum {
    sum_weights<R> now;
    std::array<R, N> past;
    T* out;
  };
  std::array<weighted_sum, max_kept + 1> sums;
  const std::size_t count = memory.sum_count;
  for (std::size_t s = 0; s < count; ++s) {
    sums[s].now = sum_weights<R>(memory.sums[s].now, plan.epsilon);
    for (std::size_t j = 0; j < N; ++j) sums[s].past[j] = static_cast<R>(memory.sums[s].past[j]);
    sums[s].out = memory.sums[s].out + offset;
  }
  std::array<const T*, N> past;
  for (std::size_t j = 0; j < N; ++j) past[j] = j < memory.past_count ? memory.past[j] + offset : x;

  with_x0<R>(
      plan.x0, plan.clamp.limit, plan.clamp.scale, [&](const auto& x0_hat) __attribute__((always_inline)) {
        const auto write = [&](auto at, const auto&... z) __attribute__((always_inline)) {
          const pack<R, Arch> vx = at.load(x);
          const pack<R, Arch> vm = at.load(output);
          const pack<R, Arch> x0 = x0_hat(vx, vm);
          [&]<std::size_t... j>(std::index_sequence<j...>) __attribute__((always_inline)) {
            const std::array<pack<R, Arch>, N> earlier{at.load(past[j])...};
            for (std::size_t s = 0; s < count; ++s) {
              const weighted_sum& w = sums[s];
              pack<R, Arch> sum = w.now.x0 * x0;
              sum = fused_multiply_add(w.now.output, vm, sum);
              sum = fused_multiply_add(w.now.x, vx, sum);
              ((sum = fused_multiply_add(w.past[j], earlier[j], sum)), ...);
              ((sum = fused_multiply_add(w.now.noise, z, sum)), ...);
              at.store(sum, w.out);
            }
          }
          (std::make_index_sequence<N>());
        };
        if constexpr (std::same_as<Noise, no_noise>) {
          for_each_pack<Arch, R>(begin, end, [&](auto at) { write(at); });
        } else if constexpr (std::is_pointer_v<Noise>) {
          for_each_pack<Arch, R>(begin, end, [&](auto at) { write(at, at.load(noise)); });
        } else {
          for_each_pack<Arch, R>(begin, end, noise, [&](auto at, const auto& z) { write(at, z); });
        }
      });
}

/// Every row with its own plan and the same memory, whose vectors hold all rows one after the other.
template <class Arch, Element T, class NoiseOfRow, Executor E>
void memory_step_rows(std::span<const step_plan> plans, const step_memory<T>& memory, rows<const T> output,
                      const NoiseOfRow& noise_of_row, rows<const T> x, const E& executor) {
  using Noise = decltype(noise_of_row(std::size_t{}));
  for_each_block<step_block<Noise>>(
      executor, x.count(), x.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const auto run = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
          memory_step_range<Arch, T, N>(plans[i], memory, i * x.row_size(), x[i].data(), output[i].data(),
                                        noise_of_row(i), begin, end);
        };
        if (memory.past_count <= 1)
          run(std::integral_constant<std::size_t, 1>());
        else if (memory.past_count <= 2)
          run(std::integral_constant<std::size_t, 2>());
        else if (memory.past_count <= 4)
          run(std::integral_constant<std::size_t, 4>());
        else
          run(std::integral_constant<std::size_t, max_past>());
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
