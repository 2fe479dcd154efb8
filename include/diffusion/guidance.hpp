#pragma once

#include <span>

#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/predictor.hpp"

namespace diffusion {

/// Classifier-free guidance (Ho & Salimans 2022): unconditional + scale (conditional - unconditional). scale
/// 1 is off, some papers count from 0. Both predict the same kind. `scratch` holds one output and outlives
/// the predictor.
template <Element T, class Conditional, class Unconditional>
[[nodiscard]] auto guided(Conditional conditional, Unconditional unconditional, double scale,
                          std::span<T> scratch) {
  const prediction kind = kind_of(conditional);
  if (kind != kind_of(unconditional))
    detail::invalid("unconditional kind", name(kind_of(unconditional)), detail::text("\"", name(kind), "\""));
  return predicts(kind, [=](const rows<const T>& x, const auto& at, const rows<T>& out) mutable {
    detail::require_size("guidance scratch", scratch.size(), out.data().size());
    conditional(x, at, out);
    unconditional(x, at, rows<T>(scratch, out.count()));
    linear_combination(scale, out.data(), 1 - scale, scratch, out.data());
  });
}

}  // namespace diffusion
