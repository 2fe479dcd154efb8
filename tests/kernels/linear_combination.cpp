#include "diffusion/kernels/linear_combination.hpp"

#include <vector>

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
