#pragma once

#include <cmath>
#include <numbers>
#include <span>
#include <type_traits>

#include "diffusion/elbo.hpp"

namespace diffusion {

/// Parts of the loss of one sample at one step.
struct hybrid_loss {
  double simple;  ///< mean over the elements of (output - target)²
  double bound;   ///< the term of the step in bits per dimension
  double total;   ///< simple + bound_weight · bound
};

/// The loss for networks with a learned variance, of one sample at one step t drawn evenly from 1 … T:
/// L_simple + λ L_vlb (Nichol & Dhariwal 2021, eq. 16). The bound's term stands for T of its kind, so their
/// λ = 0.001 is bound_weight = 0.001 T. No gradient flows from the bound into the mean: the first half of
/// `gradient` is that of L_simple alone, the second half that of the bound by the second output.
///
/// `output` and `gradient` hold 2 n values for n elements; `target` is training_target's. An empty gradient
/// is not computed. Throws where the term's variance is not learned.
template <Decoder D, Element T>
hybrid_loss hybrid_loss_of(const bound_term& term, double bound_weight, const D& decoder,
                           std::span<const T> x0, std::span<const std::type_identity_t<T>> x_t,
                           std::span<const std::type_identity_t<T>> target,
                           std::span<const std::type_identity_t<T>> output,
                           std::span<std::type_identity_t<T>> gradient = {}) {
  if (!(bound_weight >= 0 && std::isfinite(bound_weight)))
    detail::invalid("bound_weight", bound_weight, "[0, inf)");
  const std::size_t n = x0.size();
  const detail::term_elements<D, T> elements(term, decoder, {}, x0, x_t, output);
  if (!elements.is_learned()) detail::invalid("variance", "fixed", "a learned one");
  detail::require_size("target", target.size(), n);
  const auto error = [&](std::size_t j) { return detail::widened(output[j]) - detail::widened(target[j]); };
  const double count = static_cast<double>(n);
  hybrid_loss loss{};
  loss.simple = detail::ordered_sum(n, [&](std::size_t j) { return error(j) * error(j); }) / count;
  loss.bound = bits_per_dimension(detail::ordered_sum(n, [&](std::size_t j) { return elements.loss(j); }), n);
  loss.total = loss.simple + bound_weight * loss.bound;
  if (gradient.empty()) return loss;
  detail::require_size("gradient", gradient.size(), output.size());
  for (std::size_t j = 0; j < n; ++j) {
    gradient[j] = static_cast<T>(2 * error(j) / count);
    gradient[n + j] = static_cast<T>(bound_weight / (count * std::numbers::ln2) * elements.loss_slope(j));
  }
  return loss;
}

}  // namespace diffusion
