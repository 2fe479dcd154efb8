#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "diffusion/random/box_muller.hpp"
#include "diffusion/random/philox.hpp"

namespace diffusion::detail {

inline std::uint64_t upper_halves(std::uint64_t x) { return x >> 32; }
inline std::uint64_t to_upper_halves(std::uint64_t x) { return x << 32; }
template <class Arch>
xsimd::batch<std::uint64_t, Arch> upper_halves(const xsimd::batch<std::uint64_t, Arch>& x) {
  return x >> 32;
}
template <class Arch>
xsimd::batch<std::uint64_t, Arch> to_upper_halves(const xsimd::batch<std::uint64_t, Arch>& x) {
  return x << 32;
}

/// Two packs of words, or twins of packs, in lockstep: the latency of one hides behind the other.
template <class Pack>
struct twin {
  Pack a, b;
  twin(const Pack& a_, const Pack& b_) : a(a_), b(b_) {}
  // Member by member: g++ 12 copies the whole as bytes through memory.
  twin(const twin& x) : a(x.a), b(x.b) {}
  twin& operator=(const twin&) = delete;
  explicit twin(std::uint64_t word) : a(word), b(word) {}
  friend twin operator^(const twin& x, const twin& y) { return {x.a ^ y.a, x.b ^ y.b}; }
  friend twin upper_halves(const twin& x) { return {upper_halves(x.a), upper_halves(x.b)}; }
  friend twin to_upper_halves(const twin& x) { return {to_upper_halves(x.a), to_upper_halves(x.b)}; }
  friend twin multiply_low_halves(const twin& x, const twin& y) {
    return {multiply_low_halves(x.a, y.a), multiply_low_halves(x.b, y.b)};
  }
};

/// The four words of each block, two to a lane: word 1 in the lower half of `first` and word 0 in the upper,
/// then 3 and 2 of `second`.
template <class Lanes>
struct word_pairs {
  Lanes first, second;
};

/// addressed_words on 64-bit lanes. What does not depend on the block is computed once per row: nearly all of
/// the first two rounds.
template <int Rounds>
class lane_words {
 public:
  static_assert(Rounds >= 3);

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
    for (auto& key : keys_.back()) key <<= 32;
  }

  /// Words 4·block … 4·block + 3.
  template <class Lanes>
  [[gnu::always_inline]] word_pairs<Lanes> operator()(const Lanes& block) const {
    const Lanes p0 = multiply_low_halves(block, Lanes(m0));
    const Lanes w2 = upper_halves(p0) ^ Lanes(first_w2_);
    const Lanes p1 = multiply_low_halves(w2, Lanes(m1));
    return rounds<2, Lanes>(
        {upper_halves(p1) ^ Lanes(second_w0_), p1, p0 ^ Lanes(second_w2_), Lanes(second_w3_)});
  }

 private:
  static constexpr std::uint64_t m0 = philox_multiplier[0];
  static constexpr std::uint64_t m1 = philox_multiplier[1];

  /// Four words in the lower halves of each lane; the upper halves are arbitrary.
  template <class Lanes>
  struct counter {
    Lanes w0, w1, w2, w3;
  };

  /// The rounds from `round` on. Unrolled by recursion: g++ leaves a loop as it is at -O2.
  template <int round, class Lanes>
  [[gnu::always_inline]] word_pairs<Lanes> rounds(const counter<Lanes>& c) const {
    const Lanes p0 = multiply_low_halves(c.w0, Lanes(m0));
    const Lanes p1 = multiply_low_halves(c.w2, Lanes(m1));
    const Lanes k0(keys_[round][0]);
    const Lanes k1(keys_[round][1]);
    if constexpr (round == Rounds - 1)
      // The halves of a product are two words already, where they belong.
      return {p1 ^ (to_upper_halves(c.w1) ^ k0), p0 ^ (to_upper_halves(c.w3) ^ k1)};
    else
      return rounds<round + 1, Lanes>(
          {upper_halves(p1) ^ (c.w1 ^ k0), p1, upper_halves(p0) ^ (c.w3 ^ k1), p0});
  }

  std::array<std::array<std::uint64_t, 2>, Rounds> keys_;  // the last one in upper halves
  std::uint64_t first_w2_, second_w0_, second_w2_, second_w3_;
};

/// Noise is made by tiles of this many elements: of block b of a tile, words 1 and 3 make the elements 2b and
/// 2b + 64, words 0 and 2 the elements 2b + 1 and 2b + 65. So every width of SIMD stores what it computes
/// without moving it across lanes, and the order of the elements is the same for all.
constexpr std::size_t tile_size = 128;

/// The normals of a row.
template <int Rounds, products P>
class normal_tiles {
 public:
  normal_tiles(std::uint64_t seed, std::uint64_t sample, std::uint32_t step) : words_(seed, sample, step) {}

  /// Writes the normals of one tile. Not inlined into loops: it wants all registers for itself.
  template <class Arch, class T>
  [[gnu::noinline]] void make(std::size_t tile, std::array<T, tile_size>& z) const {
    using Lanes = pack<std::uint64_t, Arch>;
    constexpr std::size_t width = pack_of<std::uint64_t, Arch>::size;
    constexpr std::size_t blocks = tile_size / 4;
    static_assert(blocks % (2 * width) == 0,
                  "registers of more than 1024 bits: choose a narrower architecture");
    static constexpr auto count = [] {
      std::array<std::uint64_t, width> lanes{};
      for (std::size_t i = 0; i < width; ++i) lanes[i] = i;
      return lanes;
    }();
    const Lanes first =
        pack_of<std::uint64_t, Arch>::load(count.data()) + Lanes(std::uint64_t{tile * blocks});
    const auto two = [&](std::size_t block) {
      return twin<Lanes>(first + Lanes(std::uint64_t{block}), first + Lanes(std::uint64_t{block + width}));
    };
    if constexpr (blocks == 4 * width) {
      // With 512 bits come enough registers for four packs.
      const auto c = words_(twin<twin<Lanes>>(two(0), two(2 * width)));
      put_two<Arch>(word_pairs<twin<Lanes>>{c.first.a, c.second.a}, z.data());
      put_two<Arch>(word_pairs<twin<Lanes>>{c.first.b, c.second.b}, z.data() + 4 * width);
    } else {
      for (std::size_t block = 0; block < blocks; block += 2 * width)
        put_two<Arch>(words_(two(block)), z.data() + 2 * block);
    }
  }

 private:
  template <class Arch, class Lanes, class T>
  [[gnu::always_inline]] static void put_two(const word_pairs<twin<Lanes>>& c, T* z) {
    put_one<Arch>(word_pairs<Lanes>{c.first.a, c.second.a}, z);
    put_one<Arch>(word_pairs<Lanes>{c.first.b, c.second.b}, z + 2 * pack_of<std::uint64_t, Arch>::size);
  }

  /// The normals of the blocks whose words are `c`; z is the first one's place in the tile.
  template <class Arch, class Lanes, class T>
  [[gnu::always_inline]] static void put_one(const word_pairs<Lanes>& c, T* z) {
    constexpr std::size_t half = tile_size / 2;
    if constexpr (std::same_as<Arch, scalar_arch>) {
      const auto word = [](std::uint64_t value) { return static_cast<word_of<T>>(value); };
      const auto even = box_muller<T, Arch, P>(word(c.first), word(c.second));
      const auto odd = box_muller<T, Arch, P>(word(upper_halves(c.first)), word(upper_halves(c.second)));
      z[0] = even.first;
      z[1] = odd.first;
      z[half] = even.second;
      z[half + 1] = odd.second;
    } else if constexpr (sizeof(T) == 4) {
      const auto normals = box_muller<T, Arch, P>(as<std::uint32_t>(c.first), as<std::uint32_t>(c.second));
      normals.first.store_unaligned(z);
      normals.second.store_unaligned(z + half);
    } else {
      const auto even = box_muller<T, Arch, P>(c.first, c.second);
      const auto odd = box_muller<T, Arch, P>(upper_halves(c.first), upper_halves(c.second));
      const auto first = interleave(even.first, odd.first);
      const auto second = interleave(even.second, odd.second);
      first[0].store_unaligned(z);
      first[1].store_unaligned(z + Lanes::size);
      second[0].store_unaligned(z + half);
      second[1].store_unaligned(z + half + Lanes::size);
    }
  }

  lane_words<Rounds> words_;
};

}  // namespace diffusion::detail
