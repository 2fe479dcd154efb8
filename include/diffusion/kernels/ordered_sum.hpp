#pragma once

#include <array>
#include <cstddef>

namespace diffusion::detail {

/// Σ term(i) of i in [0, count) in double. Eight sums side by side, added at the end: always in the same
/// order, so that the result does not depend on the processor or on threads, and fit for SIMD.
template <class Term>
[[nodiscard]] double ordered_sum(std::size_t count, Term term) {
  constexpr std::size_t width = 8;
  std::array<double, width> sums{};
  std::size_t i = 0;
  for (; i + width <= count; i += width)
    for (std::size_t j = 0; j < width; ++j) sums[j] += term(i + j);
  for (std::size_t j = 0; i + j < count; ++j) sums[j] += term(i + j);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace diffusion::detail
