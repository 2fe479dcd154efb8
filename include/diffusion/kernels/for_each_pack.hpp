#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

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
  // Four at a time: where the arrays are in the nearest cache, an eighth faster.
  for (; i + 4 * size <= end; i += 4 * size) {
    body(whole_pack<Arch, R>{i});
    body(whole_pack<Arch, R>{i + size});
    body(whole_pack<Arch, R>{i + 2 * size});
    body(whole_pack<Arch, R>{i + 3 * size});
  }
  for (; i + size <= end; i += size) body(whole_pack<Arch, R>{i});
  if (i < end) body(partial_pack<Arch, R>{i, end - i});
}

/// Whether an array of so many bytes is better written past the caches: where it is too large for them
/// anyhow, that saves reading it first. Measured: below, whoever reads the array next pays more than was
/// saved.
constexpr bool exceeds_caches(std::size_t bytes) { return bytes >= std::size_t{8} << 20; }

#if XSIMD_WITH_SSE2
/// Stores past the caches, to an address that is aligned to the pack.
template <class Arch, Scalar R>
struct streamed_pack : whole_pack<Arch, R> {
  template <class T>
  void store(const pack<R, Arch>& value, T* to) const {
    alignas(64) std::array<T, pack_of<R, Arch>::size> values;
    whole_pack<Arch, R>{0}.store(value, values.data());
    if constexpr (sizeof(values) == 64)
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to + this->i), _mm512_load_si512(values.data()));
    else if constexpr (sizeof(values) == 32)
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + this->i),
                          _mm256_load_si256(reinterpret_cast<const __m256i*>(values.data())));
    else if constexpr (sizeof(values) == 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + this->i),
                       _mm_load_si128(reinterpret_cast<const __m128i*>(values.data())));
    else
      std::copy(values.begin(), values.end(), to + this->i);
  }
};
#endif

/// body(place) for every pack of the elements [begin, end) of arrays of which `out` is written only. Past the
/// caches if `streamed`.
template <class Arch, Scalar R, class T, class Body>
void for_each_pack(std::size_t begin, std::size_t end, T* out, bool streamed, Body body) {
#if XSIMD_WITH_SSE2
  if constexpr (!std::same_as<Arch, scalar_arch>) {
    if (streamed) {
      constexpr std::size_t size = pack_of<R, Arch>::size;
      const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(out + begin) / sizeof(T) % size;
      std::size_t i = std::min(end, begin + (misplaced > 0 ? size - misplaced : 0));
      for_each_pack<Arch, R>(begin, i, body);
      for (; i + size <= end; i += size) body(streamed_pack<Arch, R>{{i}});
      for_each_pack<Arch, R>(i, end, body);
      _mm_sfence();
      return;
    }
  }
#endif
  for_each_pack<Arch, R>(begin, end, body);
}

/// body(place, z) with normals z of a row, made tile by tile: a tile stays in the nearest cache, while in
/// registers it would crowd out the body's values. `begin` is a multiple of tile_size.
template <class Arch, Scalar R, int Rounds, products P, class Body>
[[gnu::always_inline]] inline void for_each_pack(std::size_t begin, std::size_t end,
                                                 const normal_tiles<Rounds, P>& tiles, Body body) {
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

/// Elements that a thread works on at once: a multiple of tile_size. Kernels that only read and write arrays
/// take more of them: another thread starts in the time in which one does 50,000.
constexpr std::size_t block_size = 4096;
constexpr std::size_t long_block_size = 8 * block_size;

/// body(row, begin, end) for ranges of elements that cover each of `count` rows, cut into blocks; short rows
/// go together.
template <std::size_t block = block_size, Executor E, class Body>
void for_each_block(const E& executor, std::size_t count, std::size_t row_size, Body body) {
  if (row_size <= block / 2) {
    // One row alone is worth no division: a step of 784 elements takes 50 ns.
    const std::size_t together = count == 1 ? 1 : block / std::max<std::size_t>(row_size, 1);
    const std::size_t units = count == 1 ? 1 : (count + together - 1) / together;
    executor(units, [&](std::size_t first, std::size_t last) {
      for (std::size_t row = first * together; row < std::min(last * together, count); ++row)
        body(row, std::size_t{0}, row_size);
    });
    return;
  }
  const std::size_t blocks = (row_size + block - 1) / block;
  executor(count * blocks, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last;) {
      // Neighbouring blocks of a row go together.
      const std::size_t row = i / blocks;
      const std::size_t end = std::min(last, (row + 1) * blocks);
      body(row, (i - row * blocks) * block, std::min((end - row * blocks) * block, row_size));
      i = end;
    }
  });
}

}  // namespace diffusion::detail
