#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "diffusion/variational_bound.hpp"

namespace diffusion {

struct continuous_bound_options {
  std::size_t points = 64;  ///< where the integrand is asked, in even steps of log SNR
  std::size_t repeats = 4;  ///< of everything, each with a random offset of the points and noise of its own
  x0_transform x0 = x0_keep{};
  double prior_deviation = 1;      ///< of p(x) at the noisiest level
  std::uint64_t first_sample = 0;  ///< address of row 0 in the noise source; row i is first_sample + i
  std::size_t batch = 64;          ///< rows that the network is asked about at a time, at most
};

/// The variational bound of every row of x0 in continuous time (Kingma et al. 2021, Variational Diffusion
/// Models), the limit of variational_bound for ever finer paths from `noisiest` to `cleanest` and
/// then to clean data:
///   L_T + ½ ∫ E‖ε - ε̂‖² d log SNR + L_0,
/// where the decoder of L_0 has the mean x̂0 and the variance of q(x | x_0) at the cleanest level. In nats;
/// `bounds` has an element for each row, whose standard error is that of steps + decoder, over the repeats.
///
/// Returns the mean over the rows of the bound, over the repeats: rows of a call share the points, so their
/// errors are not independent. The random offset of repeat r is element r of the noise at address 0 of row
/// 0, the noise of its point k is at r (points + 1) + k + 1, that of L_0 at k = points.
template <InvertibleSchedule Schedule, Decoder D, Element T, PathPredictor<T, typename Schedule::time_type> P,
          NoiseSource<T> N>
requires NoiseSource<N, arithmetic<T>> running_mean continuous_bound(
    const Schedule& schedule, typename Schedule::time_type noisiest, typename Schedule::time_type cleanest,
    const D& decoder, P&& predictor, N&& noise, rows<const std::type_identity_t<T>> x0, workspace<T>& work,
    std::span<sample_bound> bounds, const continuous_bound_options& options = {}) {
  detail::require_size("bounds", bounds.size(), x0.count());
  if (options.points == 0) detail::invalid("points", options.points, "at least 1");
  if (options.repeats == 0) detail::invalid("repeats", options.repeats, "at least 1");
  const auto point_at = [&](const auto& t) { return path_point{static_cast<double>(t), schedule.level(t)}; };
  const path_point first = point_at(noisiest);
  const path_point last = point_at(cleanest);
  const bound_term to_data =
      make_bound_term(kind_of(predictor), last.level, {}, fixed_variance::transition, 1);
  const double low = 2 * half_log_snr(first.level);
  const double range = 2 * half_log_snr(last.level) - low;
  if (!(range > 0 && std::isfinite(range)))
    detail::invalid("log SNR from noisiest to cleanest", range, "(0, inf)");

  detail::noised_rows<T> network(x0, work, 1, options.x0, options.first_sample, options.batch);
  using entry = typename detail::noised_rows<T>::entry;
  std::vector<arithmetic<T>> offsets(options.repeats);
  noise(options.first_sample, std::uint32_t{0}, std::span<arithmetic<T>>(offsets));
  std::vector<entry> entries(x0.count());
  std::vector<double> integrals(x0.count()), decoders(x0.count());
  std::vector<running_mean> steps(x0.count()), losses(x0.count()), totals(x0.count());
  std::uint32_t address = 0;
  const auto ask = [&](const path_point& at, const prediction_map& map, auto use) {
    ++address;
    for (std::size_t i = 0; i < x0.count(); ++i) entries[i] = {i, address};
    network.ask(predictor, noise, at, map, std::span<const entry>(entries), use);
  };

  for (std::size_t i = 0; i < x0.count(); ++i)
    bounds[i] = {.prior = prior_kl(first.level, x0[i], options.prior_deviation)};
  running_mean mean;
  for (const auto offset : offsets) {
    const double u = detail::uniform_of_normal(static_cast<double>(offset));
    const double width = range / static_cast<double>(options.points);
    std::fill(integrals.begin(), integrals.end(), 0);
    for (std::size_t k = 0; k < options.points; ++k) {
      const double log_snr = low + width * (static_cast<double>(k) + u);
      const auto [t, level] = schedule.find(std::exp(-log_snr / 2));
      const prediction_map map = x0_map(kind_of(predictor), level);
      const double weight = width * snr(level) / 2;
      ask({static_cast<double>(t), level}, map,
          [&](const entry& e, const x0_clamp& clamp, auto x_t, auto output) {
            const auto x0_row = x0[e.row];
            integrals[e.row] += weight * detail::ordered_sum(x0_row.size(), [&](std::size_t j) {
                                  const double x0_hat =
                                      clamp(map(detail::widened(x_t[j]), detail::widened(output[j])));
                                  const double error = detail::widened(x0_row[j]) - x0_hat;
                                  return error * error;
                                });
          });
    }
    ask(last, to_data.x0, [&](const entry& e, const x0_clamp& clamp, auto x_t, auto output) {
      decoders[e.row] = term_loss(to_data, decoder, clamp, x0[e.row], x_t, output);
    });
    double sum = 0;
    for (std::size_t i = 0; i < x0.count(); ++i) {
      steps[i].add(integrals[i]);
      losses[i].add(decoders[i]);
      totals[i].add(integrals[i] + decoders[i]);
      sum += bounds[i].prior + integrals[i] + decoders[i];
    }
    mean.add(sum / static_cast<double>(x0.count()));
  }
  for (std::size_t i = 0; i < x0.count(); ++i) {
    bounds[i].steps = steps[i].mean();
    bounds[i].decoder = losses[i].mean();
    bounds[i].standard_error = totals[i].standard_error();
  }
  return mean;
}

}  // namespace diffusion
