#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "diffusion/executor.hpp"
#include "diffusion/kernels/narrow.hpp"
#include "diffusion/random/normal_tile.hpp"

namespace diffusion::detail {

// Where a small array is visible to the optimiser, g++ 12 warns about the packs that would not fit and are
// never reached.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#endif

/// A place in arrays of equal size: the pack of elements from i on. Elements are computed on as R.
template <class Arch, Scalar R>
struct whole_pack {
  std::size_t i;

  pack<R, Arch> load(const R* from) const { return pack_of<R, Arch>::load(from + i); }
  void store(const pack<R, Arch>& value, R* to) const { pack_of<R, Arch>::store(to + i, value); }
  template <class T>
  pack<R, Arch> load(const T* from) const {
    return widen<Arch>(from + i);
  }
  template <class T>
  void store(const pack<R, Arch>& value, T* to) const {
    narrow(value, to + i);
  }
};

/// The last elements of arrays, fewer than a pack: padded with zeros. They go through the same arithmetic, so
/// an element's value does not depend on its position.
template <class Arch, Scalar R>
struct partial_pack {
  std::size_t i, count;

  template <class T>
  pack<R, Arch> load(const T* from) const {
    std::array<T, pack_of<R, Arch>::size> values{};
    std::copy_n(from + i, count, values.begin());
    return whole_pack<Arch, R>{0}.load(values.data());
  }
  template <class T>
  void store(const pack<R, Arch>& value, T* to) const {
    std::array<T, pack_of<R, Arch>::size> values;
    whole_pack<Arch, R>{0}.store(value, values.data());
    std::copy_n(values.begin(), count, to + i);
  }
};

/// body(place) for every pack of the elements [begin, end).
template <class Arch, Scalar R, class Body>
[[gnu::always_inline]] inline void for_each_pack(std::size_t begin, std::size_t end, Body body) {
  constexpr std::size_t size = pack_of<R, Arch>::size;
  std::size_t i = begin;
  for (; i + size <= end; i += size) body(whole_pack<Arch, R>{i});
  if (i < end) body(partial_pack<Arch, R>{i, end - i});
}

/// body(place, z) with normals z of a row, made tile by tile: a tile stays in the nearest cache, while in
/// registers it would crowd out the body's values. `begin` is a multiple of tile_size.
template <class Arch, Scalar R, int Rounds, products P, class Body>
void for_each_pack(std::size_t begin, std::size_t end, const normal_tiles<Rounds, P>& tiles, Body body) {
  alignas(64) std::array<R, tile_size> tile;
  for (std::size_t i = begin; i < end; i += tile_size) {
    tiles.template make<Arch>(i / tile_size, tile);
    for_each_pack<Arch, R>(0, std::min(tile_size, end - i), [&](auto place) {
      const auto z = place.load(tile.data());
      place.i += i;
      body(place, z);
    });
  }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/// Elements that a thread works on at once: a multiple of tile_size, small enough to balance.
constexpr std::size_t block_size = 4096;

/// body(row, begin, end) for ranges of elements that cover each of `count` rows, cut into blocks.
template <Executor E, class Body>
void for_each_block(const E& executor, std::size_t count, std::size_t row_size, Body body) {
  const std::size_t blocks = (row_size + block_size - 1) / block_size;
  executor(count * blocks, [&](std::size_t first, std::size_t last) {
    for (std::size_t block = first; block < last;) {
      // Neighbouring blocks of a row go together.
      const std::size_t row = block / blocks;
      const std::size_t end = std::min(last, (row + 1) * blocks);
      body(row, (block - row * blocks) * block_size, std::min((end - row * blocks) * block_size, row_size));
      block = end;
    }
  });
}

}  // namespace diffusion::detail
