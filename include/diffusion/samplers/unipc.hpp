#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "diffusion/detail/exponential_multistep.hpp"

namespace diffusion {

/// The function B of UniPC. It only matters where a line goes through two predictions.
enum class unipc_b {
  bh1,  ///< B(h) = h, the paper's choice without guidance
  bh2,  ///< B(h) = e^h - 1, with guidance
};

/// Unified predictor-corrector (Zhao et al. 2023, algorithms 7 and 8): UniP-p with UniC-p. The prediction at
/// the end of a step also corrects the step that led there, at no further evaluation; the last step stays as
/// predicted. One evaluation per step, `order` vectors of memory. Of order p + 1 with the corrector, p
/// without it, where the start of order 1 and the last steps allow it.
struct unipc {
  int order = 2;                      ///< p in [1, 8]; the paper has up to 3 for guidance, up to 6 without
  unipc_b b = unipc_b::bh2;           ///< B(h)
  prediction basis = prediction::x0;  ///< x0, or epsilon: what a polynomial in λ goes through
  bool corrector = true;              ///< false: UniP alone

  /// Steps, from 0, that are not corrected: with strong guidance the first ones.
  std::vector<std::size_t> uncorrected_steps = {};

  /// Step n-1-j is of order j+1 at most: steady with few steps, but the last one limits the run to order 2.
  bool lower_order_final = true;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_multistep_order("order", order);
    if (b != unipc_b::bh1 && b != unipc_b::bh2) detail::invalid("b", static_cast<int>(b), "bh1 or bh2");
    for (const std::size_t k : uncorrected_steps)
      if (k >= path.size())
        detail::invalid("uncorrected step", k, detail::text("[0, ", path.size() - 1, "]"));
    const auto rule = b == unipc_b::bh1 ? detail::line_rule::half_z : detail::line_rule::half_expm1;
    return detail::exponential_multistep(path, basis, rule, [&](std::size_t k) {
      detail::multistep_choice choice{.predictor =
                                          detail::order_near_end(order, k, path.size(), lower_order_final)};
      if (corrector &&
          std::find(uncorrected_steps.begin(), uncorrected_steps.end(), k) == uncorrected_steps.end())
        choice.corrector = choice.predictor;
      return choice;
    });
  }
};

}  // namespace diffusion
