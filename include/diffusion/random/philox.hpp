#pragma once

#include <array>
#include <cstdint>

namespace diffusion {

namespace detail {

/// Multipliers of Philox4x32 and what its keys grow by from round to round.
inline constexpr std::array<std::uint32_t, 2> philox_multiplier{0xD2511F53, 0xCD9E8D57};
inline constexpr std::array<std::uint32_t, 2> philox_key_step{0x9E3779B9, 0xBB67AE85};

}  // namespace detail

/// Philox4x32: four random 32-bit words for a 128-bit counter and a 64-bit key, lowest word first (Salmon et
/// al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). 10 rounds are the standard, 7 the fewest that
/// pass its authors' tests.
template <int Rounds = 10>
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                std::array<std::uint32_t, 2> key) noexcept {
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round < Rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{detail::philox_multiplier[0]} * c0;
    const std::uint64_t p1 = std::uint64_t{detail::philox_multiplier[1]} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += detail::philox_key_step[0];
    k1 += detail::philox_key_step[1];
  }
  return {c0, c1, c2, c3};
}

/// Random words addressed by (seed, sample, step): word i is the same whatever else is drawn, and in which
/// order.
template <int Rounds = 10>
class addressed_words {
 public:
  constexpr addressed_words(std::uint64_t seed, std::uint64_t sample, std::uint32_t step) noexcept
      : key_{low(seed), high(seed)}, step_(step), sample_{low(sample), high(sample)} {}

  /// Words 4·block … 4·block + 3.
  [[nodiscard]] constexpr std::array<std::uint32_t, 4> operator[](std::uint32_t block) const noexcept {
    return philox4x32<Rounds>({block, step_, sample_[0], sample_[1]}, key_);
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t x) noexcept { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) noexcept {
    return static_cast<std::uint32_t>(x >> 32);
  }

  std::array<std::uint32_t, 2> key_;
  std::uint32_t step_;
  std::array<std::uint32_t, 2> sample_;
};

}  // namespace diffusion
