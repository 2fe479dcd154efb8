#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace diffusion::detail {

/// ∫_0^1 v^i e^{-z(1-v)} dv = i! φ_{i+1}(-z). As sums of positive terms: the recursion of the φ functions
/// loses its digits near z = 0.
[[nodiscard]] inline double exponential_moment(std::size_t i, double z) {
  if (z > 40) {
    double moment = -std::expm1(-z) / z;
    for (std::size_t k = 1; k <= i; ++k) moment = (1 - static_cast<double>(k) * moment) / z;
    return moment;
  }
  // z ≥ 0: e^{-z} Σ_n z^n / (n! (n+i+1)).   z < 0: Σ_n |z|^n i! / (n+i+1)!
  const double first = static_cast<double>(i) + 1;
  double term = z < 0 ? 1 / first : 1;
  double sum = 0;
  for (double n = 0;; ++n) {
    const double next = sum + (z < 0 ? term : term / (n + first));
    if (next == sum) return z < 0 ? sum : std::exp(-z) * sum;
    sum = next;
    term *= std::abs(z) / (z < 0 ? n + 1 + first : n + 1);
  }
}

/// Weights w with z ∫_0^1 p(v) e^{-z(1-v)} dv = Σ w_j p(node_j) for every polynomial p of lower degree than
/// there are nodes: what the exponential Adams methods make of a step of length 1.
[[nodiscard]] inline std::vector<double> exponential_weights(std::span<const double> nodes, double z) {
  std::vector<double> weights;
  for (const double& node : nodes) {
    std::vector<double> basis{1};  // Lagrange's polynomial, the constant first
    for (const double& other : nodes) {
      if (&other == &node) continue;
      basis.push_back(0);
      for (std::size_t i = basis.size(); i-- > 0;)
        basis[i] = ((i > 0 ? basis[i - 1] : 0) - other * basis[i]) / (node - other);
    }
    double weight = 0;
    for (std::size_t i = 0; i < basis.size(); ++i) weight += z * exponential_moment(i, z) * basis[i];
    weights.push_back(weight);
  }
  return weights;
}

}  // namespace diffusion::detail
