#pragma once

#include <span>

#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/schedule.hpp"

namespace diffusion {

/// q_sample: x_t = α x_0 + σ ε (Ho et al. 2020, eq. 4), element-wise. `x_t` may be x0 or eps. Sizes must be
/// equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void q_sample(noise_level level, std::span<const std::type_identity_t<T>> x0,
              std::span<const std::type_identity_t<T>> eps, std::span<T> x_t, const E& executor = {}) {
  detail::require_level("level", level);
  linear_combination<Arch>(level.alpha, x0, level.sigma, eps, x_t, executor);
}

namespace detail {

template <class Arch, class T, class F, class E>
void per_row(std::size_t levels, rows<const T> x0, rows<const T> eps, rows<T> out, const E& executor,
             F weights_of_row) {
  require_size("levels", levels, out.count());
  require_rows("x0", x0, out, out.row_size());
  require_rows("eps", eps, out, out.row_size());
  const bool streamed = streams_past_caches(x0.data().data(), eps.data().data(), out.data());
  // All rows at once, so that a batch of small samples keeps the threads busy.
  for_each_block<long_block_size>(
      executor, out.count(), out.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const auto [a, b] = weights_of_row(i);
        combine<Arch>(a, x0[i].data(), b, eps[i].data(), out[i].data(), begin, end, streamed);
      });
}

}  // namespace detail

/// q_sample with one level per row, as in training.
template <class Arch = default_arch, Element T, Executor E = serial>
void q_sample(std::span<const noise_level> levels, rows<const std::type_identity_t<T>> x0,
              rows<const std::type_identity_t<T>> eps, rows<T> x_t, const E& executor = {}) {
  for (const noise_level& level : levels) detail::require_level("level", level);
  detail::per_row<Arch, T>(levels.size(), x0, eps, x_t, executor, [&](std::size_t i) { return levels[i]; });
}

/// q_sample with drawn noise, one level per row: row i gets the noise of sample first_sample + i at `step`.
/// The noise is returned in `eps`, which training needs for its target. The executor also makes the noise of
/// a source that has rows.
template <class Arch = default_arch, Element T, NoiseSource<T> N, Executor E = serial>
void q_sample(std::span<const noise_level> levels, rows<const std::type_identity_t<T>> x0, N& noise,
              std::uint32_t step, std::uint64_t first_sample, rows<T> eps, rows<std::type_identity_t<T>> x_t,
              const E& executor = {}) {
  if constexpr (RowNoiseSource<N>) {
    const auto fill = [&](std::size_t i, std::size_t begin, std::size_t end) {
      detail::for_each_pack<Arch, arithmetic<T>>(begin, end, noise.row(first_sample + i, step).tiles(),
                                                 [&](auto at, const auto& z) { at.store(z, eps[i].data()); });
    };
    detail::for_each_block(executor, eps.count(), eps.row_size(), fill);
  } else {
    draw_noise(noise, step, first_sample, eps);
  }
  q_sample<Arch, T>(levels, x0, eps, x_t, executor);
}

/// What a network of this kind is trained to output for x_t = q_sample(level, x0, eps), element-wise.
template <class Arch = default_arch, Element T, Executor E = serial>
void training_target(prediction kind, noise_level level, std::span<const std::type_identity_t<T>> x0,
                     std::span<const std::type_identity_t<T>> eps, std::span<T> target,
                     const E& executor = {}) {
  const target_weights w = training_target(kind, level);
  linear_combination<Arch>(w.x0, x0, w.epsilon, eps, target, executor);
}

/// Training targets with one level per row.
template <class Arch = default_arch, Element T, Executor E = serial>
void training_target(prediction kind, std::span<const noise_level> levels,
                     rows<const std::type_identity_t<T>> x0, rows<const std::type_identity_t<T>> eps,
                     rows<T> target, const E& executor = {}) {
  detail::per_row<Arch, T>(levels.size(), x0, eps, target, executor,
                           [&](std::size_t i) { return training_target(kind, levels[i]); });
}

}  // namespace diffusion
