#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "diffusion/ask_network.hpp"
#include "diffusion/divergence.hpp"
#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/kernels/predict_x0.hpp"
#include "diffusion/schedules/sigma_lists.hpp"
#include "diffusion/workspace.hpp"

namespace diffusion {

/// The denoising auto-encoder inside every predictor: x0 ← E[x_0 | y] for y = x_0 + ς n with standard normals
/// n, in one evaluation (Vincent 2011; Efron 2011, Tweedie's formula). `noise_to_signal` is ς, the standard
/// deviation of the noise. The network sees α y at the time where σ/α = ς.
template <InvertibleSchedule Schedule, Element T, PathPredictor<T, typename Schedule::time_type> P,
          Executor E = serial>
void denoise(const Schedule& schedule, double noise_to_signal, P&& predictor,
             rows<const std::type_identity_t<T>> y, rows<T> x0, workspace<T>& work,
             const x0_transform& transform = x0_keep{}, const E& executor = {}) {
  detail::require_rows("y", y, x0, x0.row_size());
  detail::require_range({noise_to_signal, noise_to_signal});
  detail::require_x0_transform(transform);
  const auto [t, level] = schedule.find(noise_to_signal);
  const prediction_map map = x0_map(kind_of(predictor), level);
  work.memory.resize(y.data().size());
  work.output.resize(y.data().size());
  work.scratch.resize(y.row_size());
  const rows<T> x(work.memory, y.count());
  const rows<T> output(work.output, y.count());
  linear_combination(level.alpha, y.data(), 0, y.data(), x.data(), executor);
  detail::ask_network<typename Schedule::time_type, T>(predictor, x, {static_cast<double>(t), level}, output);
  for (std::size_t i = 0; i < y.count(); ++i)
    predict_x0(map, clamp_for(transform, map, std::span<const T>(x[i]), output[i], std::span(work.scratch)),
               x[i], output[i], x0[i], executor);
}

struct noise_level_options {
  hutchinson divergence{};         ///< how σ ∇·ε̂ is estimated
  double tolerance = 1e-3;         ///< of ln ς, (0, inf)
  std::uint64_t first_sample = 0;  ///< address of row 0 in the probes
};

/// The standard deviation ς of the noise in every row of y = x_0 + ς n: the most likely one, given the
/// predictor, within the range. By the heat equation ∂q/∂ς = ς Δq the likelihood of y changes as
///   ∂ log q_ς(y) / ∂ log ς = ‖ε̂‖² - ς ∇_y·ε̂,
/// whose zero bisection finds: a maximum, and the only one where noise and data are not alike. At an end of
/// the range beyond which the likelihood grows, that end. The divergence comes from differences of ε̂ along
/// probes, so that any predictor will do. A row of d values leaves an error of about ς/√(2d), more where the
/// data look like noise.
template <InvertibleSchedule Schedule, class T,
          PathPredictor<std::remove_const_t<T>, typename Schedule::time_type> P>
[[nodiscard]] std::vector<double> estimate_noise_level(const Schedule& schedule, sigma_range range,
                                                       P&& predictor, rows<T> y,
                                                       const noise_level_options& options = {}) {
  using R = std::remove_const_t<T>;
  detail::require_range(range);
  if (!(options.tolerance > 0)) detail::invalid("tolerance", options.tolerance, "(0, inf)");
  const std::size_t probes = options.divergence.probes;
  const std::size_t size = y.row_size();
  std::vector<R> states((1 + 2 * probes) * size);
  std::vector<R> outputs(states.size());
  const rows<R> x(states, 1 + 2 * probes);
  const rows<R> output(outputs, x.count());
  // The step of a central difference with the least sum of truncation, h², and rounding, roundoff/h.
  const double h = std::cbrt(static_cast<double>(std::numeric_limits<R>::epsilon()));

  const auto slope = [&](std::span<const R> row, rows<const R> v, double log_sigma) {
    const auto [t, level] = schedule.find(std::exp(log_sigma));
    const prediction_map map = epsilon_map(kind_of(predictor), level);
    linear_combination(level.alpha, row, 0, row, x[0]);
    for (std::size_t k = 0; k < probes; ++k) {
      linear_combination(1, x[0], h * level.sigma, v[k], x[1 + 2 * k]);
      linear_combination(1, x[0], -h * level.sigma, v[k], x[2 + 2 * k]);
    }
    detail::ask_network<typename Schedule::time_type, R>(predictor, x, {static_cast<double>(t), level},
                                                         output);
    const auto epsilon = [&, map](std::size_t r, std::size_t i) {
      return map(static_cast<double>(x[r][i]), static_cast<double>(output[r][i]));
    };
    const double square = detail::ordered_sum(size, [&](std::size_t i) {
      const double e = epsilon(0, i);
      return e * e;
    });
    double divergence = 0;
    for (std::size_t k = 0; k < probes; ++k)
      divergence += detail::ordered_sum(size, [&](std::size_t i) {
        return static_cast<double>(v[k][i]) * (epsilon(1 + 2 * k, i) - epsilon(2 + 2 * k, i));
      });
    const double result = square - divergence / (2 * h * static_cast<double>(probes));
    if (!std::isfinite(result))
      detail::invalid("slope of the likelihood", result, "finite: the network's output is not");
    return result;
  };

  std::vector<double> levels;
  for (std::size_t i = 0; i < y.count(); ++i) {
    const auto random = probes_of<R>(options.divergence, size, options.first_sample + i);
    const rows<const R> v(std::span<const R>(random.values), probes);
    const auto rising = [&](double log_sigma) { return slope(y[i], v, log_sigma) > 0; };
    double low = std::log(range.min);
    double high = std::log(range.max);
    if (!rising(low)) {
      high = low;
    } else if (rising(high)) {
      low = high;
    }
    while (high - low > options.tolerance) {
      const double middle = std::midpoint(low, high);
      (rising(middle) ? low : high) = middle;
    }
    levels.push_back(std::clamp(std::exp(std::midpoint(low, high)), range.min, range.max));
  }
  return levels;
}

}  // namespace diffusion
