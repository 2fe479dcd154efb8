#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>

#include "diffusion/kernels/for_each_pack.hpp"
#include "diffusion/prediction.hpp"

namespace diffusion {

/// x̂0 ← clamp(x̂0, ±limit) · scale. The default keeps x̂0 as it is.
struct x0_clamp {
  double limit = std::numeric_limits<double>::infinity();
  double scale = 1;
  [[nodiscard]] double operator()(double x0) const noexcept { return scale * std::clamp(x0, -limit, limit); }
};

namespace detail {

/// weight · scale (x · x_t + model · output) on packs.
template <Scalar R>
struct predicted {
  R x, model, scale;
  explicit predicted(const prediction_map& map, double weight = 1)
      : x(static_cast<R>(map.x)),
        model(static_cast<R>(map.model)),
        scale(static_cast<R>(map.scale * weight)) {}

  template <class Pack>
  Pack operator()(const Pack& x_t, const Pack& output) const {
    return scale * fused_multiply_add(x, x_t, model * output);
  }
};

/// The same, limited to ±limit.
template <Scalar R>
struct clamped {
  predicted<R> value;
  R limit;

  template <class Pack>
  Pack operator()(const Pack& x_t, const Pack& output) const {
    return clamp(value(x_t, output), Pack(-limit), Pack(limit));
  }
};

/// use(f) with f(x_t, output) = weight · clamp(x̂0, ±limit), which costs a clamp only where there is one. The
/// weight goes into the scale and the limit, so that it costs nothing and a clamped value is still exact.
template <Scalar R, class Use>
[[gnu::always_inline]] inline void with_x0(const prediction_map& map, double limit, double weight,
                                           const Use& use) {
  const predicted<R> weighted(map, weight);
  if (limit < std::numeric_limits<R>::infinity())
    use(clamped<R>{weighted, static_cast<R>(std::abs(weight) * limit)});
  else
    use(weighted);
}

}  // namespace detail

/// x̂0 from the state x_t and the model's output. Sizes must be equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void predict_x0(const prediction_map& map, const x0_clamp& clamp,
                std::span<const std::type_identity_t<T>> x_t, std::span<const std::type_identity_t<T>> output,
                std::span<T> x0, const E& executor = {}) {
  using R = arithmetic<T>;
  detail::require_size("x_t", x_t.size(), x0.size());
  detail::require_size("output", output.size(), x0.size());
  detail::with_x0<R>(map, clamp.limit, clamp.scale, [&](auto x0_hat) {
    detail::for_each_block<detail::long_block_size>(
        executor, 1, x0.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
          detail::for_each_pack<Arch, R>(begin, end, [=](auto at) {
            at.store(x0_hat(at.load(x_t.data()), at.load(output.data())), x0.data());
          });
        });
  });
}

}  // namespace diffusion
