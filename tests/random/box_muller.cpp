#include "diffusion/random/box_muller.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "support/catch.hpp"

using namespace diffusion;

namespace {

struct long_pair {
  long double first, second;
};

/// The transform as its documentation has it.
long_pair reference(std::uint32_t radius_word, std::uint32_t angle_word) {
  const long double radius = std::sqrt(-2 * std::log((radius_word + 0.5L) * 0x1p-32L));
  // Near 1 the logarithm of the rounded u would lose digits that u - 1 has.
  const long double small = -(0x1p32L - radius_word - 0.5L) * 0x1p-32L;
  const long double accurate = radius_word < 0x80000000 ? radius : std::sqrt(-2 * std::log1p(small));
  const auto upper = static_cast<std::int32_t>((angle_word & ~3u) | 2);
  const long double angle = static_cast<long double>(upper) * 0x1p-31L * 0.785398163397448309615660845819876L;
  const long double sine = accurate * std::sin(angle);
  const long double cosine = accurate * std::cos(angle) * (angle_word & 1 ? -1 : 1);
  return angle_word & 2 ? long_pair{sine, cosine} : long_pair{cosine, sine};
}

template <class T>
double ulps(T value, long double want) {
  int exponent = 0;
  std::frexp(want, &exponent);
  const long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::abs(static_cast<long double>(value) - want) / unit);
}

template <class T>
double worst_ulps(std::uint32_t radius_word, std::uint32_t angle_word, const long_pair& want) {
  const auto z = detail::box_muller<T, scalar_arch>(radius_word, angle_word);
  return std::max(ulps(z.first, want.first), ulps(z.second, want.second));
}

// Each factor of z = √(L) · x · P(x²) and of L = Q(f) f - 2e log 2 has its last roundings (7 of at most half
// an ulp each, those of L halved by the root) and a polynomial good to half an ulp; an ulp of a factor is up
// to two of the result. Found over 4·10⁸ pairs of words: 5.51 in float, 4.86 in double.
constexpr double most_ulps = 6;

}  // namespace

TEST_CASE("Box and Muller's transform has the values of a computation with 50 digits") {
  struct known {
    std::uint32_t radius_word, angle_word;
    const char *first, *second;
  };
  // mpmath, mp.dps = 60; the last three are the worst that a search found for float.
  const known values[] = {
      {0x00000000, 0x00000000, "6.7637056350018952016427316479458482789577527310321",
       "0.0000000049473736281427185658417075307885340097130941317448"},
      {0xffffffff, 0xfffffffc, "0.00001525878906294408920579609341929907475492152811619",
       "-0.000000000000011161179193952455144307351142795798548506918767391"},
      {0x7fffffff, 0x7fffffff, "0.83255461068854721148519919220215543733849273688397",
       "-0.83255461190650640432959383210632958350081227686802"},
      {0x80000000, 0x80000000, "0.83255461162684830058019996520482184394572622535788",
       "-0.83255461040888910814492222098994478922064363534276"},
      {0xb504f333, 0x00000003, "0.00000000060897959645763419318788571939387681141794231502012",
       "-0.8325546113459736399453880615208127566964434024331"},
      {0x12345678, 0x9abcdef1, "-1.8696055151024484217085160370732631748430232213405",
       "-1.3385060995422196099135124056341508467676739912312"},
      {0xb2147cb5, 0x65ad6142, "0.4977261868313684704470905505831340721336239920555",
       "0.69148929378107214276605272331674587242757210993814"},
      {0xff532e79, 0x477952aa, "0.030858321187972822292263681385125325241916149697936",
       "0.065793091157175966587208800359744185396252668980481"},
      {0x0274b162, 0x7293f6c3, "1.9709882296740137839830322019148229276388980229028",
       "-2.3256460054459711635938031479101526116644397791794"}};
  for (const known& v : values) {
    const long_pair want{std::stold(v.first), std::stold(v.second)};
    CAPTURE(v.first);
    CHECK(worst_ulps<float>(v.radius_word, v.angle_word, want) <= most_ulps);
    CHECK(worst_ulps<double>(v.radius_word, v.angle_word, want) <= most_ulps);
    const long_pair own = reference(v.radius_word, v.angle_word);
    CHECK(ulps(static_cast<double>(own.first), want.first) <= 0.51);
    CHECK(ulps(static_cast<double>(own.second), want.second) <= 0.51);
  }
}

TEST_CASE("Box and Muller's transform is accurate to 6 ulp for words of every size") {
  double worst_float = 0;
  double worst_double = 0;
  const auto check = [&](std::uint32_t radius_word, std::uint32_t angle_word) {
    const long_pair want = reference(radius_word, angle_word);
    worst_float = std::max(worst_float, worst_ulps<float>(radius_word, angle_word, want));
    worst_double = std::max(worst_double, worst_ulps<double>(radius_word, angle_word, want));
  };
  for (std::uint32_t i = 0; i < 1 << 19; ++i) {
    const std::uint32_t mixed = i * 2654435761u;  // odd, so every residue occurs
    check(i >> (i % 19), mixed);                  // the tail: u near 0
    check(~(i >> (i % 19)), mixed);               // small radii: u near 1
    check(mixed, i * 40503u * 65537u + 12345u);
    check(mixed, (i >> (i % 19)) << 2 | (i & 3));  // angles near an axis
  }
  CHECK(worst_float <= most_ulps);
  CHECK(worst_double <= most_ulps);
}

TEST_CASE("Box and Muller's transform stays finite, above 0 and below 6.77 for every word") {
  for (const std::uint32_t word : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU})
    for (const std::uint32_t angle : {0U, 0x3fffffffU, 0x40000000U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
      const auto [a, b] = detail::box_muller<float, scalar_arch>(word, angle);
      CHECK(std::hypot(a, b) <= 6.77);
      CHECK(a != 0);
      CHECK(b != 0);
    }
  // The largest of all: u = 2⁻³³ along an axis.
  CHECK(detail::box_muller<float, scalar_arch>(0U, 0U).first == Approx(std::sqrt(66 * std::log(2.0))));
}
