#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "diffusion/detail/error.hpp"

namespace diffusion::detail {

/// z with P(N(0, 1) < z) = u, u in (0, 1): an approximation of three digits (Abramowitz & Stegun 26.2.23) and
/// two of Halley's steps, each of which triples the digits.
[[nodiscard]] inline double normal_quantile(double u) {
  if (!(u > 0 && u < 1)) invalid("u", u, "(0, 1)");
  const double tail = std::min(u, 1 - u);
  const double t = std::sqrt(-2 * std::log(tail));
  double z =
      t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int k = 0; k < 2; ++k) {
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double step = (std::erfc(z / std::numbers::sqrt2) / 2 - tail) / density;
    z += step / (1 - step * z / 2);
  }
  return u < 0.5 ? -z : z;
}

}  // namespace diffusion::detail
