#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "diffusion/random/box_muller.hpp"
#include "diffusion/random/philox.hpp"

namespace diffusion::detail {

/// Two packs of words in lockstep: the latency of one hides behind the other.
template <class Pack>
struct twin {
  Pack a, b;
  twin(const Pack& a_, const Pack& b_) : a(a_), b(b_) {}
  // Member by member: g++ 12 copies the whole as bytes through memory.
  twin(const twin& x) : a(x.a), b(x.b) {}
  twin& operator=(const twin&) = delete;
  explicit twin(std::uint64_t word) : a(word), b(word) {}
  friend twin operator^(const twin& x, const twin& y) { return {x.a ^ y.a, x.b ^ y.b}; }
  friend twin upper_halves(const twin& x) { return {x.a >> 32, x.b >> 32}; }
  friend twin multiply_low_halves(const twin& x, const twin& y) {
    return {multiply_low_halves(x.a, y.a), multiply_low_halves(x.b, y.b)};
  }
};

/// Four words in the lower halves of each lane; the upper halves are arbitrary.
template <class Lanes>
struct four_words {
  Lanes w0, w1, w2, w3;
};

/// addressed_words on 64-bit lanes. What does not depend on the block is computed once per row: nearly all of
/// the first two rounds.
template <int Rounds>
class lane_words {
 public:
  static_assert(Rounds >= 2);

  lane_words(std::uint64_t seed, std::uint64_t sample, std::uint32_t step) {
    std::uint32_t k0 = static_cast<std::uint32_t>(seed);
    std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
    for (auto& key : keys_) {
      key = {k0, k1};
      k0 += philox_key_step[0];
      k1 += philox_key_step[1];
    }
    const std::uint64_t p1 = multiply_low_halves(sample, m1);
    const std::uint64_t c0 = (p1 >> 32) ^ step ^ keys_[0][0];
    const std::uint64_t p0 = multiply_low_halves(c0, m0);
    first_w2_ = (sample >> 32) ^ keys_[0][1];
    second_w0_ = p1 ^ keys_[1][0];
    second_w2_ = (p0 >> 32) ^ keys_[1][1];
    second_w3_ = p0;
  }

  /// Words 4·block … 4·block + 3.
  template <class Lanes>
  [[gnu::always_inline]] four_words<Lanes> operator()(const Lanes& block) const {
    const Lanes p0 = multiply_low_halves(block, Lanes(m0));
    const Lanes w2 = upper_halves(p0) ^ Lanes(first_w2_);
    const Lanes p1 = multiply_low_halves(w2, Lanes(m1));
    return rounds<2, Lanes>(
        {upper_halves(p1) ^ Lanes(second_w0_), p1, p0 ^ Lanes(second_w2_), Lanes(second_w3_)});
  }

 private:
  static constexpr std::uint64_t m0 = philox_multiplier[0];
  static constexpr std::uint64_t m1 = philox_multiplier[1];

  /// The rounds from `round` on. Unrolled by recursion: g++ leaves a loop as it is at -O2.
  template <int round, class Lanes>
  [[gnu::always_inline]] four_words<Lanes> rounds(const four_words<Lanes>& c) const {
    if constexpr (round == Rounds) {
      return c;
    } else {
      const Lanes p0 = multiply_low_halves(c.w0, Lanes(m0));
      const Lanes p1 = multiply_low_halves(c.w2, Lanes(m1));
      return rounds<round + 1, Lanes>({upper_halves(p1) ^ (c.w1 ^ Lanes(keys_[round][0])), p1,
                                       upper_halves(p0) ^ (c.w3 ^ Lanes(keys_[round][1])), p0});
    }
  }

  std::array<std::array<std::uint64_t, 2>, Rounds> keys_;
  std::uint64_t first_w2_, second_w0_, second_w2_, second_w3_;
};

/// Noise is made by tiles of this many elements: of block b of a tile, words 0 and 2 make the elements 2b and
/// 2b + 32, words 1 and 3 the elements 2b + 1 and 2b + 33. So every width of SIMD stores what it computes
/// without moving it across lanes, and the order of the elements is the same for all.
constexpr std::size_t tile_size = 64;

/// Normals of the blocks whose words are `c`; the first is block `first` of its tile.
/// emit(place, pack) gets them with the place of their first element in the tile.
template <class T, class Arch, class Lanes, class Emit>
[[gnu::always_inline]] inline void emit_normals(const four_words<Lanes>& c, std::size_t first, Emit& emit) {
  const std::size_t place = 2 * first;
  if constexpr (std::same_as<Arch, scalar_arch>) {
    const auto [z0, z2] = box_muller<T, Arch>(static_cast<word_of<T>>(c.w0), static_cast<word_of<T>>(c.w2));
    const auto [z1, z3] = box_muller<T, Arch>(static_cast<word_of<T>>(c.w1), static_cast<word_of<T>>(c.w3));
    emit(place, z0);
    emit(place + 1, z1);
    emit(place + tile_size / 2, z2);
    emit(place + tile_size / 2 + 1, z3);
  } else if constexpr (sizeof(T) == 4) {
    const auto z = box_muller<T, Arch>(interleave_low_halves(c.w0, c.w1), interleave_low_halves(c.w2, c.w3));
    emit(place, z.first);
    emit(place + tile_size / 2, z.second);
  } else {
    const auto even = box_muller<T, Arch>(c.w0, c.w2);
    const auto odd = box_muller<T, Arch>(c.w1, c.w3);
    const auto first_half = interleave(even.first, odd.first);
    const auto second_half = interleave(even.second, odd.second);
    emit(place, first_half[0]);
    emit(place + Lanes::size, first_half[1]);
    emit(place + tile_size / 2, second_half[0]);
    emit(place + tile_size / 2 + Lanes::size, second_half[1]);
  }
}

/// The normals of one tile of a row, as packs of T: emit(place, pack), every place once.
template <class T, class Arch, int Rounds, class Emit>
[[gnu::always_inline]] inline void emit_tile(const lane_words<Rounds>& words, std::size_t tile, Emit emit) {
  using Lanes = pack<std::uint64_t, Arch>;
  constexpr std::size_t width = pack_of<std::uint64_t, Arch>::size;
  constexpr std::size_t blocks = tile_size / 4;
  static_assert(blocks % (2 * width) == 0, "registers of more than 512 bits: choose a narrower architecture");
  static constexpr auto count = [] {
    std::array<std::uint64_t, width> lanes{};
    for (std::size_t i = 0; i < width; ++i) lanes[i] = i;
    return lanes;
  }();
  const Lanes lanes = pack_of<std::uint64_t, Arch>::load(count.data());
  for (std::size_t first = 0; first < blocks; first += 2 * width) {
    const Lanes block = lanes + Lanes(std::uint64_t{tile * blocks + first});
    const auto c = words(twin<Lanes>(block, block + Lanes(std::uint64_t{width})));
    emit_normals<T, Arch>(four_words<Lanes>{c.w0.a, c.w1.a, c.w2.a, c.w3.a}, first, emit);
    emit_normals<T, Arch>(four_words<Lanes>{c.w0.b, c.w1.b, c.w2.b, c.w3.b}, first + width, emit);
  }
}

}  // namespace diffusion::detail
