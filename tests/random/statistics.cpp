// The statistical quality of the noise: about 10⁸ draws, in every order in which users walk through
// addresses.
//
// Every test yields a p-value, and fails below 10⁻⁸. There are fewer than 5,000, so that perfect noise would
// fail one with a probability of about 5·10⁻⁵. The seeds are fixed: it fails always or never.

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"

using namespace diffusion;
using support::normal_cdf;

namespace {

constexpr double least_p = 1e-8;
constexpr int lags = 64;

/// The smallest of some p-values and the test that it is from.
struct verdict {
  double p = 1;
  std::string test;
  void add(double p_value, const std::string& name) {
    if (p_value >= p) return;
    p = p_value;
    test = name;
  }
  void check() const {
    CAPTURE(test, p);
    CHECK(p >= least_p);
  }
};

double p_of_normal(double deviations) { return std::erfc(std::abs(deviations) / std::sqrt(2.0)); }

/// Of the sum of n independent terms of mean 0.
double p_of_sum(double sum, double variance, std::size_t n) {
  return p_of_normal(sum / std::sqrt(variance * static_cast<double>(n)));
}

/// Two-sided: cells that are filled too evenly are a flaw, too (approximation of Wilson and Hilferty 1931).
double p_of_chi_square(double value, double degrees) {
  const double variance = 2 / (9 * degrees);
  return p_of_normal((std::cbrt(value / degrees) - (1 - variance)) / std::sqrt(variance));
}

/// Two-sided, of a number of events.
double p_of_count(std::size_t count, double mean) {
  double below = 0;
  double last = 0;
  for (std::size_t k = 0; k <= count; ++k) {
    const auto events = static_cast<double>(k);
    last = std::exp(events * std::log(mean) - mean - std::lgamma(events + 1));
    below += last;
  }
  return std::min(1.0, 2 * std::min(below, 1 - below + last));
}

void test_moments(const std::vector<double>& z, verdict& found) {
  // E z^k, and the variance of z^k: E z^2k - (E z^k)².
  constexpr std::array<double, 6> mean{0, 1, 0, 3, 0, 15};
  constexpr std::array<double, 6> variance{1, 2, 15, 96, 945, 10170};
  for (std::size_t k = 0; k < 6; ++k) {
    double sum = 0;
    for (const double x : z) sum += std::pow(x, static_cast<int>(k + 1)) - mean[k];
    found.add(p_of_sum(sum, variance[k], z.size()), "moment " + std::to_string(k + 1));
  }
}

/// Against the distribution of N(0, 1): Kolmogorov and Smirnov for its middle, Anderson and Darling for its
/// tails.
void test_distribution(std::vector<double> z, verdict& found) {
  std::sort(z.begin(), z.end());
  const auto n = static_cast<double>(z.size());
  double distance = 0;
  double weighted = 0;
  for (std::size_t i = 0; i < z.size(); ++i) {
    const auto rank = static_cast<double>(i);
    const double p = normal_cdf(z[i]);
    distance = std::max({distance, p - rank / n, (rank + 1) / n - p});
    weighted += (2 * rank + 1) * std::log(p) + (2 * (n - rank) - 1) * std::log(normal_cdf(-z[i]));
  }
  // Both are upper tails of the limit for many draws. Anderson and Darling's is a sum of χ²/(j (j + 1)), so
  // that its tail is √3 times that of the first term.
  found.add(2 * std::exp(-2 * n * distance * distance), "Kolmogorov-Smirnov");
  found.add(std::sqrt(3.0) * p_of_normal(std::sqrt(2 * (-n - weighted / n))), "Anderson-Darling");
}

/// Independence of x and y by their covariance and that of their squares.
void test_covariance(const auto& x, const auto& y, std::size_t n, const std::string& name, verdict& found) {
  double values = 0;
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    values += x(i) * y(i);
    squares += (x(i) * x(i) - 1) * (y(i) * y(i) - 1);
  }
  found.add(p_of_sum(values, 1, n), "covariance, " + name);
  found.add(p_of_sum(squares, 4, n), "covariance of squares, " + name);
}

/// Elements `lag` apart: their covariances, and the counts of disjoint pairs in 64 × 64 equally likely cells.
void test_lag(const std::vector<double>& z, const std::vector<std::uint8_t>& cell, std::size_t lag,
              verdict& found) {
  const std::string name = "lag " + std::to_string(lag);
  test_covariance([&](std::size_t i) { return z[i]; }, [&](std::size_t i) { return z[i + lag]; },
                  z.size() - lag, name, found);
  std::vector<int> counts(64 * 64);
  int pairs = 0;
  for (std::size_t begin = 0; begin + 2 * lag <= z.size(); begin += 2 * lag)
    for (std::size_t i = begin; i < begin + lag; ++i, ++pairs)
      ++counts[static_cast<std::size_t>(cell[i] * 64 + cell[i + lag])];
  const double expected = pairs / (64.0 * 64);
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - expected) * (count - expected) / expected;
  found.add(p_of_chi_square(chi_square, 64 * 64 - 1), "pairs, " + name);
}

verdict test_sequence(const std::vector<double>& z) {
  verdict found;
  test_moments(z, found);
  test_distribution(z, found);
  std::vector<std::uint8_t> cell;
  for (const double x : z) cell.push_back(static_cast<std::uint8_t>(64 * normal_cdf(x)));
  for (std::size_t lag = 1; lag <= lags; ++lag) test_lag(z, cell, lag, found);
  return found;
}

template <class T = double, class Noise>
std::vector<double> draw(const Noise& noise, std::uint64_t sample, std::uint32_t step, std::size_t size) {
  std::vector<T> z(size);
  noise(sample, step, std::span<T>(z));
  return {z.begin(), z.end()};
}

/// row(0) … row(2¹⁴ - 1), 64 draws each, in an order where neighbours are the same element of neighbouring
/// rows.
std::vector<double> across(auto row) {
  constexpr std::size_t count = 1 << 14;
  std::vector<double> z(64 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<double> values = row(i);
    for (std::size_t element = 0; element < 64; ++element) z[element * count + i] = values[element];
  }
  return z;
}

constexpr std::uint32_t low(std::uint64_t i) { return static_cast<std::uint32_t>(i); }

}  // namespace

TEMPLATE_TEST_CASE("Noise is independent and standard normal in every order of its addresses", "",
                   philox_normal, philox10_normal) {
  using noise = TestType;
  SECTION("elements") { test_sequence(draw(noise{1}, 2, 3, 1 << 20)).check(); }
  SECTION("elements in float") { test_sequence(draw<float>(noise{1}, 2, 3, 1 << 20)).check(); }
  SECTION("samples") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{1}, i, 0, 64); })).check();
  }
  SECTION("samples, upper half of the number") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{1}, i << 32, 0, 64); })).check();
  }
  SECTION("steps") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{1}, 0, low(i), 64); })).check();
  }
  SECTION("seeds") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{i}, 0, 0, 64); })).check();
  }
  SECTION("seeds, upper half of the number") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{i << 32}, 0, 0, 64); })).check();
  }
  SECTION("seeds, samples and steps in lockstep") {
    test_sequence(across([](std::uint64_t i) { return draw(noise{i}, i, low(i), 64); })).check();
  }
}

TEMPLATE_TEST_CASE(
    "Rows and elements whose addresses differ in one bit are uncorrelated, also in their squares", "",
    philox_normal, philox10_normal) {
  using noise = TestType;
  verdict found;
  constexpr std::size_t size = 1 << 16;
  struct address {
    std::uint64_t seed, sample;
    std::uint32_t step;
  };
  for (const address base : {address{0, 0, 0}, {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0x8cb92ba7}}) {
    const auto z = draw(noise{base.seed}, base.sample, base.step, size);
    const auto compare = [&](address other, const std::string& name) {
      const auto y = draw(noise{other.seed}, other.sample, other.step, size);
      test_covariance([&](std::size_t i) { return z[i]; }, [&](std::size_t i) { return y[i]; }, size, name,
                      found);
    };
    for (int bit = 0; bit < 64; ++bit) {
      const std::uint64_t flip = std::uint64_t{1} << bit;
      const std::string name = "bit " + std::to_string(bit);
      compare({base.seed ^ flip, base.sample, base.step}, "seed " + name);
      compare({base.seed, base.sample ^ flip, base.step}, "sample " + name);
      if (bit < 32) compare({base.seed, base.sample, base.step ^ low(flip)}, "step " + name);
    }
    for (int bit = 0; bit < 16; ++bit) {
      const std::size_t flip = std::size_t{1} << bit;
      // The elements without this bit, in order.
      const auto partner = [&](std::size_t i) { return (i & (flip - 1)) | ((i & ~(flip - 1)) << 1); };
      test_covariance([&](std::size_t i) { return z[partner(i)]; },
                      [&](std::size_t i) { return z[partner(i) | flip]; }, size / 2,
                      "element bit " + std::to_string(bit), found);
    }
  }
  found.check();
}

TEMPLATE_TEST_CASE("The tails beyond 3, 4, 5 and 6 hold as many draws as those of N(0, 1)", "", float,
                   double) {
  constexpr std::size_t row_size = 1 << 18;
  constexpr std::size_t rows = 1 << 8;
  constexpr std::array<TestType, 4> bounds{3, 4, 5, 6};
  std::array<std::size_t, 4> above{}, below{};
  std::vector<TestType> z(row_size);
  for (std::size_t row = 0; row < rows; ++row) {
    philox_normal{5}(row, 1, std::span<TestType>(z));
    for (const TestType x : z) {
      if (std::abs(x) <= bounds[0]) continue;
      for (std::size_t i = 0; i < bounds.size(); ++i) {
        above[i] += x > bounds[i];
        below[i] += x < -bounds[i];
      }
    }
  }
  verdict found;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const double expected =
        static_cast<double>(row_size * rows) * normal_cdf(-static_cast<double>(bounds[i]));
    found.add(p_of_count(above[i], expected), "upper tail " + std::to_string(i + 3));
    found.add(p_of_count(below[i], expected), "lower tail " + std::to_string(i + 3));
  }
  found.check();
}

TEST_CASE("These tests see the flaws of Philox with too few rounds") {
  CHECK(test_sequence(draw(basic_philox_normal<3>{1}, 2, 3, 1 << 20)).p < least_p);
  CHECK(test_sequence(across([](std::uint64_t i) { return draw(basic_philox_normal<3>{1}, i, 0, 64); })).p <
        least_p);
}
