#include "diffusion/random/philox.hpp"

#include <set>

#include "support/catch.hpp"

using namespace diffusion;
using words = std::array<std::uint32_t, 4>;

TEST_CASE("Philox gives the known answers of Random123") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Philox with 7 rounds gives the known answers of Random123") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32<7>({0, 0, 0, 0}, {0, 0}) == words{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48});
  CHECK(philox4x32<7>({ones, ones, ones, ones}, {ones, ones}) ==
        words{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662});
  CHECK(philox4x32<7>({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        words{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a});
}

TEST_CASE("Philox runs at compile time") {
  static_assert(philox4x32({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
  static_assert(addressed_words(0, 0, 0)[0][0] == 0x6627e8d5);
}

TEST_CASE("Words are addressed by block, step, sample and seed, each with all its bits") {
  CHECK(addressed_words(0x299f31d0'a4093822, 0x03707344'13198a2e, 0x85a308d3)[0x243f6a88] ==
        words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  const std::uint64_t high = std::uint64_t{1} << 32;
  const std::set<words> all{addressed_words(0, 0, 0)[0],    addressed_words(0, 0, 0)[1],
                            addressed_words(0, 0, 1)[0],    addressed_words(0, 1, 0)[0],
                            addressed_words(0, high, 0)[0], addressed_words(1, 0, 0)[0],
                            addressed_words(high, 0, 0)[0]};
  CHECK(all.size() == 7);
}
