#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>

#include "diffusion/kernels/for_each_pack.hpp"
#include "diffusion/kernels/ordered_sum.hpp"

namespace diffusion {

namespace detail {

inline void require_weights(std::span<const double> weights, std::size_t rows) {
  require_size("weights", weights.size(), rows);
  for (const double w : weights)
    if (!(w >= 0 && std::isfinite(w))) invalid("weight", w, "[0, inf)");
}

/// body(row) for every row, short ones together.
template <Executor E, class Body>
void for_each_row(const E& executor, std::size_t count, std::size_t row_size, Body body) {
  for_each_block<long_block_size>(executor, count, std::min(row_size, long_block_size / 2),
                                  [&](std::size_t row, std::size_t, std::size_t) { body(row); });
}

[[nodiscard]] inline double mean_of(std::span<const double> values) {
  return ordered_sum(values.size(), [&](std::size_t i) { return values[i]; }) /
         static_cast<double>(values.size());
}

}  // namespace detail

/// The loss of a step of training: for every row, losses = w mean (output - target)². Returns their mean over
/// the batch; `gradient` is its derivative with respect to the output, 2 w (output - target)/(rows · row
/// size), and may be the output or the target. Weights: output_weight, times that of the drawn time. Throws
/// for sizes that do not agree and weights outside [0, inf). Does not allocate.
template <class Arch = default_arch, Element T, Executor E = serial>
double squared_error(rows<const std::type_identity_t<T>> output, rows<const std::type_identity_t<T>> target,
                     std::span<const double> weights, rows<T> gradient, std::span<double> losses,
                     const E& executor = {}) {
  using R = arithmetic<T>;
  const std::size_t size = gradient.row_size();
  detail::require_rows("output", output, gradient, size);
  detail::require_rows("target", target, gradient, size);
  detail::require_weights(weights, gradient.count());
  detail::require_size("losses", losses.size(), gradient.count());
  const double elements = static_cast<double>(size);
  detail::for_each_row(executor, gradient.count(), size, [&](std::size_t i) {
    const T* const o = output[i].data();
    const T* const y = target[i].data();
    T* const g = gradient[i].data();
    const double sum = detail::ordered_sum(size, [=](std::size_t j) {
      const double d = detail::widened(o[j]) - detail::widened(y[j]);
      return d * d;
    });
    losses[i] = weights[i] * sum / elements;
    // The difference first: it is exact where output and target are close.
    const R scale = static_cast<R>(2 * weights[i] / (elements * static_cast<double>(gradient.count())));
    detail::for_each_pack<Arch, R>(0, size, [=](auto at) { at.store((at.load(o) - at.load(y)) * scale, g); });
  });
  return detail::mean_of(losses);
}

}  // namespace diffusion
