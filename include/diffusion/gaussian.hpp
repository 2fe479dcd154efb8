#pragma once

#include <cmath>
#include <numbers>

#include "diffusion/detail/exponential_weights.hpp"

namespace diffusion {

// One-dimensional normal distributions by mean and log variance; everything in nats. For arrays: the sum over
// the elements.

/// log N(x; mean, e^log_variance).
[[nodiscard]] inline double normal_log_density(double x, double mean, double log_variance) noexcept {
  const double distance = x - mean;
  return -(std::log(2 * std::numbers::pi) + log_variance + distance * distance * std::exp(-log_variance)) / 2;
}

namespace detail {

/// e^d - 1 - d ≥ 0 with all digits also near d = 0, where the terms cancel.
[[nodiscard]] inline double exp_excess(double d) noexcept {
  return std::abs(d) < 0.5 ? d * d * exponential_moment(1, -d) : std::expm1(d) - d;
}

}  // namespace detail

/// KL(N(mean, e^log_variance) ‖ N(other_mean, e^other_log_variance)) ≥ 0. Exactly 0 for equal arguments.
[[nodiscard]] inline double normal_kl(double mean, double log_variance, double other_mean,
                                      double other_log_variance) noexcept {
  const double distance = mean - other_mean;
  return (detail::exp_excess(log_variance - other_log_variance) +
          distance * distance * std::exp(-other_log_variance)) /
         2;
}

namespace detail {

/// P(z > a) of a standard normal.
[[nodiscard]] inline double upper_tail(double a) noexcept { return std::erfc(a / std::numbers::sqrt2) / 2; }

/// log P(z > a), a ≥ 0. Where erfc nears the smallest numbers, by the asymptotic series
/// N(a)/a (1 - 1/a² + 1·3/a⁴ - …): its eighth term is below 3e-16.
[[nodiscard]] inline double log_upper_tail(double a) noexcept {
  if (!(a > 30)) return std::log(upper_tail(a));
  double term = 1;
  double series = 0;
  for (int k = 1; k <= 7; ++k) series += term *= -(2 * k - 1) / (a * a);
  return normal_log_density(a, 0, 0) - std::log(a) + std::log1p(series);
}

/// An interval of width h about m so narrow that its probability is h N(m) (1 + s), by the series of s up to
/// the fourth power of h: the next term is below (h (1 + |m|))⁶/3e5 = 3e-18.
struct narrow_interval {
  double middle, width;

  explicit operator bool() const noexcept { return width * (1 + std::abs(middle)) < 0.01; }
  /// s, of which every term is h^i m^j times the degree i + j to the power of `derivative`, 0 or 1: 1 gives
  /// its derivative by the logarithm of a factor of h and m.
  [[nodiscard]] double series(int derivative) const noexcept {
    const double h2 = width * width;
    const double m2 = middle * middle;
    const auto degree = [=](double d) { return derivative == 0 ? 1 : d; };
    return h2 * (degree(4) * m2 - degree(2)) / 24 +
           h2 * h2 * (degree(8) * m2 * m2 - degree(6) * 6 * m2 + degree(4) * 3) / 1920;
  }
};

}  // namespace detail

/// log P(a < z < b) of a standard normal z, a < b, either may be infinite. All digits of the logarithm in
/// both tails, also where the probability underflows.
[[nodiscard]] inline double normal_log_probability(double a, double b) noexcept {
  using namespace detail;
  if (const narrow_interval narrow{a + (b - a) / 2, b - a})
    return normal_log_density(narrow.middle, 0, 0) + std::log(narrow.width) + std::log1p(narrow.series(0));
  if (b <= 0) return normal_log_probability(-b, -a);
  if (a < 0) return std::log1p(-(upper_tail(-a) + upper_tail(b)));
  const double beyond_a = log_upper_tail(a);
  return beyond_a + std::log1p(-std::exp(log_upper_tail(b) - beyond_a));
}

/// How log P(a < z < b) changes with the logarithm of a factor by which both a and b grow.
[[nodiscard]] inline double normal_log_probability_slope(double a, double b) noexcept {
  if (const detail::narrow_interval narrow{a + (b - a) / 2, b - a})
    return 1 - narrow.middle * narrow.middle + narrow.series(1) / (1 + narrow.series(0));
  const double log_probability = normal_log_probability(a, b);
  const auto of_end = [=](double z) {
    return std::isinf(z) ? 0 : z * std::exp(normal_log_density(z, 0, 0) - log_probability);
  };
  return of_end(b) - of_end(a);
}

}  // namespace diffusion
