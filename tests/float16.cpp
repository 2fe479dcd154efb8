#include "diffusion/float16.hpp"

#include <cmath>
#include <cstdint>

#include "support/check.hpp"

using namespace diffusion;

namespace {

/// The number that 16 bits mean, by the definition of the formats; 2^(largest exponent + 1) for infinity.
struct format {
  int exponent_bits;
  double value(int magnitude) const {
    const int fraction_bits = 15 - exponent_bits;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = magnitude >> fraction_bits;
    const int fraction = magnitude & ((1 << fraction_bits) - 1);
    return exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                         : std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  }
  int infinity() const { return ((1 << exponent_bits) - 1) << (15 - exponent_bits); }
};
constexpr format half{5};
constexpr format brain{8};

template <class T>
constexpr format format_of = std::is_same_v<T, float16> ? half : brain;

constexpr std::uint16_t negative(int bits) { return static_cast<std::uint16_t>(bits | 0x8000); }

}  // namespace

TEMPLATE_TEST_CASE("Every 16-bit number has the value of its format as a float and comes back from it", "",
                   float16, bfloat16) {
  static_assert(std::is_trivial_v<TestType> && sizeof(TestType) == 2);
  const format f = format_of<TestType>;
  const auto from_bits = [](int bits) {
    return TestType(std::bit_cast<TestType>(static_cast<std::uint16_t>(bits)));
  };
  int wrong = 0;
  for (int bits = 0; bits < f.infinity(); ++bits) {
    const auto plus = static_cast<float>(from_bits(bits));
    const auto minus = static_cast<float>(from_bits(negative(bits)));
    wrong += static_cast<double>(plus) != f.value(bits) || std::signbit(plus) || minus != -plus ||
             !std::signbit(minus);
    wrong += TestType(plus).bits != bits || TestType(minus).bits != negative(bits);
    wrong += TestType(static_cast<double>(plus)).bits != bits;
  }
  CHECK(wrong == 0);
  CHECK(static_cast<float>(from_bits(f.infinity())) == HUGE_VALF);
  CHECK(static_cast<float>(from_bits(negative(f.infinity()))) == -HUGE_VALF);
}

TEMPLATE_TEST_CASE("Between two neighbours the nearest wins and in the middle the even one", "",
                   (std::pair<float16, float>), (std::pair<float16, double>), (std::pair<bfloat16, double>)) {
  using narrow = typename TestType::first_type;
  using wide = typename TestType::second_type;
  const format f = format_of<narrow>;
  int wrong = 0;
  // The last interval ends at infinity, which stands for the power of two behind the largest number.
  for (int bits = 0; bits < f.infinity(); ++bits) {
    const auto below = static_cast<wide>(f.value(bits));
    const auto above = static_cast<wide>(f.value(bits + 1));
    const wide middle = (below + above) / 2;
    const int even = bits % 2 == 0 ? bits : bits + 1;
    for (const auto& [value, want] : {std::pair{std::nextafter(below, above), bits},
                                      {std::nextafter(middle, below), bits},
                                      {middle, even},
                                      {std::nextafter(middle, above), bits + 1},
                                      {std::nextafter(above, below), bits + 1}}) {
      wrong += narrow(value).bits != want;
      wrong += narrow(-value).bits != negative(want);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("A float is rounded to bfloat16 to the nearest, ties to even") {
  // The middle of two neighbours is a float, but its neighbours in turn may not be far from it.
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits) {
    const auto rounded = [&](std::uint32_t rest) {
      return bfloat16(std::bit_cast<float>(bits << 16 | rest)).bits;
    };
    wrong += rounded(1) != bits || rounded(0x7fff) != bits || rounded(0x8000) != bits + bits % 2;
    wrong += rounded(0x8001) != bits + 1 || rounded(0xffff) != bits + 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("Beyond the largest number is infinity") {
  CHECK(float16(65519.99F).bits == 0x7bff);
  CHECK(static_cast<float>(float16(65519.99)) == 65504);
  CHECK(float16(65520.0F).bits == 0x7c00);
  CHECK(float16(-65520.0).bits == 0xfc00);
  CHECK(float16(std::numeric_limits<float>::max()).bits == 0x7c00);
  CHECK(float16(std::numeric_limits<double>::max()).bits == 0x7c00);
  CHECK(float16(HUGE_VALF).bits == 0x7c00);
  CHECK(float16(-HUGE_VAL).bits == 0xfc00);
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bfloat16(0x1.FEp127).bits == 0x7f7f);
  CHECK(bfloat16(1e39).bits == 0x7f80);
  CHECK(bfloat16(-HUGE_VALF).bits == 0xff80);
}

TEST_CASE("Below half the smallest number is zero of the same sign") {
  for (const double small : {0.0, 0x1p-1074, 0x1p-1022, 0x1p-200}) {
    CHECK(float16(small).bits == 0);
    CHECK(float16(-small).bits == 0x8000);
    CHECK(bfloat16(small).bits == 0);
    CHECK(bfloat16(-small).bits == 0x8000);
  }
  CHECK(float16(0x1p-149F).bits == 0);
  CHECK(float16(-0x1p-25F).bits == 0x8000);
  CHECK(float16(0x1.000002p-25F).bits == 1);
  CHECK(bfloat16(-0x1p-149F).bits == 0x8000);
  CHECK(bfloat16(0x1p-134).bits == 0);
  CHECK(bfloat16(0x1.0000000000001p-134).bits == 1);
}

TEST_CASE("A double is rounded once") {
  // The float next to each of these is the middle of two numbers of the format, which would go to the even.
  CHECK(float16(1 + 0x1p-11 + 0x1p-40).bits == 0x3c01);
  CHECK(float16(static_cast<float>(1 + 0x1p-11 + 0x1p-40)).bits == 0x3c00);
  CHECK(float16(1 + 3 * 0x1p-11 - 0x1p-40).bits == 0x3c01);
  CHECK(float16(0x1p-25 + 0x1p-60).bits == 1);
  CHECK(float16(65520 - 0x1p-20).bits == 0x7bff);
  CHECK(bfloat16(1 + 0x1p-8 + 0x1p-40).bits == 0x3f81);
  CHECK(bfloat16(1 + 3 * 0x1p-8 - 0x1p-40).bits == 0x3f81);
}

TEST_CASE("A NaN stays one, quiet, with its sign and the upper bits of its payload") {
  const auto single = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
  CHECK(float16(single(0x7fc00000)).bits == 0x7e00);
  CHECK(float16(single(0xffc00000)).bits == 0xfe00);
  CHECK(float16(single(0x7f800001)).bits == 0x7e00);
  CHECK(float16(single(0xffaaaaaa)).bits == 0xff55);
  CHECK(float16(std::bit_cast<double>(0xfff5555555555555)).bits == 0xff55);
  CHECK(float16(std::bit_cast<double>(0x7ff0000000000001)).bits == 0x7e00);
  CHECK(bfloat16(single(0x7f800001)).bits == 0x7fc0);
  CHECK(bfloat16(single(0xffaaaaaa)).bits == 0xffea);
  CHECK(bfloat16(std::bit_cast<double>(0xfff5555555555555)).bits == 0xffea);

  CHECK(std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<float16>(std::uint16_t{0xfd55}))) ==
        0xffeaa000);
  CHECK(std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<float16>(std::uint16_t{0x7e01}))) ==
        0x7fc02000);
  CHECK(std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<bfloat16>(std::uint16_t{0xffc1}))) ==
        0xffc10000);
}

TEST_CASE("Conversions run at compile time") {
  static_assert(float16(1.0F).bits == 0x3c00 && float16(0x1p-24).bits == 1 && float16(1e9F).bits == 0x7c00);
  static_assert(static_cast<float>(float16(-0.333251953125)) == -0.333251953125F);
  static_assert(static_cast<float>(std::bit_cast<float16>(std::uint16_t{0x8001})) == -0x1p-24F);
  static_assert(bfloat16(1.0F).bits == 0x3f80 && static_cast<float>(bfloat16(-2.5)) == -2.5F);
}
