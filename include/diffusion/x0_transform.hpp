#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <variant>

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

/// The quantile of `values` by linear interpolation between order statistics; NaN if one is NaN. Reorders
/// `values`.
template <Scalar T>
[[nodiscard]] double quantile(std::span<T> values, double ratio) {
  for (const T value : values)
    if (std::isnan(value)) return std::numeric_limits<double>::quiet_NaN();
  const double position = ratio * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(position);
  std::nth_element(values.begin(), below, values.end());
  const double low = static_cast<double>(*below);
  const double fraction = position - std::floor(position);
  if (fraction == 0) return low;
  const double high = static_cast<double>(*std::min_element(below + 1, values.end()));
  return low + (high - low) * fraction;
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
