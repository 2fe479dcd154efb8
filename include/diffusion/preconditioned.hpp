#pragma once

#include <span>

#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/preconditioning.hpp"
#include "diffusion/predictor.hpp"

namespace diffusion {

/// A predictor of x0 from a preconditioned network F: a predictor itself, which gets c_in y for its state and
/// c_noise for its time. `scratch` holds one state and outlives the predictor. Throws at α = 0 and at σ = 0.
template <Preconditioning P, Element T, class F>
[[nodiscard]] auto preconditioned(P coefficients, F network, std::span<T> scratch) {
  return predicts<prediction::x0>([=](const rows<const T>& x, const auto& at, const rows<T>& out) mutable {
    detail::require_size("preconditioning scratch", scratch.size(), x.data().size());
    const preconditioning c = coefficients(noise_to_signal(at.level));
    const double to_y = 1 / at.level.alpha;
    linear_combination(c.c_in * to_y, x.data(), 0, x.data(), scratch);
    network(rows<const T>(scratch, x.count()), time_point<double>{c.c_noise, at.level}, out);
    linear_combination(c.c_skip * to_y, x.data(), c.c_out, out.data(), out.data());
  });
}

}  // namespace diffusion
