#include "diffusion/detail/exponential_weights.hpp"

#include "support/check.hpp"

using diffusion::detail::exponential_moment;
using diffusion::detail::exponential_weights;
using support::check_close;
using support::roundoff;

TEST_CASE("Moments follow their recursion, which loses nothing where z is large") {
  // z M_i = 1 - i M_{i-1}, by parts. Every moment is a sum of positive terms, good to as many roundings as it
  // has terms; the recursion adds its own.
  for (const double z : {-20.0, -3.0, -0.5, 0.5, 3.0, 39.0, 41.0, 300.0})
    for (std::size_t i = 1; i <= 8; ++i) {
      CAPTURE(z, i);
      const double previous = static_cast<double>(i) * exponential_moment(i - 1, z);
      const double tolerance = 200 * roundoff<> * (1 + previous + std::abs(z) * exponential_moment(i, z));
      CHECK(std::abs(z * exponential_moment(i, z) - (1 - previous)) <= tolerance);
    }
  for (const double z : {-20.0, -3.0, -1e-3, 1e-3, 3.0, 39.0, 41.0})
    CHECK(exponential_moment(0, z) == Approx(-std::expm1(-z) / z).epsilon(200 * roundoff<>));
}

TEST_CASE("Moments of a step of length zero are those of a polynomial") {
  for (std::size_t i = 0; i <= 8; ++i)
    for (const double z : {0.0, 1e-300, -1e-300, 1e-17, -1e-17}) {
      CAPTURE(i, z);
      CHECK(exponential_moment(i, z) == Approx(1 / (double(i) + 1)).epsilon(4 * roundoff<>));
    }
}

TEST_CASE("Exponential weights integrate polynomials exactly, and are Adams-Bashforth's for short steps") {
  const std::vector<double> nodes{0, -0.7, -1.9, -2.4};
  for (const double z : {-2.0, 0.3, 4.0}) {
    const std::vector<double> weights = exponential_weights(nodes, z);
    for (std::size_t power = 0; power < nodes.size(); ++power) {
      double sum = 0;
      double size = 0;
      for (std::size_t j = 0; j < nodes.size(); ++j) {
        const double term = weights[j] * std::pow(nodes[j], double(power));
        sum += term;
        size += std::abs(term);
      }
      CAPTURE(z, power);
      CHECK(std::abs(sum - z * exponential_moment(power, z)) <= 50 * roundoff<> * size);
    }
  }
  const double z = 1e-9;  // differs from 0 by relative O(z)
  std::vector<double> scaled = exponential_weights(std::vector<double>{0, -1, -2, -3}, z);
  for (double& weight : scaled) weight *= 24 / z;
  check_close(scaled, std::vector<double>{55, -59, 37, -9}, 0, 10 * z);
}
