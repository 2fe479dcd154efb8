#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace diffusion::detail {

/// Weights w with ∫_0^end p = Σ w_j p(node_j) for every polynomial p of lower degree than there are nodes.
/// Exact, and free of cancellation where no node lies between 0 and end.
[[nodiscard]] inline std::vector<double> lagrange_integrals(std::span<const double> nodes, double end) {
  std::vector<double> weights(nodes.size());
  std::vector<double> coefficients;  // of Π (τ - node_i), the constant first
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    coefficients.assign(1, 1.0);
    double denominator = 1;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i == j) continue;
      denominator *= nodes[j] - nodes[i];
      coefficients.push_back(0);
      for (std::size_t p = coefficients.size(); p-- > 0;)
        coefficients[p] = (p > 0 ? coefficients[p - 1] : 0) - nodes[i] * coefficients[p];
    }
    double integral = 0;
    for (std::size_t p = coefficients.size(); p-- > 0;)
      integral = end * (coefficients[p] / static_cast<double>(p + 1)) + end * integral;
    weights[j] = integral / denominator;
  }
  return weights;
}

}  // namespace diffusion::detail
