#pragma once

#include <limits>

#include "diffusion/kernels/transform.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

/// x̂0 ← clamp(x̂0, ±limit) · scale. The default keeps x̂0 as it is.
struct x0_clamp {
  double limit = std::numeric_limits<double>::infinity();
  double scale = 1;
};

namespace detail {

/// clamp(scale (x · x_t + model · output), ±limit) on packs of T.
template <Scalar T>
struct clamped_x0 {
  T x, model, scale, limit;
  clamped_x0(const prediction_map& map, double limit_)
      : x(static_cast<T>(map.x)),
        model(static_cast<T>(map.model)),
        scale(static_cast<T>(map.scale)),
        limit(static_cast<T>(limit_)) {}

  template <class Pack>
  Pack operator()(const Pack& x_t, const Pack& output) const {
    return clamp(Pack(scale * (x * x_t + model * output)), Pack(-limit), Pack(limit));
  }
};

}  // namespace detail

/// x̂0 from the state x_t and the model's output. Sizes must be equal.
template <class Arch = default_arch, Scalar T>
void predict_x0(const prediction_map& map, const x0_clamp& clamp,
                std::span<const std::type_identity_t<T>> x_t, std::span<const std::type_identity_t<T>> output,
                std::span<T> x0) {
  detail::require_size("x_t", x_t.size(), x0.size());
  detail::require_size("output", output.size(), x0.size());
  const detail::clamped_x0<T> f(map, clamp.limit);
  const T rescale = static_cast<T>(clamp.scale);
  detail::transform<Arch>([=](const auto& vx, const auto& vm) { return rescale * f(vx, vm); }, x0, x_t.data(),
                          output.data());
}

/// Everything that one step does to an element.
struct step_plan {
  prediction_map x0;       ///< x̂0 from state and output
  prediction_map epsilon;  ///< ε̂ from state and output
  x0_clamp clamp;
  step_coefficients step;
};

/// x ← step.x · x + step.x0 · x̂0 + step.epsilon · ε̂ + step.noise · z in one pass, in place. `z` may be empty
/// where step.noise is 0; all other sizes must be equal.
template <class Arch = default_arch, Scalar T>
void apply_step(const step_plan& plan, std::span<const std::type_identity_t<T>> output,
                std::span<const std::type_identity_t<T>> z, std::span<T> x) {
  detail::require_size("output", output.size(), x.size());
  if (plan.step.noise != 0) detail::require_size("z", z.size(), x.size());
  const detail::clamped_x0<T> x0_hat(plan.x0, plan.clamp.limit);
  // ε̂ is not clamped, so its two terms join those of the state and the output.
  const double epsilon = plan.step.epsilon * plan.epsilon.scale;
  const T cx = static_cast<T>(plan.step.x + epsilon * plan.epsilon.x);
  const T cm = static_cast<T>(epsilon * plan.epsilon.model);
  const T c0 = static_cast<T>(plan.step.x0 * plan.clamp.scale);
  const T cz = static_cast<T>(plan.step.noise);
  const auto mean = [=](const auto& vx, const auto& vm) { return cx * vx + cm * vm + c0 * x0_hat(vx, vm); };
  if (plan.step.noise == 0) {
    detail::transform<Arch>(mean, x, x.data(), output.data());
  } else {
    detail::transform<Arch>(
        [=](const auto& vx, const auto& vm, const auto& vz) { return mean(vx, vm) + cz * vz; }, x, x.data(),
        output.data(), z.data());
  }
}

/// x ← x + √Σ z with Σ from the network's second output v, element-wise. Sizes must be equal.
template <class Arch = default_arch, Scalar T>
void add_learned_noise(const variance_map& map, std::span<const std::type_identity_t<T>> v,
                       std::span<const std::type_identity_t<T>> z, std::span<T> x) {
  detail::require_size("v", v.size(), x.size());
  detail::require_size("z", z.size(), x.size());
  const T offset = static_cast<T>(map.offset / 2);
  const T slope = static_cast<T>(map.slope / 2);
  const auto add = [&](auto deviation) {
    detail::transform<Arch>(
        [=](const auto& vx, const auto& vv, const auto& vz) { return vx + deviation(vv) * vz; }, x, x.data(),
        v.data(), z.data());
  };
  if (map.is_log) {
    add([=](const auto& vv) { return xsimd::exp(offset + slope * vv); });
  } else {
    add([](const auto& vv) { return xsimd::sqrt(vv); });
  }
}

}  // namespace diffusion
