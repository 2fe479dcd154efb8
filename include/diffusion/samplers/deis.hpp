#pragma once

#include <cstddef>

#include "diffusion/detail/exponential_multistep.hpp"

namespace diffusion {

/// Diffusion exponential integrator sampler (Zhang & Chen 2023, tAB-DEIS in log ρ, ρ = σ/α): the probability
/// flow d(x/α) = ε̂ dρ with ε̂ as a polynomial in log ρ through the last `order` predictions, integrated
/// exactly. One evaluation per step, order - 1 vectors of memory. The first step is of order 1, hence a run
/// of order 2 at most unless its first steps are short; order 1 is ddim. ε̂ is derived from the transformed
/// x̂0.
struct deis {
  int order = 3;  ///< in [1, 8]; above 3 for small, even steps of λ

  /// Step n-1-j is of order j+1 at most in runs of n < 15 steps.
  bool lower_order_final = true;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_multistep_order("order", order);
    const std::size_t n = path.size();
    return detail::exponential_multistep(
        path, prediction::epsilon, detail::line_rule::exact, [&](std::size_t k) {
          return detail::multistep_choice{
              .predictor = detail::order_near_end(order, k, n, lower_order_final && n < 15)};
        });
  }
};

}  // namespace diffusion
