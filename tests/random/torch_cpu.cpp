#include "diffusion/random/torch_cpu.hpp"

#include <bit>
#include <concepts>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_identical;
using support::roundoff;

namespace {

template <class T>
std::vector<T> randn(torch_cpu_generator& g, std::size_t size) {
  std::vector<T> z(size);
  g.randn(z);
  return z;
}

template <class T>
std::vector<T> rand(torch_cpu_generator& g, std::size_t size) {
  std::vector<T> u(size);
  g.rand(u);
  return u;
}

/// Fowler, Noll and Vo's hash (1a), over the bit patterns of the values.
template <class Bits, class T>
std::uint64_t hash(const std::vector<T>& values) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const T value : values) h = (h ^ std::bit_cast<Bits>(value)) * 0x100000001b3;
  return h;
}

/// Normals in double depend on the last bits of log, sin and cos of the C library, each good to an ulp: log
/// counts half through the root, and there are three roundings.
constexpr double libm = 8 * roundoff<>;

}  // namespace

TEST_CASE(
    "PyTorch's CPU numbers are the bits that PyTorch 1.13 gave, below and above 16 and for large sizes") {
  // From libtorch 1.13.1 (Debian, AVX2): for each seed and size a new generator, randn in float, rand in
  // float, rand in double. These come from integers and fused operations alone, so every platform has the
  // same bits.
  struct record {
    std::uint64_t seed;
    std::size_t size;
    std::uint64_t normals, floats, doubles;
  };
  const record records[] = {{0, 16, 0xf1048bdebedebeff, 0xeac2df3f79deb3c0, 0x4907affab0399d54},
                            {0, 31, 0x5f3346b40de8d3d4, 0x474c0f98ed3aec5b, 0x9c7f6e2f142823d0},
                            {0, 1000, 0x287b18729c9250fb, 0x41453c1a72e03b78, 0x871a8a43c81047a3},
                            {0, 100003, 0x237b9cf386bd1a74, 0xb385a2216a992bd3, 0x27d10d6d946f2097},
                            {42, 16, 0xba2178f6e02a950, 0xaf8fb9d8ff8baee9, 0x61c92498dc0b0769},
                            {42, 31, 0x44ca9318d2eecd35, 0xe5fef6f37d6000ef, 0x69ab16f85cb31fb2},
                            {42, 1000, 0x995c894ce1950846, 0x3c3b1d80cc4bf28, 0xe074b5f566185462},
                            {42, 100003, 0xe76a205c8c15825c, 0x350a50993a6e387, 0xdda7fdab13fe317},
                            {4294967295, 16, 0xefffeb8a8f30e951, 0xf28aa9d0bd1b820, 0x99e51ade192491fb},
                            {4294967295, 31, 0x6b56e1e9834a7d7a, 0xb6404aade733d3a8, 0xbdb1dfb5cc616266},
                            {4294967295, 1000, 0x9e965550b08efea9, 0x6ff1dc5e6af9d664, 0x67605f757637fc33},
                            {4294967295, 100003, 0x542cfbd7fffbe9f0, 0x33858de8091c9957, 0x2f8eb6875222f158}};
  for (const record& r : records) {
    CAPTURE(r.seed, r.size);
    torch_cpu_generator g(r.seed);
    CHECK(hash<std::uint32_t>(randn<float>(g, r.size)) == r.normals);
    CHECK(hash<std::uint32_t>(rand<float>(g, r.size)) == r.floats);
    CHECK(hash<std::uint64_t>(rand<double>(g, r.size)) == r.doubles);
  }
}

TEST_CASE(
    "PyTorch's CPU generator goes on from call to call, and an odd normal leaves its partner for later") {
  // Recorded from libtorch 1.13.1, seed 7. The first call leaves a partner, which blocks and uniforms pass by
  // and the fourth call takes.
  torch_cpu_generator g(7);
  const double one_ulp = 2 * roundoff<float>;  // a last bit in double may turn a rounding
  check_close(randn<float>(g, 3), std::vector{-0.14679509401321411, 0.78614127635955811, 0.94682163000106812},
              0, one_ulp);
  const auto block = randn<float>(g, 16);
  CHECK(block[14] == -1.0842019319534302F);
  CHECK(block[15] == -0.88749009370803833F);
  check_identical(rand<double>(g, 2), std::vector{0.16744060179820508, 0.037633740582669328});
  check_close(randn<double>(g, 2), std::vector{-1.1143440212610307, 1.3954507962006726}, 0, libm);
  const auto redone = randn<double>(g, 17);
  const std::vector ends{redone[0], redone[1], redone[15], redone[16]};
  check_close(ends,
              std::vector{0.12877206565947644, 1.2846434528276631, 0.73195779843008846, -0.41559864564822913},
              0, libm);
  CHECK(rand<float>(g, 1)[0] == 0.72643274068832397F);
  check_close(randn<float>(g, 1), std::vector{1.3470226526260376}, 0, one_ulp);
  check_close(randn<float>(g, 1), std::vector{0.38085314631462097}, 0, one_ulp);
}

TEMPLATE_TEST_CASE("From 16 on, a size that is no multiple of 16 draws its last block anew", "", float,
                   double) {
  for (std::size_t size = 17; size < 48; ++size) {
    torch_cpu_generator g(5);
    torch_cpu_generator by_hand = g;
    const auto z = randn<TestType>(g, size);
    const std::size_t whole = size / 16 * 16;
    auto expected = randn<TestType>(by_hand, whole);
    if (size != whole) {
      rand<TestType>(by_hand, size - whole);  // uniforms of the tail, which nothing keeps
      expected.resize(size - 16);
      const auto last = randn<TestType>(by_hand, 16);
      expected.insert(expected.end(), last.begin(), last.end());
    }
    check_identical(z, expected);
    check_identical(rand<TestType>(g, 1), rand<TestType>(by_hand, 1));
  }
}

TEST_CASE("PyTorch's vectorised float normals are within 8.1e-6 of its scalar form") {
  // |z| ≤ r |Δθ| + …, r ≤ √(48 ln 2) = 5.77. The angles: 2π in float is 2.8e-8 off, and three roundings. The
  // four functions are good to two ulps each.
  const double u = roundoff<float>;
  const double bound = 5.77 * (2 * std::numbers::pi * (2.8e-8 + 2 * u) + 4 * 2 * u);
  const std::size_t size = 160000;
  torch_cpu_generator g(1);
  torch_cpu_generator copy = g;
  const auto z = randn<float>(g, size);
  auto scalar = rand<float>(copy, size);
  for (std::size_t i = 0; i < size; i += 16)
    for (std::size_t j = i; j < i + 8; ++j) {
      const float radius = std::sqrt(-2 * std::log(1 - scalar[j]));
      const float angle = static_cast<float>(2 * std::numbers::pi * double{scalar[j + 8]});
      scalar[j] = radius * std::cos(angle);
      scalar[j + 8] = radius * std::sin(angle);
    }
  check_close(z, scalar, bound);
}

TEST_CASE("The vectorised form holds at the ends of its range") {
  // A uniform of 0 is a radius of +0, the largest one of 5.77; the angle is 0 or the last float below 2π.
  const float last = 1 - 0x1p-24F;
  for (const float a : {0.0F, last})
    for (const float b : {0.0F, 0.125F, 0.25F, 0.5F, 0.75F, last}) {
      float x = a;
      float y = b;
      detail::torch_box_muller(x, y);
      const double radius = std::sqrt(-2 * std::log1p(-double{a}));
      CHECK(std::abs(x - radius * std::cos(2 * std::numbers::pi * b)) <= 1e-5);
      CHECK(std::abs(y - radius * std::sin(2 * std::numbers::pi * b)) <= 1e-5);
      CHECK((a != 0 || (!std::signbit(x) && !std::signbit(y))));
    }
}

TEST_CASE("Of a seed the low 32 bits count; copies go on independently; nothing is drawn for no elements") {
  torch_cpu_generator g((std::uint64_t{9} << 32) + 3);
  torch_cpu_generator same(3);
  randn<float>(g, 1);
  randn<float>(g, 0);
  torch_cpu_generator copy = g;
  randn<double>(copy, 100);
  randn<float>(same, 1);
  check_identical(randn<float>(g, 40), randn<float>(same, 40));
  STATIC_REQUIRE(std::copyable<torch_cpu_generator>);
  STATIC_REQUIRE(!std::default_initializable<torch_cpu_generator>);
  STATIC_REQUIRE(!std::convertible_to<int, torch_cpu_generator>);
}
