#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>

#include "diffusion/kernels/pack.hpp"

namespace diffusion {

/// How noise rounds a product that is added to something.
enum class products {
  separate,  ///< by itself: the same bits on every processor
  fused,     ///< with the sum, where the processor can: faster, more accurate, and other last bits elsewhere
};

namespace detail {

/// Coefficients in ascending order, minimax in relative error (those of float with every rounding taken into
/// the next).
template <class T>
struct box_muller_constants;

template <>
struct box_muller_constants<float> {
  /// -2 log(1 + f)/f for f in [√½ - 1, √2 - 1], to 2⁻²⁴˙⁹.
  static constexpr std::array log{-2.0F,       0.9999998F,  -0.66667897F, 0.50003564F, -0.39924303F,
                                  0.33140218F, -0.2983385F, 0.2861872F,   -0.17478861F};
  /// sin(π/4 x)/x in x², for |x| ≤ 1.
  static constexpr std::array sin{0.7853982F, -0.08074583F, 0.0024910164F, -3.6609155e-05F};
  /// cos(π/4 x) in x².
  static constexpr std::array cos{1.0F, -0.30842513F, 0.015854284F, -0.0003258687F, 3.4940874e-06F};
  static constexpr float root_half = 0.70710677F;
};

template <>
struct box_muller_constants<double> {
  /// To 2⁻⁵⁸.
  static constexpr std::array log{
      -2.0000000000000000,  1.0000000000000001,  -0.66666666666667076, 0.49999999999994218,
      -0.39999999999858728, 0.33333333334311522, -0.28571428590654006, 0.24999999932482236,
      -0.22222220881776835, 0.20000001932160926, -0.18181871838919621, 0.16666665688203363,
      -0.15383326408703722, 0.14284344690263405, -0.13351733826436482, 0.12537034489365522,
      -0.11622803052662825, 0.10661142015853798, -0.10896705719411379, 0.12568554922666996,
      -0.11250844399106286, 0.047225364477241436};
  static constexpr std::array sin{0.78539816339744831,    -0.080745512188280782,  0.0024903945701927164,
                                  -3.6576204182147086e-5, 3.1336168891928184e-7,  -1.7572474204808876e-9,
                                  6.9481541143672283e-12, -2.0225906185890113e-14};
  static constexpr std::array cos{1.0000000000000000,      -0.30842513753404246,    0.015854344243815501,
                                  -0.00032599188692738934, 3.5908604485880199e-6,   -2.4611369494856743e-8,
                                  1.1501157415860446e-10,  -3.8979037252113991e-13, 9.9283664480967681e-16};
  static constexpr double root_half = 0.70710678118654752;
};

template <products P, class Pack>
[[gnu::always_inline]] inline Pack multiply_add(const Pack& a, const Pack& b, const Pack& c) {
  if constexpr (P == products::fused)
    return fused_multiply_add(a, b, c);
  else
    return multiply_add(a, b, c);
}

/// The `count` terms of the polynomial with coefficients c from c[first] on, by Estrin's scheme; powers[k] is
/// x to the 2ᵏ. The coefficients are template arguments because g++ then keeps them as constants.
template <products P, const auto& c, std::size_t first, std::size_t count, class Pack, std::size_t n>
[[gnu::always_inline]] inline Pack estrin(const std::array<Pack, n>& powers) {
  if constexpr (count == 1) {
    constexpr auto coefficient = c[first];
    return Pack(coefficient);
  } else {
    constexpr std::size_t low = std::bit_floor(count - 1);
    return multiply_add<P>(estrin<P, c, first + low, count - low>(powers), powers[std::countr_zero(low)],
                           estrin<P, c, first, low>(powers));
  }
}
template <products P, const auto& c, class Pack>
[[gnu::always_inline]] inline Pack polynomial(const Pack& x) {
  std::array<Pack, std::bit_width(c.size() - 1)> powers;
  powers[0] = x;
  for (std::size_t k = 1; k < powers.size(); ++k) powers[k] = powers[k - 1] * powers[k - 1];
  return estrin<P, c, 0, c.size()>(powers);
}

/// -2 log((w + ½)/2³²) of unsigned 32-bit words w, to a small relative error everywhere, also near 0.
template <class T, class Arch, products P>
[[gnu::always_inline]] inline pack<T, Arch> minus_two_log(const pack<word_of<T>, Arch>& word) {
  using Pack = pack<T, Arch>;
  using Words = pack<word_of<T>, Arch>;
  using constants = box_muller_constants<T>;
  constexpr int fraction_bits = std::numeric_limits<T>::digits - 1;
  constexpr word_of<T> fraction = (word_of<T>{1} << fraction_bits) - 1;
  constexpr auto root_half = std::bit_cast<word_of<T>>(constants::root_half);

  // With the word read as signed, t is u where u < ½ and u - 1 elsewhere: both to full relative precision.
  const Pack t = (signed_value<T>(word) + Pack(T(0.5))) * Pack(T(0x1p-32));
  const Pack u = choose(top_bit<T>(as<word_of<T>>(t)), t + Pack(1), t);
  // u = 2ᵉ (1 + f) with 1 + f in [√½, √2); e ≤ 0.
  const Words shifted = as<word_of<T>>(u) - Words(root_half);
  const Pack e = signed_value<T>(Words(signed_shift<fraction_bits>(shifted)));
  const Pack scaled = as<T>(Words((shifted & Words(fraction)) + Words(root_half)));
  const Pack f = choose(top_bit<T>(shifted), scaled - Pack(1), t);
  return multiply_add<P>(polynomial<P, constants::log>(f), f, product(e, Pack(T(-2 * std::numbers::ln2))));
}

/// Independent normals, one pair per element.
template <class Pack>
struct normal_pair {
  Pack first, second;
};

/// Box & Muller's transform (1958) of two 32-bit words per element (for double, the lower halves of 64-bit
/// words): a radius √(-2 log u) with u = (w + ½)/2³², so |z| ≤ 6.77, and an angle of 32 bits. With separate
/// products nothing but IEEE sums, products and roots, each rounded by itself: the same bits everywhere.
template <class T, class Arch, products P = products::separate>
[[gnu::always_inline]] inline normal_pair<pack<T, Arch>> box_muller(
    const pack<word_of<T>, Arch>& radius_word, const pack<word_of<T>, Arch>& angle_word) {
  using Pack = pack<T, Arch>;
  using Words = pack<word_of<T>, Arch>;
  using constants = box_muller_constants<T>;
  constexpr int top = std::numeric_limits<word_of<T>>::digits - 1;
  const Pack radius = square_root(minus_two_log<T, Arch, P>(radius_word));
  // The upper 30 bits, centred, are π/4 x within an octant; the two others mirror it and swap the axes.
  const Pack x = signed_value<T>(Words((angle_word & Words(~word_of<T>{3})) | Words(2))) * Pack(T(0x1p-31));
  const Pack y = x * x;
  const Pack sine = product(radius, Pack(x * polynomial<P, constants::sin>(y)));
  const Pack cosine = product(radius, polynomial<P, constants::cos>(y));
  const Pack mirrored = as<T>(Words(as<word_of<T>>(cosine) ^ (angle_word << top)));
  const auto swap = top_bit<T>(Words(angle_word << (top - 1)));
  return {choose(swap, sine, mirrored), choose(swap, mirrored, sine)};
}

}  // namespace detail
}  // namespace diffusion
