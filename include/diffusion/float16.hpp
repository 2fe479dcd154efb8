#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace diffusion {

namespace detail {

/// The nearest number of a 16-bit format with one sign bit and `exponent_bits` of exponent, ties to even;
/// beyond the largest it is infinity. A NaN becomes quiet and keeps its sign and the upper bits of its
/// payload, as processors do it. In integers: neither rounding modes nor flushing of subnormals matter.
template <int exponent_bits, class From>
[[nodiscard]] constexpr std::uint16_t round_to_16_bits(From value) noexcept {
  using word = std::conditional_t<sizeof(From) == 4, std::uint32_t, std::uint64_t>;
  using from_limits = std::numeric_limits<From>;
  constexpr int width =
      from_limits::digits + std::bit_width(static_cast<unsigned>(from_limits::max_exponent));
  constexpr int from_fraction_bits = from_limits::digits - 1;
  constexpr int fraction_bits = 15 - exponent_bits;
  constexpr int bias = (1 << (exponent_bits - 1)) - 1;
  // Where `value` is a normal number in both formats: the least exponent, as `value` stores it.
  constexpr int least_exponent = from_limits::max_exponent - 1 - bias + 1;
  constexpr word one = 1;
  constexpr word infinity = ((one << exponent_bits) - 1) << fraction_bits;
  constexpr word quiet = one << (fraction_bits - 1);

  const word bits = std::bit_cast<word>(value);
  const word sign = (bits >> (width - 16)) & 0x8000;
  const word magnitude = bits & (~word{0} >> 1);
  int shift = from_fraction_bits - fraction_bits;
  if (magnitude > std::bit_cast<word>(from_limits::infinity()))
    return static_cast<std::uint16_t>(sign | infinity | quiet | ((magnitude >> shift) & (quiet - 1)));

  const int exponent = static_cast<int>(magnitude >> from_fraction_bits);
  // The exponent stays in front of the fraction, so that rounding up may carry into it.
  word scaled = magnitude - (static_cast<word>(least_exponent - 1) << from_fraction_bits);
  if (exponent < least_exponent) {
    const word fraction = magnitude & ((one << from_fraction_bits) - 1);
    scaled = exponent > 0 ? fraction | one << from_fraction_bits : fraction;
    shift = std::min(shift + least_exponent - std::max(exponent, 1), width - 1);
  }
  const word rounded = (scaled + (one << (shift - 1)) - 1 + ((scaled >> shift) & 1)) >> shift;
  return static_cast<std::uint16_t>(sign | std::min(rounded, infinity));
}

}  // namespace detail

/// IEEE 754 binary16 as storage, without arithmetic: 11 significant bits, up to 65504, subnormals down to
/// 2⁻²⁴. An array of it is the raw memory of a tensor. From a double, too, it rounds once.
struct float16 {
  std::uint16_t bits;

  float16() = default;
  constexpr explicit float16(float value) noexcept : bits(detail::round_to_16_bits<5>(value)) {}
  constexpr explicit float16(double value) noexcept : bits(detail::round_to_16_bits<5>(value)) {}

  /// Exact; a NaN becomes quiet and keeps its sign and payload.
  [[nodiscard]] constexpr explicit operator float() const noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    const std::uint32_t magnitude = bits & 0x7fff;
    const std::uint32_t exponent = magnitude >> 10;
    std::uint32_t wide = (magnitude << 13) + ((127 - 15) << 23);
    if (exponent == 0) wide = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
    if (exponent == 31) wide += (128 - 16) << 23;
    if (magnitude > 0x7c00) wide |= 0x400000;
    return std::bit_cast<float>(sign | wide);
  }
};

/// The upper half of a float as storage, without arithmetic: the range of float with 8 significant bits.
/// From a double, too, it rounds once.
struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  constexpr explicit bfloat16(float value) noexcept : bits(detail::round_to_16_bits<8>(value)) {}
  constexpr explicit bfloat16(double value) noexcept : bits(detail::round_to_16_bits<8>(value)) {}

  /// Exact, bit by bit.
  [[nodiscard]] constexpr explicit operator float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

}  // namespace diffusion
