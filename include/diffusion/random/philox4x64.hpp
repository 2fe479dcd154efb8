#pragma once

#include <array>
#include <cstdint>

namespace diffusion {

namespace detail {

struct wide_product {
  std::uint64_t high, low;
};

/// a · b in 128 bits.
[[nodiscard]] constexpr wide_product multiply_wide(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t mask = 0xFFFFFFFF;
  const std::uint64_t low = (a & mask) * (b & mask);
  const std::uint64_t middle = (a >> 32) * (b & mask) + (low >> 32);
  const std::uint64_t other = (a & mask) * (b >> 32) + (middle & mask);
  return {(a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32), a * b};
}

}  // namespace detail

/// Philox4x64-10: four random 64-bit words for a 256-bit counter and a 128-bit key, lowest word first
/// (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
[[nodiscard]] constexpr std::array<std::uint64_t, 4> philox4x64_10(
    std::array<std::uint64_t, 4> counter, std::array<std::uint64_t, 2> key) noexcept {
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round < 10; ++round) {
    const auto [high0, low0] = detail::multiply_wide(0xD2E7470EE14C6C93, c0);
    const auto [high1, low1] = detail::multiply_wide(0xCA5A826395121157, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B97F4A7C15;
    k1 += 0xBB67AE8584CAA73B;
  }
  return {c0, c1, c2, c3};
}

}  // namespace diffusion
