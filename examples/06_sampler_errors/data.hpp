// Data of one dimension whose perfect network and whose probability flow are known.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "diffusion/predictor.hpp"

struct normal {
  double weight, mean, deviation;

  double variance_at(diffusion::noise_level level) const {
    return level.alpha * level.alpha * deviation * deviation + level.sigma * level.sigma;
  }
};

struct mixture {
  std::vector<normal> parts;

  /// E[ε | x].
  double epsilon(double x, diffusion::noise_level level) const {
    const auto exponent = [&](const normal& part) {
      const double distance = x - level.alpha * part.mean;
      return -distance * distance / (2 * part.variance_at(level));
    };
    double largest =
        -std::numeric_limits<double>::infinity();  // far away all shares vanish, but not their ratios
    for (const normal& part : parts) largest = std::max(largest, exponent(part));
    double sum = 0, total = 0;
    for (const normal& part : parts) {
      const double variance = part.variance_at(level);
      const double share = part.weight / std::sqrt(variance) * std::exp(exponent(part) - largest);
      total += share;
      sum += share * level.sigma * (x - level.alpha * part.mean) / variance;
    }
    return sum / total;
  }

  /// The value that x falls below with the given probability.
  double quantile(double probability, diffusion::noise_level level) const {
    double low = -1000, high = 1000;
    for (int i = 0; i < 200; ++i) {
      const double middle = (low + high) / 2;
      double below = 0;
      for (const normal& part : parts)
        below += part.weight / 2 *
                 std::erfc((level.alpha * part.mean - middle) / std::sqrt(2 * part.variance_at(level)));
      (below < probability ? low : high) = middle;
    }
    return (low + high) / 2;
  }
};

/// The best network that there can be for rows of independent elements.
struct perfect_network {
  std::vector<mixture> elements;

  template <class Time>
  void operator()(diffusion::rows<const double> x, const diffusion::time_point<Time>& at,
                  diffusion::rows<double> out) const {
    for (std::size_t i = 0; i < x.data().size(); ++i)
      out.data()[i] = elements[i % elements.size()].epsilon(x.data()[i], at.level);
  }
};
