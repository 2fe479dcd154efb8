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
  detail::require_positive("noise_to_signal", noise_to_signal);
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
  hutchinson divergence{};         ///< how the divergence is estimated
  double tolerance = 1e-3;         ///< of ln ς, (0, inf)
  std::uint64_t first_sample = 0;  ///< address of row 0 in the probes
};

namespace detail {

/// ∂ log q_ς(y)/∂ log ς = ‖ε̂‖² - ς ∇_y·ε̂, which follows from ∂q/∂ς = ς Δq. The divergence comes from
/// differences of ε̂ along probes: any predictor has those.
template <Scalar T, InvertibleSchedule Schedule, PathPredictor<T, typename Schedule::time_type> P>
class likelihood_slope {
 public:
  likelihood_slope(const Schedule& schedule, P& predictor, std::size_t size, std::size_t probes)
      : schedule_(schedule), predictor_(predictor), states_((1 + 2 * probes) * size), outputs_(states_) {}

  /// `v` holds the probes, one row each. Asks the network once, about y and both sides of it on every probe.
  [[nodiscard]] double operator()(std::span<const T> y, rows<const T> v, double noise_to_signal) {
    const auto [t, level] = schedule_.find(noise_to_signal);
    const prediction_map map = epsilon_map(kind_of(predictor_), level);
    const rows<T> x(states_, 1 + 2 * v.count());
    const rows<T> output(outputs_, x.count());
    linear_combination(level.alpha, y, 0, y, x[0]);
    for (std::size_t k = 0; k < v.count(); ++k) {
      linear_combination(1, x[0], step * level.sigma, v[k], x[1 + 2 * k]);
      linear_combination(1, x[0], -step * level.sigma, v[k], x[2 + 2 * k]);
    }
    ask_network<typename Schedule::time_type, T>(predictor_, x, {static_cast<double>(t), level}, output);

    const auto epsilon = [&, map](std::size_t row, std::size_t i) {
      return map(static_cast<double>(x[row][i]), static_cast<double>(output[row][i]));
    };
    const double square = ordered_sum(y.size(), [&](std::size_t i) { return epsilon(0, i) * epsilon(0, i); });
    double difference = 0;
    for (std::size_t k = 0; k < v.count(); ++k)
      difference += ordered_sum(y.size(), [&](std::size_t i) {
        return static_cast<double>(v[k][i]) * (epsilon(1 + 2 * k, i) - epsilon(2 + 2 * k, i));
      });
    const double slope = square - difference / (2 * step * static_cast<double>(v.count()));
    if (!std::isfinite(slope))
      invalid("slope of the likelihood", slope, "finite: the network's output is not");
    return slope;
  }

 private:
  /// In units of σ: of a central difference with truncation of order h² and rounding of order roundoff/h.
  inline static const double step = std::cbrt(static_cast<double>(std::numeric_limits<T>::epsilon()));

  const Schedule& schedule_;
  P& predictor_;
  std::vector<T> states_, outputs_;
};

}  // namespace detail

/// The standard deviation ς of the noise in every row of y = x_0 + ς n: within the range, the one that makes
/// y most likely, given the predictor. Bisection finds where the likelihood stops to rise, so that of several
/// maxima it gives one; an end of the range where it falls from the lower or rises to the upper end. A row of
/// d values leaves an error of about ς/√(2d) where it is the noise that differs from the data, more where the
/// data look like noise.
template <InvertibleSchedule Schedule, class T,
          PathPredictor<std::remove_const_t<T>, typename Schedule::time_type> P>
requires Scalar<std::remove_const_t<T>>
[[nodiscard]] std::vector<double> estimate_noise_level(const Schedule& schedule, sigma_range range,
                                                       P&& predictor, rows<T> y,
                                                       const noise_level_options& options = {}) {
  using R = std::remove_const_t<T>;
  detail::require_range(range);
  if (!(options.tolerance > 0)) detail::invalid("tolerance", options.tolerance, "(0, inf)");
  const std::size_t probes = options.divergence.probes;
  detail::likelihood_slope<R, Schedule, std::remove_reference_t<P>> slope(schedule, predictor, y.row_size(),
                                                                          probes);
  std::vector<double> levels;
  for (std::size_t i = 0; i < y.count(); ++i) {
    const auto random = probes_of<R>(options.divergence, y.row_size(), options.first_sample + i);
    const auto rising = [&](double noise_to_signal) {
      return slope(y[i], {std::span<const R>(random.values), probes}, noise_to_signal) > 0;
    };
    if (!rising(range.min)) {
      levels.push_back(range.min);
    } else if (rising(range.max)) {
      levels.push_back(range.max);
    } else {
      double low = std::log(range.min);
      double high = std::log(range.max);
      while (high - low > options.tolerance) {
        const double middle = (low + high) / 2;
        (rising(std::exp(middle)) ? low : high) = middle;
      }
      levels.push_back(std::exp((low + high) / 2));
    }
  }
  return levels;
}

}  // namespace diffusion
