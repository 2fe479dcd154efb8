#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "diffusion/kernels/pack.hpp"

namespace diffusion::detail {

/// Those of some magnitudes that a search for one of them has to look at.
template <Scalar T>
struct candidates {
  std::span<T> values;
  std::size_t rank;  ///< of the one that is sought, among them
  T next_above;      ///< the least magnitude above all of them
};

/// The magnitudes whose first 11 bits behind the sign (float: three of the fraction; double: the exponent)
/// are those of the one at `rank`. Non-negative numbers are ordered as their bits, so counting finds them in
/// two passes. They are moved to the front of `magnitudes`, over others.
template <Scalar T>
[[nodiscard]] candidates<T> narrow_down(std::span<T> magnitudes, std::size_t rank) {
  using word = word_of<T>;
  constexpr int shift = std::numeric_limits<word>::digits - 12;
  const auto bin_of = [](T value) { return static_cast<std::size_t>(std::bit_cast<word>(value) >> shift); };
  // Two tables: neighbours often fall into one bin, and each would wait for the other.
  std::array<std::array<std::size_t, 2048>, 2> count{};
  for (std::size_t i = 0; i < magnitudes.size(); ++i) ++count[i % 2][bin_of(magnitudes[i])];
  std::size_t bin = 0;
  std::size_t below = 0;
  for (;; ++bin) {
    const std::size_t in_bin = count[0][bin] + count[1][bin];
    if (below + in_bin > rank) break;
    below += in_bin;
  }
  std::size_t found = 0;
  T next_above = std::numeric_limits<T>::infinity();
  for (const T value : magnitudes) {
    const std::size_t other = bin_of(value);
    magnitudes[found] = value;  // one that has been looked at already
    found += other == bin;
    next_above = other > bin && value < next_above ? value : next_above;
  }
  return {magnitudes.first(found), rank - below, next_above};
}

/// The quantile of values without sign bits by linear interpolation between order statistics; NaN if one is
/// NaN. Reorders and overwrites them.
template <Scalar T>
[[nodiscard]] double quantile(std::span<T> magnitudes, double ratio) {
  word_of<T> greatest = 0;
  for (const T value : magnitudes) greatest = std::max(greatest, std::bit_cast<word_of<T>>(value));
  if (std::isnan(std::bit_cast<T>(greatest))) return std::numeric_limits<double>::quiet_NaN();
  const double position = ratio * static_cast<double>(magnitudes.size() - 1);
  candidates<T> left{magnitudes, static_cast<std::size_t>(position), std::numeric_limits<T>::infinity()};
  // The tables have 32 KiB: not worth it for a digit.
  if (magnitudes.size() >= 4096) left = narrow_down(left.values, left.rank);
  const auto at_rank = left.values.begin() + static_cast<std::ptrdiff_t>(left.rank);
  std::nth_element(left.values.begin(), at_rank, left.values.end());
  const double low = static_cast<double>(*at_rank);
  const double fraction = position - std::floor(position);
  if (fraction == 0) return low;
  const bool last = at_rank + 1 == left.values.end();
  const double high =
      static_cast<double>(last ? left.next_above : *std::min_element(at_rank + 1, left.values.end()));
  return high == low ? low : low + (high - low) * fraction;  // the difference of infinities is a NaN
}

}  // namespace diffusion::detail
