#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "diffusion/float16.hpp"
#include "diffusion/kernels/pack.hpp"

namespace diffusion::detail {

// g++ 12 takes the undefined values inside its own AVX-512 intrinsics for uninitialised variables.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// F16C is no architecture of xsimd, but no processor has AVX2 without it: where the compiler may use both,
// AVX2's kernels convert by instruction, elsewhere by integer arithmetic, to the same bits.
#if defined(__F16C__) && XSIMD_WITH_AVX2
template <class Arch>
constexpr bool has_f16c = std::derived_from<Arch, xsimd::avx2>;
#else
template <class Arch>
constexpr bool has_f16c = false;
#endif

template <class Arch>
using int_pack = xsimd::batch<std::int32_t, Arch>;
template <class Arch>
using float_pack = xsimd::batch<float, Arch>;

/// The bits of int_pack::size 16-bit numbers, each in the lower half of an element; the upper is zero.
template <class Arch, class Narrow>
int_pack<Arch> load_bits(const Narrow* from) {
#if XSIMD_WITH_SSE2
  if constexpr (std::derived_from<Arch, xsimd::avx512f>) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  } else if constexpr (std::derived_from<Arch, xsimd::avx2>) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  } else if constexpr (std::derived_from<Arch, xsimd::avx>) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_set_m128i(_mm_unpackhi_epi16(bits, _mm_setzero_si128()),
                            _mm_unpacklo_epi16(bits, _mm_setzero_si128()));
  } else if constexpr (std::derived_from<Arch, xsimd::sse2>) {
    const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm_unpacklo_epi16(bits, _mm_setzero_si128());
  } else
#elif XSIMD_WITH_NEON
  if constexpr (std::derived_from<Arch, xsimd::neon>) {
    return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(&from->bits)));
  } else
#endif
  {
    std::array<std::int32_t, int_pack<Arch>::size> bits;
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = from[i].bits;
    return int_pack<Arch>::load_unaligned(bits.data());
  }
}

/// Stores the lower half of every element. The upper half is its sign, for instructions that saturate.
template <class Arch, class Narrow>
void store_bits(const int_pack<Arch>& value, Narrow* to) {
#if XSIMD_WITH_SSE2
  if constexpr (std::derived_from<Arch, xsimd::avx512f>) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(value));
  } else if constexpr (std::derived_from<Arch, xsimd::avx>) {
    const __m256i bits = value;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_packs_epi32(_mm256_castsi256_si128(bits), _mm256_extractf128_si256(bits, 1)));
  } else if constexpr (std::derived_from<Arch, xsimd::sse2>) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi32(value, _mm_setzero_si128()));
  } else
#elif XSIMD_WITH_NEON
  if constexpr (std::derived_from<Arch, xsimd::neon>) {
    vst1_u16(&to->bits, vreinterpret_u16_s16(vmovn_s32(value)));
  } else
#endif
  {
    std::array<std::int32_t, int_pack<Arch>::size> bits;
    value.store_unaligned(bits.data());
    for (std::size_t i = 0; i < bits.size(); ++i) to[i].bits = static_cast<std::uint16_t>(bits[i]);
  }
}

/// Bits chosen by a comparison of floats: what xsimd 8.1 has for integers does not compile everywhere.
template <class Arch>
int_pack<Arch> choose_bits(const xsimd::batch_bool<float, Arch>& condition, const int_pack<Arch>& yes,
                           const int_pack<Arch>& no) {
  return as<std::int32_t>(choose(condition, as<float>(yes), as<float>(no)));
}

/// The float of each float16 whose bits are given, without conversion instructions (after F. Giesen).
template <class Arch>
float_pack<Arch> float_of_half(const int_pack<Arch>& bits) {
  using ints = int_pack<Arch>;
  using floats = float_pack<Arch>;
  const ints normal = ((bits & ints(0x7fff)) << 13) + ints((127 - 15) << 23);
  const floats value = as<float>(normal);
  // The fraction behind the exponent of the least normal number, whose implied leading one goes off again.
  const floats subnormal = as<float>(normal + ints(1 << 23)) - floats(0x1p-14F);
  const ints infinite = normal + ints((128 - 16) << 23);
  ints wide = choose_bits(value < floats(0x1p-14F), as<std::int32_t>(subnormal), normal);
  wide = choose_bits(value >= floats(0x1p16F), infinite, wide);
  wide = choose_bits(value > floats(0x1p16F), infinite | ints(0x400000), wide);
  return as<float>(wide | ((bits & ints(0x8000)) << 16));
}

/// The bits of the float16 nearest to each value, without conversion instructions (after F. Giesen).
template <class Arch>
int_pack<Arch> half_of_float(const float_pack<Arch>& value) {
  using ints = int_pack<Arch>;
  using floats = float_pack<Arch>;
  const ints bits = as<std::int32_t>(value);
  const ints magnitude = bits & ints(0x7fffffff);
  const floats size = as<float>(magnitude);
  const ints normal =
      (magnitude - ints((127 - 15) << 23) + ints(0xfff) + ((magnitude >> 13) & ints(1))) >> 13;
  // In a sum with 1/2 the last place is 2⁻²⁴, that of the subnormal numbers.
  const ints subnormal = as<std::int32_t>(size + floats(0.5F)) - ints(126 << 23);
  const ints nan = ((magnitude >> 13) & ints(0x3ff)) | ints(0x7e00);
  ints narrow = choose_bits(size < floats(0x1p-14F), subnormal, normal);
  narrow = choose_bits(size >= floats(0x1p16F), ints(0x7c00), narrow);
  narrow = choose_bits(xsimd::isnan(value), nan, narrow);
  return narrow | ((bits >> 16) & ints(~0x7fff));
}

/// The bits of the bfloat16 nearest to each value.
template <class Arch>
int_pack<Arch> bfloat_of_float(const float_pack<Arch>& value) {
  using ints = int_pack<Arch>;
  const ints bits = as<std::int32_t>(value);
  const ints rounded = bits + ints(0x7fff) + ((bits >> 16) & ints(1));
  return choose_bits(xsimd::isnan(value), bits | ints(0x400000), rounded) >> 16;
}

#if XSIMD_WITH_AVX512BW
/// Which word goes to each place of a register: the odd ones together, or each of the first ones to an odd
/// place.
template <bool together>
alignas(64) inline constexpr auto word_places = [] {
  std::array<std::uint16_t, 32> words{};
  for (std::size_t i = 0; i < 32; ++i)
    words[i] = static_cast<std::uint16_t>(together ? (2 * i + 1) % 32 : i / 2);
  return words;
}();
#endif

/// The next floats of an array of float16, as many as a pack of Arch holds: exactly what the conversion of
/// each one gives.
template <class Arch>
pack<float, Arch> widen(const float16* from) {
  if constexpr (std::same_as<Arch, scalar_arch>) {
    return static_cast<float>(*from);
#if XSIMD_WITH_SSE2
  } else if constexpr (std::derived_from<Arch, xsimd::avx512f>) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  } else if constexpr (has_f16c<Arch>) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif XSIMD_WITH_NEON64
  } else if constexpr (std::derived_from<Arch, xsimd::neon64>) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
#endif
  } else {
    return float_of_half<Arch>(load_bits<Arch>(from));
  }
}
/// As for float16.
template <class Arch>
pack<float, Arch> widen(const bfloat16* from) {
  if constexpr (std::same_as<Arch, scalar_arch>) return static_cast<float>(*from);
#if XSIMD_WITH_AVX512BW
  else if constexpr (std::derived_from<Arch, xsimd::avx512bw>)
    // One instruction moves the words to upper halves and clears the lower ones.
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(
        0xaaaaaaaa, _mm512_load_si512(word_places<false>.data()),
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))));
#endif
  else
    return as<float>(load_bits<Arch>(from) << 16);
}

/// Stores the float16 nearest to each value: exactly what the conversion of each one gives.
template <class Arch>
void narrow(const xsimd::batch<float, Arch>& value, float16* to) {
#if XSIMD_WITH_SSE2
  constexpr int to_nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  if constexpr (std::derived_from<Arch, xsimd::avx512f>) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(value, to_nearest));
  } else if constexpr (has_f16c<Arch>) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value, to_nearest));
  } else
#elif XSIMD_WITH_NEON64
  if constexpr (std::derived_from<Arch, xsimd::neon64>) {
    vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(value)));
  } else
#endif
  {
    store_bits<Arch>(half_of_float<Arch>(value), to);
  }
}
/// As for float16.
template <class Arch>
void narrow(const xsimd::batch<float, Arch>& value, bfloat16* to) {
  // Not by the instructions for bfloat16 where there are some: they take subnormal numbers for zero.
#if XSIMD_WITH_AVX512BW
  if constexpr (std::derived_from<Arch, xsimd::avx512bw>) {
    const __m512i bits = _mm512_castps_si512(value);
    const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    const __m512i below = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    const __m512i rounded = _mm512_mask_add_epi32(below, odd, bits, _mm512_set1_epi32(0x8000));
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i wide = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    const __m512i upper_halves = _mm512_permutexvar_epi16(_mm512_load_si512(word_places<true>.data()), wide);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(upper_halves));
  } else
#endif
  {
    store_bits<Arch>(bfloat_of_float<Arch>(value), to);
  }
}
/// The plain path.
inline void narrow(float value, float16* to) { *to = float16(value); }
inline void narrow(float value, bfloat16* to) { *to = bfloat16(value); }

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace diffusion::detail
