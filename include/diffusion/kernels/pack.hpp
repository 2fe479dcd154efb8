#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

// g++ 12 warns of its own AVX-512 intrinsics, wherever they are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if XSIMD_WITH_SSE2
#include <immintrin.h>
#elif XSIMD_WITH_NEON
#include <arm_neon.h>
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "diffusion/rows.hpp"

namespace diffusion {

/// Architecture tag of the plain path: every kernel also runs without SIMD.
struct scalar_arch {};

/// The best SIMD architecture that this translation unit is compiled for. Kernels carry it as a template
/// parameter, so that translation units with different flags do not share their symbols.
using default_arch = std::conditional_t<xsimd::default_arch::supported(), xsimd::default_arch, scalar_arch>;

namespace detail {

/// What a kernel computes on at once: a SIMD batch, or one T.
template <class T, class Arch>
struct pack_of {
  using type = xsimd::batch<T, Arch>;
  static constexpr std::size_t size = type::size;
  static type load(const T* from) { return type::load_unaligned(from); }
  static void store(T* to, const type& value) { value.store_unaligned(to); }
};
template <class T>
struct pack_of<T, scalar_arch> {
  using type = T;
  static constexpr std::size_t size = 1;
  static T load(const T* from) { return *from; }
  static void store(T* to, T value) { *to = value; }
};
template <class T, class Arch>
using pack = typename pack_of<T, Arch>::type;

// What the versions of xsimd spell differently or lack, for batches and for single values.

/// Unsigned integers of the size of T.
template <class T>
using word_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// The same bits as elements of type To.
template <class To, class From>
requires std::is_arithmetic_v<From> To as(From value) { return std::bit_cast<To>(value); }
template <class To, class From, class Arch>
xsimd::batch<To, Arch> as(const xsimd::batch<From, Arch>& value) {
  return std::bit_cast<xsimd::batch<To, Arch>>(value);
}

template <class T>
requires std::is_arithmetic_v<T> T choose(bool condition, T yes, T no) { return condition ? yes : no; }
template <class T, class Arch>
xsimd::batch<T, Arch> choose(const xsimd::batch_bool<T, Arch>& condition, const xsimd::batch<T, Arch>& yes,
                             const xsimd::batch<T, Arch>& no) {
  return xsimd::select(condition, yes, no);
}

/// Whether the top bit of each word is set, as a condition for choose() between elements of type T.
template <class T, class Word>
requires std::is_arithmetic_v<Word>
bool top_bit(Word word) { return static_cast<std::make_signed_t<Word>>(word) < 0; }
template <class T, class Word, class Arch>
xsimd::batch_bool<T, Arch> top_bit(const xsimd::batch<Word, Arch>& word) {
  using integer = std::make_signed_t<Word>;
  using condition = xsimd::batch_bool<T, Arch>;
  // The instruction behind choose() looks at nothing but this bit.
  if constexpr (std::derived_from<Arch, xsimd::avx> || std::derived_from<Arch, xsimd::sse4_1>)
    return std::bit_cast<condition>(word);
  else
    return std::bit_cast<condition>(as<integer>(word) < xsimd::batch<integer, Arch>(0));
}

/// √value, rounded to nearest. xsimd 8 estimates it on NEON.
template <class Pack>
Pack square_root(const Pack& value) {
#if XSIMD_WITH_NEON64
  if constexpr (std::same_as<Pack, xsimd::batch<float, xsimd::neon64>>)
    return vsqrtq_f32(value);
  else
#endif
    return xsimd::sqrt(value);
}

/// a > b ? a : b, so b where one is a NaN. Versions of xsimd differ in what max and min make of one; the
/// compilers know x86's instructions in this form.
template <class T>
requires std::is_arithmetic_v<T> T greater_of(T a, T b) { return a > b ? a : b; }
template <class T>
requires std::is_arithmetic_v<T> T lesser_of(T a, T b) { return a < b ? a : b; }
template <class T, class Arch>
xsimd::batch<T, Arch> greater_of(const xsimd::batch<T, Arch>& a, const xsimd::batch<T, Arch>& b) {
#if defined(__GNUC__)
  return a.data > b.data ? a.data : b.data;
#else
  return xsimd::select(a > b, a, b);
#endif
}
template <class T, class Arch>
xsimd::batch<T, Arch> lesser_of(const xsimd::batch<T, Arch>& a, const xsimd::batch<T, Arch>& b) {
#if defined(__GNUC__)
  return a.data < b.data ? a.data : b.data;
#else
  return xsimd::select(a < b, a, b);
#endif
}

/// value limited to [low, high]; a NaN stays a NaN.
template <class Pack>
Pack clamp(const Pack& value, const Pack& low, const Pack& high) {
  return lesser_of(high, greater_of(low, value));
}

/// a b, rounded: no compiler may contract it with an addition that follows.
template <class Pack>
[[gnu::always_inline]] inline Pack product(const Pack& a, const Pack& b) {
  Pack p = a * b;
#if defined(__GNUC__) && defined(__AVX512F__)
  if constexpr (std::is_floating_point_v<Pack>)
    asm("" : "+v"(p));
  else
    asm("" : "+v"(p.data));
#elif defined(__GNUC__) && defined(__SSE2__)
  if constexpr (std::is_floating_point_v<Pack>)
    asm("" : "+x"(p));
  else
    asm("" : "+x"(p.data));
#elif defined(__GNUC__) && defined(__aarch64__)
  if constexpr (std::is_floating_point_v<Pack>)
    asm("" : "+w"(p));
  else
    asm("" : "+w"(p.data));
#endif
  return p;
}

/// a b + c in two roundings, on every processor and with every compiler flag but -ffast-math.
template <class Pack>
[[gnu::always_inline]] inline Pack multiply_add(const Pack& a, const Pack& b, const Pack& c) {
  return product(a, b) + c;
}

/// Whether Arch has fused products.
template <class Arch>
constexpr bool fuses = std::derived_from<Arch, xsimd::avx512f> || std::derived_from<Arch, xsimd::neon64>;
template <class Base>
constexpr bool fuses<xsimd::fma3<Base>> = true;

/// a b + c, fused where Arch can. Said explicitly, because a compiler that may choose fuses a loop and its
/// tail in different ways, and then an element's value would depend on its position.
template <class T, class Arch>
xsimd::batch<T, Arch> fused_multiply_add(const std::type_identity_t<xsimd::batch<T, Arch>>& a,
                                         const xsimd::batch<T, Arch>& b,
                                         const std::type_identity_t<xsimd::batch<T, Arch>>& c) {
#if XSIMD_WITH_AVX512F
  // xsimd 8 leaves the choice to the compiler here.
  if constexpr (std::derived_from<Arch, xsimd::avx512f> && std::same_as<T, float>)
    return _mm512_fmadd_ps(a, b, c);
  else if constexpr (std::derived_from<Arch, xsimd::avx512f>)
    return _mm512_fmadd_pd(a, b, c);
  else
#endif
      if constexpr (fuses<Arch>)
    return xsimd::fma(a, b, c);
  else
    return multiply_add(a, b, c);
}
template <class T>
requires std::is_arithmetic_v<T> T fused_multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The 64-bit product of the lower halves of each element; the upper halves are ignored.
inline std::uint64_t multiply_low_halves(std::uint64_t a, std::uint64_t b) {
  return (a & 0xffffffff) * (b & 0xffffffff);
}
template <class Arch>
xsimd::batch<std::uint64_t, Arch> multiply_low_halves(const xsimd::batch<std::uint64_t, Arch>& a,
                                                      const xsimd::batch<std::uint64_t, Arch>& b) {
#if XSIMD_WITH_AVX512F
  if constexpr (std::derived_from<Arch, xsimd::avx512f>)
    return _mm512_mul_epu32(a, b);
  else
#endif
#if XSIMD_WITH_AVX2
      if constexpr (std::derived_from<Arch, xsimd::avx2>)
    return _mm256_mul_epu32(a, b);
  else
#endif
#if XSIMD_WITH_SSE2
      if constexpr (sizeof(a) == sizeof(__m128i))
    return _mm_mul_epu32(a, b);
  else
#elif XSIMD_WITH_NEON
  if constexpr (sizeof(a) == sizeof(uint64x2_t))
    return vmull_u32(vmovn_u64(a), vmovn_u64(b));
  else
#endif
  {
    std::uint64_t x[a.size], y[a.size];
    a.store_unaligned(x);
    b.store_unaligned(y);
    for (std::size_t i = 0; i < a.size; ++i) x[i] = multiply_low_halves(x[i], y[i]);
    return a.load_unaligned(x);
  }
}

/// e0, o0, e1, o1, … of `even` and `odd`: the first and the second half.
template <class Arch>
std::array<xsimd::batch<double, Arch>, 2> interleave(const xsimd::batch<double, Arch>& even,
                                                     const xsimd::batch<double, Arch>& odd) {
#if XSIMD_WITH_AVX512F
  if constexpr (std::derived_from<Arch, xsimd::avx512f>)
    return {_mm512_permutex2var_pd(even, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), odd),
            _mm512_permutex2var_pd(even, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), odd)};
  else
#endif
#if XSIMD_WITH_AVX
      if constexpr (std::derived_from<Arch, xsimd::avx>) {
    const __m256d low = _mm256_unpacklo_pd(even, odd);
    const __m256d high = _mm256_unpackhi_pd(even, odd);
    return {_mm256_permute2f128_pd(low, high, 0x20), _mm256_permute2f128_pd(low, high, 0x31)};
  } else
#endif
    return {xsimd::zip_lo(even, odd), xsimd::zip_hi(even, odd)};
}

/// The signed value of 32-bit words as T; of 64-bit words (for double) the lower half counts. Exact in
/// double, rounded to nearest in float.
template <class T, class Word>
requires std::is_arithmetic_v<Word> T signed_value(Word word) {
  return static_cast<T>(static_cast<std::int32_t>(static_cast<std::uint32_t>(word)));
}
template <class T, class Arch>
xsimd::batch<float, Arch> signed_value(const xsimd::batch<std::uint32_t, Arch>& word) {
  return xsimd::to_float(as<std::int32_t>(word));
}
template <class T, class Arch>
xsimd::batch<double, Arch> signed_value(const xsimd::batch<std::uint64_t, Arch>& word) {
  using words = xsimd::batch<std::uint64_t, Arch>;
  // The word, moved to positive numbers, as the last bits of 2⁵² + word.
  const words bits = ((word & words(0xffffffff)) ^ words(0x80000000)) | words(0x4330000000000000);
  return as<double>(bits) - xsimd::batch<double, Arch>(0x1p52 + 0x1p31);
}

/// Each word, read as signed, without its last `bits` bits. Of a 64-bit result the lower half counts, bits
/// ≥ 32.
template <int bits, class Word>
requires std::is_arithmetic_v<Word> Word signed_shift(Word word) {
  return static_cast<Word>(static_cast<std::make_signed_t<Word>>(word) >> bits);
}
template <int bits, class Arch>
xsimd::batch<std::uint32_t, Arch> signed_shift(const xsimd::batch<std::uint32_t, Arch>& word) {
  return as<std::uint32_t>(as<std::int32_t>(word) >> bits);
}
template <int bits, class Arch>
xsimd::batch<std::uint64_t, Arch> signed_shift(const xsimd::batch<std::uint64_t, Arch>& word) {
  return as<std::uint64_t>(as<std::int32_t>(word) >> (bits - 32)) >> 32;
}

}  // namespace detail
}  // namespace diffusion
