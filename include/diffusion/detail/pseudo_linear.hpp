#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "diffusion/detail/lagrange.hpp"
#include "diffusion/trace.hpp"

namespace diffusion::detail {

/// x and factor with x_to = x · x_from + epsilon · ε̄ for a step with constant ε̄: in y = x/α, ς = σ/α this is
/// y_to = y + (ς_to - ς) ε̄ (Liu et al. 2022, equation 11). Needs α_from > 0.
struct transfer {
  double x, epsilon;
  transfer(noise_level from, noise_level to)
      : x(to.alpha / from.alpha), epsilon(to.sigma - to.alpha / from.alpha * from.sigma) {}
};

/// Σ w_j ε_j with the weights of Adams-Bashforth for equal steps: 1; 3/2, -1/2; 23/12, -16/12, 5/12; … The
/// newest first.
[[nodiscard]] inline traced adams_bashforth(std::span<const traced> slopes) {
  std::vector<double> nodes;
  for (std::size_t j = 0; j < slopes.size(); ++j) nodes.push_back(-static_cast<double>(j));
  const std::vector<double> weights = lagrange_integrals(nodes, 1);
  traced sum;
  for (std::size_t j = 0; j < slopes.size(); ++j) sum += weights[j] * slopes[j];
  return sum;
}

}  // namespace diffusion::detail
