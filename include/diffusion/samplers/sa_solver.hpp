#pragma once

#include <functional>

#include "diffusion/detail/exponential_multistep.hpp"
#include "diffusion/posterior.hpp"

namespace diffusion {

/// Stochastic Adams solver (Xue et al. 2023, algorithm 1): exponential Adams-Bashforth predictor and
/// Adams-Moulton corrector for the reverse process with noise of strength τ(t), from the probability flow (τ
/// = 0) over the ancestral process (τ = 1) upwards. Predictor and corrector share the step's noise. One
/// evaluation per step, max(predictor_order, corrector_order - 1) vectors of memory. For τ = 0 of the
/// corrector's order (without one the predictor's), as far as the start and the last steps allow it; for τ >
/// 0 of that order up to 2 in the moments.
struct sa_solver {
  int predictor_order = 2;  ///< predictions that the predictor uses, in [1, 8]
  int corrector_order = 2;  ///< predictions that the corrector uses, that of the step's end included; 0: none

  /// τ of the step that starts at a point, ≥ 0; empty for 1. See tau_between.
  std::function<double(const path_point&)> tau = {};

  /// x0, or epsilon. Only x0 keeps the marginals q(x_t | x_0) where τ > 0; epsilon is unstable with few
  /// steps.
  prediction basis = prediction::x0;

  /// Half of the step instead of the exact integral where a line goes through two x̂0, as the authors' and
  /// diffusers' code has it.
  bool half_rule = false;

  /// Step n-1-j is of order j+1 (corrector: j+2) at most: steady with few steps.
  bool lower_order_final = true;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_multistep_order("predictor_order", predictor_order);
    detail::require_multistep_order("corrector_order", corrector_order, 0);
    const bool half = half_rule && basis == prediction::x0;
    return detail::exponential_multistep(
        path, basis, half ? detail::line_rule::half_z : detail::line_rule::exact, [&](std::size_t k) {
          const auto& [from, to, eval] = path[k];
          const double here = tau ? tau(from) : 1;
          if (!(here >= 0 && std::isfinite(here)))
            detail::invalid(detail::text("tau(", from.t, ")"), here, "[0, inf)");
          if (here > 0) (void)detail::snr_ratio_root(from.level, to.level);
          const std::size_t n = path.size();
          detail::multistep_choice choice{
              .predictor = detail::order_near_end(predictor_order, k, n, lower_order_final), .tau = here};
          if (corrector_order > 0)
            choice.corrector = detail::order_near_end(corrector_order - 1, k, n, lower_order_final);
          return choice;
        });
  }
};

/// τ = value for steps that start at a time in [first, last], else 0.
[[nodiscard]] inline std::function<double(const path_point&)> tau_between(double first, double last,
                                                                          double value = 1) {
  if (!(first <= last)) detail::invalid("first", first, detail::text("at most ", last));
  return [=](const path_point& at) { return at.t >= first && at.t <= last ? value : 0; };
}
/// τ = value at all times.
[[nodiscard]] inline std::function<double(const path_point&)> constant_tau(double value) {
  return [=](const path_point&) { return value; };
}

}  // namespace diffusion
