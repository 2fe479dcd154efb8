#pragma once

#include <span>
#include <type_traits>

#include "diffusion/kernels/for_each_pack.hpp"

namespace diffusion {

/// out = a x + b y, element-wise; `out` may be x or y. Throws unless all three have one size.
template <class Arch = default_arch, Element T, Executor E = serial>
void linear_combination(double a, std::span<const std::type_identity_t<T>> x, double b,
                        std::span<const std::type_identity_t<T>> y, std::span<T> out,
                        const E& executor = {}) {
  using R = arithmetic<T>;
  detail::require_size("x", x.size(), out.size());
  detail::require_size("y", y.size(), out.size());
  const R ta = static_cast<R>(a);
  const R tb = static_cast<R>(b);
  detail::for_each_block(executor, 1, out.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
    detail::for_each_pack<Arch, R>(begin, end, [=](auto at) {
      at.store(detail::fused_multiply_add(ta, at.load(x.data()), tb * at.load(y.data())), out.data());
    });
  });
}

}  // namespace diffusion
