#include "diffusion/kernels/blend_known.hpp"

#include <cmath>
#include <vector>

#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::normals;

TEMPLATE_TEST_CASE("A blend takes each part as it is, and between both in proportion", "", float, double) {
  using T = TestType;
  const philox_normal noise{2};
  const noise_level level{0.6, 0.8};
  for (const std::size_t size : {1u, 7u, 64u, 5000u}) {
    const auto x0 = normals<T>(2 * size, 3);
    const auto start = normals<T>(2 * size, 4);
    std::vector<T> mask(2 * size);
    for (std::size_t i = 0; i < 2 * size; ++i) mask[i] = T(i % 3) / 2;
    const known_part<T> known{{std::span<const T>(x0), 2}, {std::span<const T>(mask), 2}};
    auto x = start;
    auto scalar = start;
    blend_known(known, level, noise, 5, 9, rows<T>(std::span<T>(x), 2), {});
    blend_known<scalar_arch>(known, level, noise, 5, 9, rows<T>(std::span<T>(scalar), 2), {});
    std::vector<T> z(2 * size), want(2 * size);
    draw_noise(noise, 5, 9, rows<T>(std::span<T>(z), 2));
    for (std::size_t i = 0; i < 2 * size; ++i) {
      const double drawn = 0.6 * double(x0[i]) + 0.8 * double(z[i]);
      want[i] = T(double(mask[i]) * drawn + (1 - double(mask[i])) * double(start[i]));
      if (mask[i] == 0) CHECK(x[i] == start[i]);
    }
    support::check_close(x, want, 4 * 7 * support::roundoff<T>);  // four roundings of numbers below 7
    support::check_close(scalar, want, 4 * 7 * support::roundoff<T>);
  }
}

TEST_CASE("A blend with clean data draws no noise and is the data") {
  const auto x0 = normals(10, 3);
  const std::vector<double> mask(5, 1);
  const known_part<double> known{{std::span<const double>(x0), 2}, {std::span<const double>(mask), 1}};
  auto x = normals(10, 4);
  const support::no_noise none;
  blend_known(known, {1, 0}, none, 0, 0, rows<double>(std::span<double>(x), 2), {});
  support::check_identical(x, x0);
}
