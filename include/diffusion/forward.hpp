#pragma once

#include <span>

#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/schedule.hpp"

namespace diffusion {

/// q_sample: x_t = α x_0 + σ ε (Ho et al. 2020, eq. 4), element-wise. `x_t` may be x0 or eps. Sizes must be
/// equal.
template <class Arch = default_arch, Scalar T>
void q_sample(noise_level level, std::span<const std::type_identity_t<T>> x0,
              std::span<const std::type_identity_t<T>> eps, std::span<T> x_t) {
  detail::require_level("level", level);
  linear_combination<Arch>(level.alpha, x0, level.sigma, eps, x_t);
}

namespace detail {

template <class Arch, class T, class F>
void per_row(std::size_t levels, rows<const T> x0, rows<const T> eps, rows<T> out, F weights_of_row) {
  require_size("levels", levels, out.count());
  require_rows("x0", x0, out, out.row_size());
  require_rows("eps", eps, out, out.row_size());
  for (std::size_t i = 0; i < out.count(); ++i) {
    const auto [a, b] = weights_of_row(i);
    linear_combination<Arch>(a, x0[i], b, eps[i], out[i]);
  }
}

}  // namespace detail

/// q_sample with one level per row, as in training.
template <class Arch = default_arch, Scalar T>
void q_sample(std::span<const noise_level> levels, rows<const std::type_identity_t<T>> x0,
              rows<const std::type_identity_t<T>> eps, rows<T> x_t) {
  for (const noise_level& level : levels) detail::require_level("level", level);
  detail::per_row<Arch, T>(levels.size(), x0, eps, x_t, [&](std::size_t i) { return levels[i]; });
}

/// q_sample with drawn noise, one level per row: row i gets the noise of sample first_sample + i at `step`.
/// The noise is returned in `eps`, which training needs for its target.
template <class Arch = default_arch, Scalar T, NoiseSource<T> N>
void q_sample(std::span<const noise_level> levels, rows<const std::type_identity_t<T>> x0, N& noise,
              std::uint32_t step, std::uint64_t first_sample, rows<T> eps,
              rows<std::type_identity_t<T>> x_t) {
  draw_noise(noise, step, first_sample, eps);
  q_sample<Arch, T>(levels, x0, eps, x_t);
}

/// What a network of this kind is trained to output for x_t = q_sample(level, x0, eps), element-wise.
template <class Arch = default_arch, Scalar T>
void training_target(prediction kind, noise_level level, std::span<const std::type_identity_t<T>> x0,
                     std::span<const std::type_identity_t<T>> eps, std::span<T> target) {
  const target_weights w = training_target(kind, level);
  linear_combination<Arch>(w.x0, x0, w.epsilon, eps, target);
}

/// Training targets with one level per row.
template <class Arch = default_arch, Scalar T>
void training_target(prediction kind, std::span<const noise_level> levels,
                     rows<const std::type_identity_t<T>> x0, rows<const std::type_identity_t<T>> eps,
                     rows<T> target) {
  detail::per_row<Arch, T>(levels.size(), x0, eps, target,
                           [&](std::size_t i) { return training_target(kind, levels[i]); });
}

}  // namespace diffusion
