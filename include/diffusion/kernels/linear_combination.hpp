#pragma once

#include "diffusion/kernels/transform.hpp"

namespace diffusion {

/// out = a x + b y, element-wise; `out` may be x or y. Throws unless all three have one size.
template <class Arch = default_arch, Scalar T>
void linear_combination(double a, std::span<const std::type_identity_t<T>> x, double b,
                        std::span<const std::type_identity_t<T>> y, std::span<T> out) {
  detail::require_size("x", x.size(), out.size());
  detail::require_size("y", y.size(), out.size());
  const T ta = static_cast<T>(a);
  const T tb = static_cast<T>(b);
  detail::transform<Arch>([=](const auto& vx, const auto& vy) { return ta * vx + tb * vy; }, out, x.data(),
                          y.data());
}

}  // namespace diffusion
