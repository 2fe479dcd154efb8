#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

#include "diffusion/gaussian.hpp"

namespace diffusion {

/// p(x_0 | x_1) of one element, given the mean and log variance of the last step: its log-likelihood in nats,
/// and the derivative of that by the log variance.
template <class D>
concept Decoder = requires(const D& decoder, double x0, double mean, double log_variance) {
  { decoder.log_likelihood(x0, mean, log_variance) } -> std::same_as<double>;
  { decoder.log_variance_slope(x0, mean, log_variance) } -> std::same_as<double>;
};

/// The density of the normal distribution itself, for real data.
struct continuous_gaussian {
  [[nodiscard]] double log_likelihood(double x0, double mean, double log_variance) const noexcept {
    return normal_log_density(x0, mean, log_variance);
  }
  [[nodiscard]] double log_variance_slope(double x0, double mean, double log_variance) const noexcept {
    const double distance = x0 - mean;
    return (distance * distance * std::exp(-log_variance) - 1) / 2;
  }
};

/// Which Φ discretized_gaussian takes.
enum class normal_cdf {
  exact,
  tanh,  ///< ½ (1 + tanh(√(2/π) (z + 0.044715 z³))), probabilities not below 1e-12: what Ho et al. 2020 and
         ///< Nichol & Dhariwal 2021 published their bits per dimension with. Off by up to 3e-4 in Φ.
};

/// The probability of an integer 0 … 255 that is given as x_0 = k/127.5 - 1: that of the bin x_0 ± 1/255, the
/// first and the last of which are open (Ho et al. 2020, eq. 13). An x_0 between is the middle of a bin.
struct discretized_gaussian {
  normal_cdf cdf = normal_cdf::exact;

  /// Distance between neighbouring values.
  static constexpr double bin_width = 2.0 / 255;

  [[nodiscard]] double log_likelihood(double x0, double mean, double log_variance) const noexcept {
    const auto [a, b] = bin(x0, mean, log_variance);
    return cdf == normal_cdf::exact ? normal_log_probability(a, b)
                                    : std::log(std::max(approximate_probability(a, b), floor));
  }

  [[nodiscard]] double log_variance_slope(double x0, double mean, double log_variance) const noexcept {
    const auto [a, b] = bin(x0, mean, log_variance);  // both shrink by e^(-log_variance/2)
    if (cdf == normal_cdf::exact) return -normal_log_probability_slope(a, b) / 2;
    const double probability = approximate_probability(a, b);
    return probability > floor ? (scaled_density(a) - scaled_density(b)) / probability / 2 : 0;
  }

 private:
  static constexpr double floor = 1e-12;

  struct interval {
    double a, b;
  };
  /// The bin in standard deviations from the mean.
  static interval bin(double x0, double mean, double log_variance) noexcept {
    constexpr double inf = std::numeric_limits<double>::infinity();
    constexpr double half = bin_width / 2;
    const double scale = std::exp(-log_variance / 2);
    return {x0 - half <= -1 ? -inf : (x0 - mean - half) * scale,
            x0 + half >= 1 ? inf : (x0 - mean + half) * scale};
  }

  static double argument(double z) noexcept {
    return std::sqrt(2 / std::numbers::pi) * (z + 0.044715 * z * z * z);
  }
  static double approximate_cdf(double z) noexcept { return (1 + std::tanh(argument(z))) / 2; }
  static double approximate_probability(double a, double b) noexcept {
    return approximate_cdf(b) - approximate_cdf(a);
  }
  /// z times the derivative of approximate_cdf.
  static double scaled_density(double z) noexcept {
    if (std::isinf(z)) return 0;
    const double c = std::cosh(argument(z));
    return z * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * z * z) / (2 * c * c);
  }
};

}  // namespace diffusion
