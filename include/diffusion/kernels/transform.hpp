#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "diffusion/rows.hpp"

namespace diffusion {

/// Architecture tag of the plain path: every kernel also runs without SIMD.
struct scalar_arch {};

/// The best SIMD architecture that this translation unit is compiled for. Kernels carry it as a template
/// parameter, so that translation units with different flags do not share their symbols.
using default_arch = std::conditional_t<xsimd::default_arch::supported(), xsimd::default_arch, scalar_arch>;

namespace detail {

// Where a small array is visible to the optimiser, g++ 12 warns about the batches that would not fit and are
// never reached.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#endif

/// What a kernel computes on at once: a SIMD batch, or one T.
template <Scalar T, class Arch>
struct pack_of {
  using type = xsimd::batch<T, Arch>;
  static constexpr std::size_t size = type::size;
  static type load(const T* from) { return type::load_unaligned(from); }
  static void store(T* to, const type& value) { value.store_unaligned(to); }
};
template <Scalar T>
struct pack_of<T, scalar_arch> {
  using type = T;
  static constexpr std::size_t size = 1;
  static T load(const T* from) { return *from; }
  static void store(T* to, T value) { *to = value; }
};

/// value limited to [low, high]. A NaN stays a NaN: by comparisons, because versions of xsimd differ in what
/// min and max make of one.
template <class Pack>
Pack clamp(const Pack& value, const Pack& low, const Pack& high) {
  if constexpr (std::floating_point<Pack>) {
    const Pack above = low > value ? low : value;
    return high < above ? high : above;
  } else {
    const Pack above = xsimd::select(low > value, low, value);
    return xsimd::select(high < above, high, above);
  }
}

/// out[i] = f(in[i]...), f on packs. `out` may be one of the inputs. The tail goes through f as one
/// zero-padded pack, so an element's value does not depend on its position.
template <class Arch, Scalar T, class F, std::same_as<T>... In>
void transform(F f, std::span<T> out, const In*... in) {
  using pack = pack_of<T, Arch>;
  std::size_t i = 0;
  for (; i + pack::size <= out.size(); i += pack::size) pack::store(out.data() + i, f(pack::load(in + i)...));
  if (const std::size_t rest = out.size() - i; rest > 0) {
    const auto padded = [&](const T* from) {
      std::array<T, pack::size> values{};
      std::copy_n(from, rest, values.begin());
      return pack::load(values.data());
    };
    std::array<T, pack::size> values;
    pack::store(values.data(), f(padded(in + i)...));
    std::copy_n(values.begin(), rest, out.data() + i);
  }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace detail
}  // namespace diffusion
