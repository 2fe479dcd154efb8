#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <type_traits>
#include <variant>

#include "diffusion/decoder.hpp"
#include "diffusion/gaussian.hpp"
#include "diffusion/kernels/ordered_sum.hpp"
#include "diffusion/kernels/predict_x0.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"

namespace diffusion {

// The terms of the variational bound, one sample at a time, in nats and summed over the sample's elements:
//   -log p(x_0) ≤ L_T + Σ_{t>1} L_{t-1} + L_0      (Sohl-Dickstein et al. 2015; Ho et al. 2020, eq. 5)
//   L_T = KL(q(x_T | x_0) ‖ p(x_T)),  L_{t-1} = KL(q(x_{t-1} | x_t, x_0) ‖ p(x_{t-1} | x_t)),
//   L_0 = -log p(x_0 | x_1).
// L_{t-1} and L_0 are those of one x_t ~ q(x_t | x_0); the bound has their expectation.

/// Nats of a whole sample as bits for each of its `dimensions`. Where the nats are those of a density over
/// values that are `bin_width` apart, the bits are those of the values: 8-bit data scaled to [-1, 1] have
/// bin_width 2/255, which adds log2(127.5) = 6.99. Nats of probabilities, as from discretized_gaussian, need
/// none.
[[nodiscard]] inline double bits_per_dimension(double nats, std::size_t dimensions, double bin_width = 1) {
  if (dimensions == 0) detail::invalid("dimensions", dimensions, "at least 1");
  detail::require_positive("bin_width", bin_width);
  return nats / (static_cast<double>(dimensions) * std::numbers::ln2) - std::log2(bin_width);
}

/// L_T: KL of q(x_T | x_0) at the noisiest level from the prior N(0, deviation² I), deviation > 0.
template <Element T>
[[nodiscard]] double prior_kl(noise_level last, std::span<const T> x0, double deviation = 1) {
  detail::require_level("last", last);
  if (last.sigma == 0) detail::invalid("last.sigma", last.sigma, "(0, inf)");
  detail::require_positive("deviation", deviation);
  const double log_variance = 2 * std::log(last.sigma);
  const double log_prior = 2 * std::log(deviation);
  return detail::ordered_sum(x0.size(), [=](std::size_t j) {
    return normal_kl(last.alpha * detail::widened(x0[j]), log_variance, 0, log_prior);
  });
}

/// Variance of p(x_to | x_from): fixed, or by a second output of the network.
using reverse_variance = std::variant<fixed_variance, learned_variance>;

/// What one step x_from → x_to adds to the bound, in scalars: q(x_to | x_from, x_0) and p(x_to | x_from) have
/// means that differ by x0_weight (x_0 - x̂0).
struct bound_term {
  prediction_map x0;    ///< x̂0 from x_from and the network's output
  double x0_weight;     ///< of x_0 in μ̃
  double log_variance;  ///< log β̃, of q
  variance_map model;   ///< log Σ, of p; slope 0: fixed
  bool decodes;         ///< x_to is clean data, and the term L_0
};

/// The term of a step between two levels. Where it ends at clean data and β̃ = 0, `clean_variance` stands for
/// β̃ in Σ.
[[nodiscard]] inline bound_term make_bound_term(prediction kind, noise_level from, noise_level to,
                                                reverse_variance variance, double clean_variance) {
  detail::require_positive("clean_variance", clean_variance);
  const step_coefficients mean = posterior(from, to);
  if (to.sigma > 0 && mean.noise == 0)
    detail::invalid("to.sigma", to.sigma, "that of a level with less noise than `from`");
  const double floor = to.sigma > 0 ? std::numeric_limits<double>::min() : clean_variance;
  const double low = posterior_log_variance(from, to, floor);
  bound_term term{x0_map(kind, from), mean.x0, low, {.offset = low, .slope = 0}, to.sigma == 0};
  if (const auto* learned = std::get_if<learned_variance>(&variance))
    term.model = ddpm_learned{*learned}.variance_of(from, to, floor);
  else if (std::get<fixed_variance>(variance) == fixed_variance::transition)
    term.model.offset = std::log(transition_variance(from, to));
  return term;
}

/// The term of the step from t to t-1 of a discrete schedule, t in 1 … T: L_{t-1}. At t = 1 β̃_2 stands for
/// β̃_1 = 0, or β_1 if T = 1 (Ho et al. 2020, code).
template <std::floating_point Real>
[[nodiscard]] bound_term make_bound_term(prediction kind, const discrete_schedule<Real>& schedule, int t,
                                         reverse_variance variance) {
  return make_bound_term(kind, schedule.level(t), schedule.level(t - 1), variance,
                         std::exp(posterior_log_variance(schedule, t)));
}

namespace detail {

/// A term of one sample, element by element.
template <class D, Element T>
class term_elements {
 public:
  /// Throws unless the sizes fit: an output of x0.size() values, and as many more where Σ is learned.
  term_elements(const bound_term& term, const D& decoder, const x0_clamp& clamp, std::span<const T> x0,
                std::span<const T> x_t, std::span<const T> output)
      : term_(term), decoder_(decoder), clamp_(clamp), x0_(x0), x_t_(x_t), output_(output) {
    require_size("x_t", x_t.size(), x0.size());
    require_size("output", output.size(), is_learned() ? 2 * x0.size() : x0.size());
  }

  [[nodiscard]] bool is_learned() const noexcept { return !term_.model.is_log || term_.model.slope != 0; }

  /// L of element j.
  [[nodiscard]] double loss(std::size_t j) const {
    if (term_.decodes) return -decoder_.log_likelihood(x0(j), x0_hat(j), log_variance(j));
    return normal_kl(mean_distance(j), term_.log_variance, 0, log_variance(j));
  }
  /// dL/dv of element j, v its second output.
  [[nodiscard]] double loss_slope(std::size_t j) const {
    const double by_output = term_.model.is_log ? term_.model.slope : 1 / second_output(j);
    const double log_sigma = log_variance(j);
    if (term_.decodes) return -by_output * decoder_.log_variance_slope(x0(j), x0_hat(j), log_sigma);
    const double distance = mean_distance(j);
    return -by_output *
           (std::expm1(term_.log_variance - log_sigma) + distance * distance * std::exp(-log_sigma)) / 2;
  }

 private:
  [[nodiscard]] double x0(std::size_t j) const { return widened(x0_[j]); }
  [[nodiscard]] double x0_hat(std::size_t j) const {
    return clamp_(term_.x0(widened(x_t_[j]), widened(output_[j])));
  }
  [[nodiscard]] double mean_distance(std::size_t j) const { return term_.x0_weight * (x0(j) - x0_hat(j)); }
  [[nodiscard]] double second_output(std::size_t j) const { return widened(output_[x0_.size() + j]); }
  [[nodiscard]] double log_variance(std::size_t j) const {
    if (!is_learned()) return term_.model.offset;
    const double v = second_output(j);
    return term_.model.is_log ? term_.model.offset + term_.model.slope * v : std::log(v);
  }

  const bound_term& term_;
  const D& decoder_;
  x0_clamp clamp_;
  std::span<const T> x0_, x_t_, output_;
};

}  // namespace detail

/// The term of one sample: L_{t-1}, or L_0 where the step ends at clean data (which may be negative: a
/// density). `output` holds x0.size() values and, where the variance is learned, as many of the second
/// output.
template <Decoder D, Element T>
[[nodiscard]] double term_loss(const bound_term& term, const D& decoder, const x0_clamp& clamp,
                               std::span<const T> x0, std::span<const std::type_identity_t<T>> x_t,
                               std::span<const std::type_identity_t<T>> output) {
  const detail::term_elements<D, T> elements(term, decoder, clamp, x0, x_t, output);
  return detail::ordered_sum(x0.size(), [&](std::size_t j) { return elements.loss(j); });
}

}  // namespace diffusion
