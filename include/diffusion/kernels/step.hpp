#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "diffusion/kernels/predict_x0.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/rows.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

/// Everything that one step does to an element.
struct step_plan {
  prediction_map x0;       ///< x̂0 from state and output
  prediction_map epsilon;  ///< ε̂ from state and output
  x0_clamp clamp;
  step_coefficients step;
};

namespace detail {

/// The noise of a step that has none.
struct no_noise {};

/// The state's and the output's share of a sum of x, x̂0, ε̂ and z, whose ε̂ is not clamped and so joins both.
template <Scalar R>
struct sum_weights {
  sum_weights() = default;
  sum_weights(const step_coefficients& sum, const prediction_map& epsilon_hat) {
    const double epsilon = sum.epsilon * epsilon_hat.scale;
    x = static_cast<R>(sum.x + epsilon * epsilon_hat.x);
    output = static_cast<R>(epsilon * epsilon_hat.model);
    x0 = static_cast<R>(sum.x0);
    noise = static_cast<R>(sum.noise);
  }
  R x = 0, output = 0, x0 = 0, noise = 0;
};

/// body(place) or body(place, z) for every pack of the elements [begin, end).
template <class Arch, Scalar R, class Noise, class Body>
[[gnu::always_inline]] inline void for_each_noisy_pack(std::size_t begin, std::size_t end, const Noise& noise,
                                                       Body body) {
  if constexpr (std::same_as<Noise, no_noise>)
    for_each_pack<Arch, R>(begin, end, body);
  else if constexpr (std::is_pointer_v<Noise>)
    for_each_pack<Arch, R>(begin, end, [=](auto at) { body(at, at.load(noise)); });
  else
    for_each_pack<Arch, R>(begin, end, noise, body);
}

/// One step of the elements [begin, end) of a row. Noise is no_noise, a pointer to given values, or
/// normal_tiles.
template <class Arch, Element T, class Noise>
void step_range(const step_plan& plan, const T* output, const Noise& noise, T* x, std::size_t begin,
                std::size_t end) {
  using R = arithmetic<T>;
  const sum_weights<R> weights(plan.step, plan.epsilon);
  const auto loop = [&]<bool has_epsilon>(std::bool_constant<has_epsilon>, const auto& weighted_x0)
      __attribute__((always_inline)) {
    // By value, so that the weights stay in registers whatever is stored.
    for_each_noisy_pack<Arch, R>(
        begin, end, noise, [=](auto at, const auto&... z) __attribute__((always_inline)) {
          const pack<R, Arch> vx = at.load(x);
          const pack<R, Arch> vm = at.load(output);
          pack<R, Arch> next = weighted_x0(vx, vm);
          if constexpr (has_epsilon) next = fused_multiply_add(weights.output, vm, next);
          next = fused_multiply_add(weights.x, vx, next);
          ((next = fused_multiply_add(weights.noise, z, next)), ...);
          at.store(next, x);
        });
  };
  // The weight of x̂0 goes into its map, where it costs nothing.
  with_x0<R>(
      plan.x0, plan.clamp.limit,
      plan.clamp.scale * plan.step.x0, [&](const auto& weighted_x0) __attribute__((always_inline)) {
        if (weights.output == 0)
          loop(std::false_type(), weighted_x0);
        else
          loop(std::true_type(), weighted_x0);
      });
}

/// What a thread works on at once where it makes the noise, and where it does not.
template <class Noise>
constexpr std::size_t step_block = block_size;
template <>
inline constexpr std::size_t step_block<no_noise> = long_block_size;
template <class T>
inline constexpr std::size_t step_block<const T*> = long_block_size;

template <class Arch, Element T, class Noise, Executor E>
void step_row(const step_plan& plan, std::span<const T> output, const Noise& noise, std::span<T> x,
              const E& executor) {
  require_size("output", output.size(), x.size());
  for_each_block<step_block<Noise>>(executor, 1, x.size(),
                                    [&](std::size_t, std::size_t begin, std::size_t end) {
                                      step_range<Arch>(plan, output.data(), noise, x.data(), begin, end);
                                    });
}

/// Every row with its own plan, all at once, so that a batch of small samples keeps the threads busy. Row i
/// takes the first elements of output[i], and noise_of_row(i) if its plan has noise.
template <class Arch, Element T, class NoiseOfRow, Executor E>
void step_rows(std::span<const step_plan> plans, rows<const T> output, const NoiseOfRow& noise_of_row,
               rows<T> x, const E& executor) {
  using Noise = decltype(noise_of_row(std::size_t{}));
  for_each_block<step_block<Noise>>(
      executor, x.count(), x.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const auto step = [&](const auto& noise) {
          step_range<Arch>(plans[i], output[i].data(), noise, x[i].data(), begin, end);
        };
        if (plans[i].step.noise != 0)
          step(noise_of_row(i));
        else
          step(no_noise{});
      });
}

}  // namespace detail

/// x ← step.x · x + step.x0 · x̂0 + step.epsilon · ε̂ + step.noise · z in one pass, in place. `z` may be empty
/// where step.noise is 0; all other sizes must be equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void apply_step(const step_plan& plan, std::span<const std::type_identity_t<T>> output,
                std::span<const std::type_identity_t<T>> z, std::span<T> x, const E& executor = {}) {
  if (plan.step.noise == 0) return detail::step_row<Arch>(plan, output, detail::no_noise{}, x, executor);
  detail::require_size("z", z.size(), x.size());
  detail::step_row<Arch>(plan, output, z.data(), x, executor);
}

/// The same with z = row, made on the way: what row.fill(z) would write.
template <class Arch = default_arch, Element T, int Rounds, products P, Executor E = serial>
void apply_step(const step_plan& plan, std::span<const std::type_identity_t<T>> output,
                const normal_row<Rounds, P>& row, std::span<T> x, const E& executor = {}) {
  if (plan.step.noise == 0) return detail::step_row<Arch>(plan, output, detail::no_noise{}, x, executor);
  detail::step_row<Arch>(plan, output, row.tiles(), x, executor);
}

/// One plan per row: rows at levels of their own, be they samples, tokens or single elements. `z` has the
/// rows of x.
template <class Arch = default_arch, Element T, Executor E = serial>
void apply_step(std::span<const step_plan> plans, rows<const std::type_identity_t<T>> output,
                rows<const std::type_identity_t<T>> z, rows<T> x, const E& executor = {}) {
  detail::require_size("plans", plans.size(), x.count());
  detail::require_rows("output", output, x, x.row_size());
  detail::require_rows("z", z, x, x.row_size());
  detail::step_rows<Arch>(
      plans, output, [&](std::size_t i) { return z[i].data(); }, x, executor);
}

/// The same with the noise of samples first_sample, first_sample + 1, … at one step, made on the way.
template <class Arch = default_arch, Element T, RowNoiseSource N, Executor E = serial>
void apply_step(std::span<const step_plan> plans, rows<const std::type_identity_t<T>> output, const N& noise,
                std::uint32_t step, std::uint64_t first_sample, rows<T> x, const E& executor = {}) {
  detail::require_size("plans", plans.size(), x.count());
  detail::require_rows("output", output, x, x.row_size());
  detail::step_rows<Arch>(
      plans, output, [&](std::size_t i) { return noise.row(first_sample + i, step).tiles(); }, x, executor);
}

}  // namespace diffusion
