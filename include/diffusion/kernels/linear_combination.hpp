#pragma once

#include <span>
#include <type_traits>

#include "diffusion/kernels/for_each_pack.hpp"

namespace diffusion {

namespace detail {

/// out = a x + b y for the elements [begin, end).
template <class Arch, Element T>
void combine(double a, const T* x, double b, const T* y, T* out, std::size_t begin, std::size_t end,
             bool streamed) {
  using R = arithmetic<T>;
  const R ta = static_cast<R>(a);
  const R tb = static_cast<R>(b);
  for_each_pack<Arch, R>(begin, end, out, streamed, [=](auto at) {
    at.store(fused_multiply_add(ta, at.load(x), tb * at.load(y)), out);
  });
}

/// Whether `out` is another array than the ones that are read, and too large for the caches.
template <class T>
bool streams_past_caches(const T* x, const T* y, std::span<T> out) {
  return out.data() != x && out.data() != y && exceeds_caches(out.size_bytes());
}

}  // namespace detail

/// out = a x + b y, element-wise; `out` may be x or y. Throws unless all three have one size.
template <class Arch = default_arch, Element T, Executor E = serial>
void linear_combination(double a, std::span<const std::type_identity_t<T>> x, double b,
                        std::span<const std::type_identity_t<T>> y, std::span<T> out,
                        const E& executor = {}) {
  detail::require_size("x", x.size(), out.size());
  detail::require_size("y", y.size(), out.size());
  const bool streamed = detail::streams_past_caches(x.data(), y.data(), out);
  detail::for_each_block<detail::long_block_size>(
      executor, 1, out.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
        detail::combine<Arch>(a, x.data(), b, y.data(), out.data(), begin, end, streamed);
      });
}

}  // namespace diffusion
