#pragma once

#include <algorithm>
#include <span>
#include <variant>

#include "diffusion/kernels/quantile.hpp"
#include "diffusion/kernels/step.hpp"

namespace diffusion {

/// x̂0 as predicted.
struct x0_keep {};

/// x̂0 clipped to ±limit, for data in that range ("clip_denoised", "clip_sample"). limit > 0.
struct x0_clip {
  double limit = 1;
};

/// Per sample, S = the `ratio` quantile of |x̂0|, at least 1 and at most `max`; x̂0 ← clamp(x̂0, ±S)/S
/// (Saharia et al. 2022, Imagen, section 2.3). ratio in [0, 1], max ≥ 1.
struct dynamic_threshold {
  double ratio = 0.995;
  double max = 1;
};

using x0_transform = std::variant<x0_keep, x0_clip, dynamic_threshold>;

namespace detail {

inline void require_x0_transform(const x0_transform& transform) {
  if (const auto* clip = std::get_if<x0_clip>(&transform); clip && !(clip->limit > 0))
    invalid("x0_clip.limit", clip->limit, "(0, inf]");
  if (const auto* threshold = std::get_if<dynamic_threshold>(&transform)) {
    if (!(threshold->ratio >= 0 && threshold->ratio <= 1))
      invalid("dynamic_threshold.ratio", threshold->ratio, "[0, 1]");
    if (!(threshold->max >= 1)) invalid("dynamic_threshold.max", threshold->max, "[1, inf]");
  }
}

}  // namespace detail

/// The clamp that a transform means for one sample. `scratch` has the size of the sample and is only used by
/// dynamic_threshold.
template <class Arch = default_arch, Element T>
[[nodiscard]] x0_clamp clamp_for(const x0_transform& transform, const prediction_map& map,
                                 std::span<const T> x_t, std::span<const std::type_identity_t<T>> output,
                                 std::span<arithmetic<T>> scratch) {
  if (const auto* clip = std::get_if<x0_clip>(&transform)) return {.limit = clip->limit};
  const auto* threshold = std::get_if<dynamic_threshold>(&transform);
  if (!threshold) return {};
  using R = arithmetic<T>;
  detail::require_size("x_t", x_t.size(), scratch.size());
  detail::require_size("output", output.size(), scratch.size());
  const detail::predicted<R> x0_hat(map);
  detail::for_each_pack<Arch, R>(0, scratch.size(), [=](auto at) {
    at.store(xsimd::abs(x0_hat(at.load(x_t.data()), at.load(output.data()))), scratch.data());
  });
  const double s = std::clamp(detail::quantile(scratch, threshold->ratio), 1.0, threshold->max);
  return {.limit = s, .scale = 1 / s};
}

}  // namespace diffusion
