#include "diffusion/kernels/linear_combination.hpp"

#include <cstring>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEMPLATE_TEST_CASE("A linear combination is the same with and without SIMD, in place or not", "", float,
                   double) {
  const double a = 0.8;
  const double b = -1.7;
  for (std::size_t size = 1; size <= 70; ++size) {
    CAPTURE(size);
    const auto x = support::normals<TestType>(size, 1);
    const auto y = support::normals<TestType>(size, 2);
    std::vector<TestType> want(size);
    for (std::size_t i = 0; i < size; ++i)
      want[i] = static_cast<TestType>(a * static_cast<double>(x[i]) + b * static_cast<double>(y[i]));
    std::vector<TestType> out(size);
    // Both weights and three operations round, on terms of at most 1.7 · 6.77.
    const double tolerance = 5 * roundoff<TestType> * 2.5 * 6.77;
    linear_combination(a, x, b, y, std::span<TestType>(out));
    support::check_close(out, want, tolerance);
    std::vector<TestType> plain(size);
    linear_combination<scalar_arch>(a, x, b, y, std::span<TestType>(plain));
    support::check_close(plain, want, tolerance);

    auto over_x = x;
    linear_combination(a, over_x, b, y, std::span<TestType>(over_x));
    support::check_identical(over_x, out);
    auto over_y = y;
    linear_combination(a, x, b, over_y, std::span<TestType>(over_y));
    support::check_identical(over_y, out);
  }
}

TEMPLATE_TEST_CASE("A linear combination too large for the caches is the same, wherever its memory begins",
                   "", float, double, float16) {
  // Past the caches from 8 MiB on, in pieces that are aligned.
  const std::size_t size = (std::size_t{8} << 20) / sizeof(TestType) + 3;
  std::vector<TestType> x(size + 9), y(size + 9), whole(size + 9), pieces(size);
  philox_normal{1}.row(0, 0).fill(std::span(x));
  philox_normal{1}.row(1, 0).fill(std::span(y));
  const auto combine = [&](std::size_t from, std::size_t count, std::span<TestType> out) {
    linear_combination(0.6, std::span(x).subspan(from, count), 0.8, std::span(y).subspan(from, count), out);
  };
  for (std::size_t from = 0; from < size; from += 100'000) {
    const std::size_t count = std::min<std::size_t>(size - from, 100'000);
    combine(from, count, std::span(pieces).subspan(from, count));
  }
  for (const std::size_t offset : {0u, 1u, 8u}) {
    const auto out = std::span(whole).subspan(offset, size);
    std::fill(whole.begin(), whole.end(), TestType(7.0F));
    combine(0, size, out);
    CHECK(std::memcmp(out.data(), pieces.data(), size * sizeof(TestType)) == 0);
    // Nothing is written beside it.
    for (std::size_t i = 0; i < whole.size(); ++i)
      if (i < offset || i >= offset + size) CHECK(static_cast<float>(whole[i]) == 7);
  }
}

TEST_CASE("A linear combination of different sizes is refused with both sizes") {
  const std::vector<float> four(4);
  std::vector<float> five(5);
  const auto combine = [&](std::span<const float> x, std::span<const float> y) {
    return [&five, x, y] {
      linear_combination(1, x, 1, y, std::span<float>(five));
      return 0;
    };
  };
  check_refused(combine(four, five), {"size of x = 4", "5"});
  check_refused(combine(five, four), {"size of y = 4", "5"});
}
