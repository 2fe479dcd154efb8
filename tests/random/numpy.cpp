#include "diffusion/random/numpy.hpp"

#include <concepts>
#include <limits>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_identical;

namespace {

using words = std::vector<std::uint64_t>;
constexpr std::uint64_t ones = std::numeric_limits<std::uint64_t>::max();

words raw(numpy_philox g, std::size_t count) {
  words values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(g.random_raw());
  return values;
}

}  // namespace

TEST_CASE("Philox4x64 gives the known answers of Random123") {
  using block = std::array<std::uint64_t, 4>;
  STATIC_REQUIRE(philox4x64_10({0, 0, 0, 0}, {0, 0}) ==
                 block{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b});
  CHECK(philox4x64_10({ones, ones, ones, ones}, {ones, ones}) ==
        block{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0});
  CHECK(philox4x64_10({0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
                      {0x452821e638d01377, 0xbe5466cf34e90c6c}) ==
        block{0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6});
}

TEST_CASE("NumPy's Philox gives NumPy's words for a seed") {
  // numpy 1.24.2: np.random.Philox(seed).random_raw(5)
  CHECK(raw(numpy_philox(0), 5) == words{0x399e5b222b82fa9, 0x41fd08c1f00f3bc5, 0x78b8824162ee4d04,
                                         0x176747919e02739d, 0xfaa88f002a8d3596});
  CHECK(raw(numpy_philox(42), 5) == words{0x16092f00ecdab98a, 0x243d19cc24021070, 0x4524d130684efe02,
                                          0xdfc0f20c3c4b5bca, 0x2b8fe7053fb23371});
  CHECK(raw(numpy_philox(0x100000005), 5) == words{0x5d12196af34df67c, 0x7ce84a2f67d1aaf5, 0x2a6a1e3b62eeac84,
                                                   0xf5b187397cc799ef, 0xb5aa8187bebc89bb});
  CHECK(raw(numpy_philox(ones), 5) == words{0x979b219675f23d66, 0xf108b4617e2f37f3, 0xed78791b3ac9d148,
                                            0xa571f832c650f63a, 0x659d06463567b41c});
}

TEST_CASE("NumPy's Philox gives NumPy's words for a key and a counter, which carries and wraps") {
  CHECK(raw(numpy_philox({3, 4}, {ones, ones, 7, 0}), 5) == words{0x26f41e7d7d6b1b3f, 0x69d70a799c49c894,
                                                                  0x9fde5a67ee52d4e, 0x2f0c8e27efdcdadc,
                                                                  0xfde887dfdc8c4235});
  CHECK(raw(numpy_philox({3, 4}, {ones - 1, ones, ones, ones}), 9) ==
        words{0x92640b7383612b7f, 0x567d33c27aaf8041, 0x3310584948f79597, 0xa559a2a42235dd8e,
              0x1144d0cac9c0a982, 0x49faef47dae08af2, 0xc93cbaf680dee7b6, 0xd47c280baeb66459,
              0xfc47b9967827f6c0});
  const auto second = philox4x64_10({2, 0, 0, 0}, {3, 4});
  CHECK(raw(numpy_philox({3, 4}), 5)[4] == second[0]);
}

TEST_CASE("NumPy's Philox gives NumPy's uniforms, and copies go on independently") {
  numpy_philox g(std::array<std::uint64_t, 2>{123456789, 987654321});
  std::vector<double> u(3);
  g.rand(u);
  check_identical(u, std::vector{0.4024490223687355, 0.8936808172911445, 0.8761984869533747});
  numpy_philox copy = g;
  CHECK(copy.random_raw() == 0x62319c42b8b9a2ce);
  CHECK(g.random_raw() == 0x62319c42b8b9a2ce);
}

TEST_CASE(
    "NumPy's legacy generator gives NumPy's uniforms and normals and keeps the partner of an odd normal") {
  // numpy 1.24.2: r = RandomState(7); r.randn(3), r.random_sample(2), r.randn(2)
  numpy_random_state r(7);
  std::vector<double> z(3), u(2), more(2);
  r.randn(z);
  r.rand(u);
  numpy_random_state copy = r;
  r.randn(more);
  // The C library's log is good to an ulp and counts half; five roundings.
  const double libm = 6 * support::roundoff<>;
  check_close(z, std::vector{1.690525703800356, -0.4659373705408328, 0.0328201636785844}, 0, libm);
  check_identical(u, std::vector{0.5011204636599379, 0.07205113335976154});
  check_close(more, std::vector{0.40751628299650783, -0.0008903858579313628}, 0, libm);
  std::vector<double> again(2);
  copy.randn(again);
  check_identical(again, more);
}

TEST_CASE("A product is rounded before it is added to, whatever the compiler flags") {
  // 0.1 · 10 is 1 when rounded; fused with the subtraction 5.6e-17 would be left.
  const volatile double tenth = 0.1;
  const volatile double ten = 10;
  CHECK(detail::rounded(tenth * ten) - 1 == 0);
}

TEST_CASE("NumPy's generators need a seed") {
  STATIC_REQUIRE(!std::default_initializable<numpy_random_state>);
  STATIC_REQUIRE(!std::default_initializable<numpy_philox>);
  STATIC_REQUIRE(std::copyable<numpy_random_state>);
  STATIC_REQUIRE(std::copyable<numpy_philox>);
}
