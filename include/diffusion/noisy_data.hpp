#pragma once

#include <cmath>
#include <span>

#include "diffusion/forward.hpp"
#include "diffusion/kernels/ordered_sum.hpp"

/// Training without clean data. Noise of data is Gaussian, of known deviation, in units of the data.

namespace diffusion {

/// target = second · y2 + x_t · x_t.
struct noise2noise_weights {
  double second = 0;
  double x_t = 0;
};

/// The training target of a kind with y2, a copy of x_0 whose noise has mean 0 and is independent of that of
/// x_t = α x_0 + σ ε, in the place of x_0 (Noise2Noise, Lehtinen et al. 2018). Given x_0 and x_t its mean is
/// the target with x_0: the expected gradient is the same. Throws at σ = 0.
[[nodiscard]] inline noise2noise_weights noise2noise_target(prediction kind, noise_level level) {
  detail::require_level("level", level);
  if (level.sigma == 0)
    detail::invalid("sigma", level.sigma, "(0, inf): the noise of x_t must not be that of the second copy");
  const target_weights w = training_target(kind, level);
  return {w.x0 - w.epsilon * level.alpha / level.sigma, w.epsilon / level.sigma};
}

/// The same of arrays, element-wise. `target` may be x_t or second.
template <class Arch = default_arch, Element T, Executor E = serial>
void noise2noise_target(prediction kind, noise_level level, std::span<const std::type_identity_t<T>> x_t,
                        std::span<const std::type_identity_t<T>> second, std::span<T> target,
                        const E& executor = {}) {
  const noise2noise_weights w = noise2noise_target(kind, level);
  detail::require_size("x_t", x_t.size(), target.size());
  detail::require_size("second", second.size(), target.size());
  linear_combination<Arch>(w.second, second, w.x_t, x_t, target, executor);
}

/// Targets with one level per row.
template <class Arch = default_arch, Element T, Executor E = serial>
void noise2noise_target(prediction kind, std::span<const noise_level> levels,
                        rows<const std::type_identity_t<T>> x_t, rows<const std::type_identity_t<T>> second,
                        rows<T> target, const E& executor = {}) {
  detail::require_rows("x_t", x_t, target, target.row_size());
  detail::require_rows("second", second, target, target.row_size());
  detail::per_row<Arch, T>(levels.size(), second, x_t, target, executor, [&](std::size_t i) {
    const auto [of_second, of_x_t] = noise2noise_target(kind, levels[i]);
    return target_weights{of_second, of_x_t};
  });
}

/// A Noise2Noise pair from one noisy observation y = x_0 + σ_d n and one fresh normal z.
struct recorruption {
  noise_level added;  ///< x_t = added.alpha y + added.sigma z: a draw at the whole level
  double second = 0;  ///< y2 = y - second · z
  double weight = 0;  ///< of the squared error
};

/// Recorrupted-to-Recorrupted (Pang et al. 2021, CVPR): x_t at a level above that of the data and a copy y2
/// whose noise is not correlated with that of x_t, hence independent of it. Times the weight, the squared
/// error of x̂0 against y2 is ‖c x̂0 + (1 - c) x_t/α - y‖², c = 1 - (α σ_d/σ)²: Ambient Tweedie (Daras,
/// Dimakis & Daskalakis 2024, arXiv:2404.10177). For other kinds it is a factor beside the one that they give
/// errors of x̂0 anyway. At σ_d = 0, ordinary training. σ_d in [0, σ/α).
[[nodiscard]] inline recorruption recorrupt(noise_level level, double data_sigma) {
  const auto [a, s] = level;
  detail::require_level("level", level);
  if (!(data_sigma >= 0 && std::isfinite(data_sigma) && a * data_sigma < s))
    detail::invalid("data_sigma", data_sigma,
                    detail::text("[0, sigma/alpha = ", noise_to_signal(level), ")"));
  const double added = std::sqrt((s - a * data_sigma) * (s + a * data_sigma));
  const double c = (added / s) * (added / s);
  return {{a, added}, data_sigma * data_sigma * a / added, c * c};
}

/// The pair of arrays, element-wise. `x_t` must be a third array; `second` may be y or z.
template <class Arch = default_arch, Element T, Executor E = serial>
void recorrupt(noise_level level, double data_sigma, std::span<const std::type_identity_t<T>> y,
               std::span<const std::type_identity_t<T>> z, std::span<T> x_t, std::span<T> second,
               const E& executor = {}) {
  const recorruption r = recorrupt(level, data_sigma);
  detail::require_size("second", second.size(), x_t.size());
  q_sample<Arch>(r.added, y, z, x_t, executor);
  linear_combination<Arch>(1, y, -r.second, z, second, executor);
}

/// Pairs with one level per row.
template <class Arch = default_arch, Element T, Executor E = serial>
void recorrupt(std::span<const noise_level> levels, double data_sigma, rows<const std::type_identity_t<T>> y,
               rows<const std::type_identity_t<T>> z, rows<T> x_t, rows<T> second, const E& executor = {}) {
  for (const noise_level& level : levels) (void)recorrupt(level, data_sigma);
  detail::require_rows("second", second, x_t, x_t.row_size());
  detail::per_row<Arch, T>(levels.size(), y, z, x_t, executor,
                           [&](std::size_t i) { return recorrupt(levels[i], data_sigma).added; });
  detail::per_row<Arch, T>(levels.size(), y, z, second, executor, [&](std::size_t i) {
    return noise_level{1, -recorrupt(levels[i], data_sigma).second};
  });
}

/// Outputs of a network at x_t, x_t + α h b and x_t - α h b, or the gradients of a loss by them.
template <class T>
struct sure_outputs {
  std::span<T> at, plus, minus;
};

/// Stein's unbiased risk estimate of ‖x̂0 - x_0‖² at the data's own level: x_t = α y, y = x_0 + σ/α n. It is
/// ‖x̂0 - y‖² - d σ_d² + 2 σ_d² div x̂0, σ_d = σ/α, for d elements, and its divergence by y is
/// bᵀ(x̂0(y + hb) - x̂0(y - hb))/2h with random b of mean 0 and covariance I, signs best (Stein 1981; Ramani
/// et al. 2008; Soltanayev & Chun 2018). Writes the gradients by the three outputs; `gradient` may be
/// `output`. h > 0: ∛ of the outputs' relative rounding error balances it with the error of the difference,
/// which is O(h²). α > 0.
template <class Arch = default_arch, Element T>
[[nodiscard]] double sure_loss(prediction kind, noise_level level, double h,
                               std::span<const std::type_identity_t<T>> x_t,
                               std::span<const std::type_identity_t<T>> b,
                               const sure_outputs<const std::type_identity_t<T>>& output,
                               const sure_outputs<T>& gradient) {
  detail::require_level("level", level);
  if (level.alpha == 0) detail::invalid("alpha", level.alpha, "(0, inf): the data's own level");
  detail::require_positive("h", h);
  detail::require_size("b", b.size(), x_t.size());
  detail::require_size("output.at", output.at.size(), x_t.size());
  detail::require_size("output.plus", output.plus.size(), x_t.size());
  detail::require_size("output.minus", output.minus.size(), x_t.size());
  detail::require_size("gradient.at", gradient.at.size(), x_t.size());
  detail::require_size("gradient.plus", gradient.plus.size(), x_t.size());
  detail::require_size("gradient.minus", gradient.minus.size(), x_t.size());
  const prediction_map x0_hat = x0_map(kind, level);
  const double unscale = 1 / level.alpha;
  const double variance = noise_to_signal(level) * noise_to_signal(level);
  const double step = level.alpha * h;
  const auto value = [](T element) { return static_cast<double>(element); };
  const double sum = detail::ordered_sum(x_t.size(), [&](std::size_t i) {
    const double x = value(x_t[i]), direction = value(b[i]);
    const double error = x0_hat(x, value(output.at[i])) - unscale * x;
    const double change = x0_hat(x + step * direction, value(output.plus[i])) -
                          x0_hat(x - step * direction, value(output.minus[i]));
    return error * error - variance + variance / h * direction * change;
  });
  const double slope = x0_hat.scale * x0_hat.model;  // of x̂0 by the output
  linear_combination<Arch>(2 * slope * (x0_hat.scale * x0_hat.x - unscale), x_t, 2 * slope * slope, output.at,
                           gradient.at);
  linear_combination<Arch>(variance / h * slope, b, 0, b, gradient.plus);
  linear_combination<Arch>(-variance / h * slope, b, 0, b, gradient.minus);
  return sum;
}

}  // namespace diffusion
