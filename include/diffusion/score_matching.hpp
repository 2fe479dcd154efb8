#pragma once

#include <cmath>
#include <span>
#include <type_traits>

#include "diffusion/objective.hpp"
#include "diffusion/predictor.hpp"

namespace diffusion {

// Losses that have the minimum of ½ E‖s(x) - ∇ log p(x)‖² at a network's score s without knowing ∇ log p:
// they differ from it by a constant. Sums over the elements of a row, means over rows. For noised data
// denoising score matching needs no derivatives: ‖s + ε/σ‖² = ‖ε̂ - ε‖²/σ², the loss of ε (training_target and
// squared_error).

/// What replaces ‖s‖² in the loss.
enum class sliced_square {
  projected,  ///< (vᵀs)², for any E[v vᵀ] = I
  full,       ///< ‖s‖², of less variance ("SSM-VR")
};

/// Sliced score matching (Song et al. 2019): for every row, losses = vᵀ (∂s/∂x) v + ½‖s‖² (or ½ (vᵀs)²) with
/// directions v, independent draws of unit covariance such as normals or signs. Returns their mean. `output`
/// and `product` are memory of the caller, as large as x. σ > 0 unless the network predicts scores. Its
/// gradient needs second derivatives of the network: see finite_difference_score_matching.
template <Element T, class Time, DifferentiablePredictor<T, Time> P, Executor E = serial>
double sliced_score_matching(P& predictor, rows<const std::type_identity_t<T>> x, time_point<Time> at,
                             rows<const std::type_identity_t<T>> v, rows<T> output,
                             rows<std::type_identity_t<T>> product, std::span<double> losses,
                             sliced_square square = sliced_square::full, const E& executor = {}) {
  const std::size_t size = x.row_size();
  detail::require_rows("v", v, x, size);
  detail::require_rows("output", output, x, size);
  detail::require_rows("product", product, x, size);
  detail::require_size("losses", losses.size(), x.count());
  const prediction_map score = score_map(kind_of(predictor), at.level);
  predictor.vector_jacobian(x, at, v, output, product);
  detail::for_each_row(executor, x.count(), size, [&](std::size_t i) {
    const T* const state = x[i].data();
    const T* const slice = v[i].data();
    const T* const out = output[i].data();
    const T* const pulled = product[i].data();
    const auto value = [](const T* of, std::size_t j) { return detail::widened(of[j]); };
    const auto score_at = [=](std::size_t j) { return score(value(state, j), value(out, j)); };
    // The map is linear, so it takes v and Jᵀv as it takes x and the output.
    losses[i] = detail::ordered_sum(
        size, [=](std::size_t j) { return value(slice, j) * score(value(slice, j), value(pulled, j)); });
    if (square == sliced_square::full) {
      losses[i] += detail::ordered_sum(size, [=](std::size_t j) { return score_at(j) * score_at(j); }) / 2;
    } else {
      const double slope =
          detail::ordered_sum(size, [=](std::size_t j) { return value(slice, j) * score_at(j); });
      losses[i] += slope * slope / 2;
    }
  });
  return detail::mean_of(losses);
}

/// Sliced score matching by central differences (Pang et al. 2020, "FD-SSMVR"): for every row, losses =
/// vᵀ(s₊ - s₋)/(2h) + ⅛‖s₊ + s₋‖² with the scores s± at x ± h v, which is `full` above up to O(h²). Returns
/// their mean; the gradients are its derivatives with respect to the two outputs of a network of this kind
/// and may be the outputs. h in (0, inf): the rounding of the outputs is divided by it. Does not allocate.
template <class Arch = default_arch, Element T, Executor E = serial>
double finite_difference_score_matching(prediction kind, noise_level level, double h,
                                        rows<const std::type_identity_t<T>> x,
                                        rows<const std::type_identity_t<T>> v,
                                        rows<const std::type_identity_t<T>> output_plus,
                                        rows<const std::type_identity_t<T>> output_minus,
                                        rows<T> gradient_plus, rows<std::type_identity_t<T>> gradient_minus,
                                        std::span<double> losses, const E& executor = {}) {
  using R = arithmetic<T>;
  const std::size_t size = gradient_plus.row_size();
  detail::require_rows("x", x, gradient_plus, size);
  detail::require_rows("v", v, gradient_plus, size);
  detail::require_rows("output_plus", output_plus, gradient_plus, size);
  detail::require_rows("output_minus", output_minus, gradient_plus, size);
  detail::require_rows("gradient_minus", gradient_minus, gradient_plus, size);
  detail::require_size("losses", losses.size(), gradient_plus.count());
  detail::require_positive("h", h);
  const prediction_map score = score_map(kind, level);
  const double of_x = score.scale * score.x;
  const double of_output = score.scale * score.model;  // ∂s/∂output
  const double count = static_cast<double>(gradient_plus.count());
  detail::for_each_row(executor, gradient_plus.count(), size, [&](std::size_t i) {
    const T* const state = x[i].data();
    const T* const slice = v[i].data();
    const T* const plus = output_plus[i].data();
    const T* const minus = output_minus[i].data();
    T* const to_plus = gradient_plus[i].data();
    T* const to_minus = gradient_minus[i].data();
    losses[i] = detail::ordered_sum(size, [=](std::size_t j) {
      const auto z = detail::widened(slice[j]);
      const auto p = detail::widened(plus[j]);
      const auto m = detail::widened(minus[j]);
      const double slope = of_x * z + of_output * (p - m) / (2 * h);  // (s₊ - s₋)/(2h)
      const double mean = of_x * detail::widened(state[j]) + of_output * (p + m) / 2;
      return z * slope + mean * mean / 2;
    });
    const R a = static_cast<R>(of_output / (2 * count) * of_x);
    const R b = static_cast<R>(of_output / (4 * count) * of_output);
    const R c = static_cast<R>(of_output / (2 * count * h));
    detail::for_each_pack<Arch, R>(0, size, [=](auto place) {
      const auto mean = a * place.load(state) + b * (place.load(plus) + place.load(minus));
      const auto slope = c * place.load(slice);
      place.store(mean + slope, to_plus);
      place.store(mean - slope, to_minus);
    });
  });
  return detail::mean_of(losses);
}

}  // namespace diffusion
