#pragma once

#include <algorithm>
#include <cmath>

#include "diffusion/detail/error.hpp"

namespace diffusion::detail {

/// B_x(a, b) = ∫_0^x u^(a-1) (1-u)^(b-1) du as the series x^a (1-x)^b / a Σ x^k (a+b)_k / (a+1)_k, none of
/// whose terms is negative (DLMF 8.17.8). Takes 50 terms or so at x = 1/2, 1000 at 0.95.
[[nodiscard]] inline double incomplete_beta(double x, double a, double b) {
  double term = 1;
  double sum = 1;
  for (int k = 0; k < 10'000 && term > sum * 0x1p-54; ++k) {
    term *= x * ((a + b + k) / (a + 1 + k));
    sum += term;
  }
  return std::pow(x, a) * std::exp(b * std::log1p(-x)) / a * sum;
}

/// x in [0, 0.95] with B_x(a, b) = mass, by Newton's method for ln B as a function of ln x. That is convex or
/// concave throughout, so that from the second step on the approach is from one side.
[[nodiscard]] inline double inverse_incomplete_beta(double mass, double a, double b) {
  double x = std::min(0.95, std::pow(a * mass, 1 / a));
  for (int k = 0; k < 100 && x > 0; ++k) {
    const double found = incomplete_beta(x, a, b);
    const double slope = std::pow(x, a) * std::exp((b - 1) * std::log1p(-x)) / found;
    const double next = std::min(0.95, x * std::exp(std::log(mass / found) / slope));
    const bool converged = std::abs(next - x) <= 1e-9 * x;  // its square is left
    x = next;
    if (converged) break;
  }
  return x;
}

/// The p-quantile of the beta distribution with shapes a and b in (0, 100]. The total mass is the sum of two
/// halves, so that no gamma function enters. The quantile is found from the end of [0, 1] that has the
/// smaller mass, unless it lies too near to the other end for the series.
[[nodiscard]] inline double beta_quantile(double p, double a, double b) {
  if (!(p >= 0 && p <= 1)) invalid("p", p, "[0, 1]");
  if (!(a > 0 && a <= 100)) invalid("alpha", a, "(0, 100]");
  if (!(b > 0 && b <= 100)) invalid("beta", b, "(0, 100]");
  if (p == 0 || p == 1) return p;
  const double total = incomplete_beta(0.5, a, b) + incomplete_beta(0.5, b, a);
  const bool from_low = p <= 0.5 ? p * total <= incomplete_beta(0.95, a, b)  //
                                 : (1 - p) * total > incomplete_beta(0.95, b, a);
  return from_low ? inverse_incomplete_beta(p * total, a, b)
                  : 1 - inverse_incomplete_beta((1 - p) * total, b, a);
}

}  // namespace diffusion::detail
