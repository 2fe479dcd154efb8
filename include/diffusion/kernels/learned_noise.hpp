#pragma once

#include <span>
#include <type_traits>

#include "diffusion/kernels/for_each_pack.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

/// x ← x + √Σ z with Σ from the network's second output v, element-wise. Sizes must be equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void add_learned_noise(const variance_map& map, std::span<const std::type_identity_t<T>> v,
                       std::span<const std::type_identity_t<T>> z, std::span<T> x, const E& executor = {}) {
  detail::require_size("v", v.size(), x.size());
  detail::require_size("z", z.size(), x.size());
  using R = arithmetic<T>;
  const R offset = static_cast<R>(map.offset / 2);
  const R slope = static_cast<R>(map.slope / 2);
  const auto add = [&](auto deviation) {
    detail::for_each_block(executor, 1, x.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
      detail::for_each_pack<Arch, R>(begin, end, [=](auto at) {
        at.store(
            detail::fused_multiply_add(deviation(at.load(v.data())), at.load(z.data()), at.load(x.data())),
            x.data());
      });
    });
  };
  if (map.is_log) {
    add([=](const auto& vv) { return xsimd::exp(detail::fused_multiply_add(slope, vv, offset)); });
  } else {
    add([](const auto& vv) { return xsimd::sqrt(vv); });
  }
}

}  // namespace diffusion
