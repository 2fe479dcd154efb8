#pragma once

#include <cstdint>
#include <span>

#include "diffusion/kernels/step.hpp"

namespace diffusion {

/// Data of which a part is known. The mask is 1 where it is, 0 where it is not, and may be between; one row
/// for all samples or one for each.
template <Element T>
struct known_part {
  rows<const T> x0;
  rows<const T> mask;
};

namespace detail {

template <class T>
void require_known(const known_part<T>& known, const rows<T>& x) {
  require_rows("known.x0", known.x0, x, x.row_size());
  if (known.mask.count() != 1) require_rows("known.mask", known.mask, x, x.row_size());
  require_size("known.mask[0]", known.mask.row_size(), x.row_size());
}

/// x ← mask · (α x_0 + σ z) + (1 - mask) · x for the elements [begin, end): exactly one of both where the
/// mask is 0 or 1.
template <class Arch, Element T, class Noise>
void blend_range(noise_level level, const T* x0, const T* mask, const Noise& noise, T* x, std::size_t begin,
                 std::size_t end) {
  using R = arithmetic<T>;
  const R alpha = static_cast<R>(level.alpha);
  const R sigma = static_cast<R>(level.sigma);
  const auto blend = [&](auto at, const auto&... z) __attribute__((always_inline)) {
    const pack<R, Arch> m = at.load(mask);
    pack<R, Arch> known = alpha * at.load(x0);
    ((known = fused_multiply_add(sigma, z, known)), ...);
    at.store(fused_multiply_add(m, known, (pack<R, Arch>(1) - m) * at.load(x)), x);
  };
  if constexpr (std::same_as<Noise, no_noise>) {
    for_each_pack<Arch, R>(begin, end, [&](auto at) { blend(at); });
  } else if constexpr (std::is_pointer_v<Noise>) {
    for_each_pack<Arch, R>(begin, end, [&](auto at) { blend(at, at.load(noise)); });
  } else {
    for_each_pack<Arch, R>(begin, end, noise, [&](auto at, const auto& z) { blend(at, z); });
  }
}

template <class Arch, Element T, class NoiseOfRow, Executor E>
void blend_rows(const known_part<T>& known, noise_level level, const NoiseOfRow& noise_of_row, rows<T> x,
                const E& executor) {
  for_each_block<step_block<decltype(noise_of_row(std::size_t{}))>>(
      executor, x.count(), x.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const std::size_t mask = known.mask.count() == 1 ? 0 : i;
        blend_range<Arch>(level, known.x0[i].data(), known.mask[mask].data(), noise_of_row(i), x[i].data(),
                          begin, end);
      });
}

}  // namespace detail

/// Replaces the known part of x by a draw of q(x_t | x_0) at the level of x: mask · (α x_0 + σ z) + (1 -
/// mask) · x, z of samples first_sample, first_sample + 1, … at one step, made on the way. Clean data draw
/// none. `scratch` is one row, for sources whose rows kernels cannot make as they go.
template <class Arch = default_arch, Element T, NoiseSource<T> N, Executor E = serial>
void blend_known(const known_part<T>& known, noise_level level, N& noise, std::uint32_t step,
                 std::uint64_t first_sample, rows<T> x, std::span<std::type_identity_t<T>> scratch,
                 const E& executor = {}) {
  detail::require_known(known, x);
  if (level.sigma == 0) {
    detail::blend_rows<Arch>(
        known, level, [](std::size_t) { return detail::no_noise{}; }, x, executor);
  } else if constexpr (RowNoiseSource<N>) {
    detail::blend_rows<Arch>(
        known, level, [&](std::size_t i) { return noise.row(first_sample + i, step).tiles(); }, x, executor);
  } else {
    detail::require_size("scratch", scratch.size(), x.row_size());
    for (std::size_t i = 0; i < x.count(); ++i) {
      noise(first_sample + i, step, scratch);
      const rows<const T> mask{known.mask[known.mask.count() == 1 ? 0 : i], 1};
      const known_part<T> row{{known.x0[i], 1}, mask};
      const T* const z = scratch.data();
      detail::blend_rows<Arch>(
          row, level, [=](std::size_t) { return z; }, rows<T>(x[i], 1), executor);
    }
  }
}

}  // namespace diffusion
