// Data of one dimension whose perfect network and whose probability flow are known.
#pragma once

#include <cmath>
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
    double sum = 0, total = 0;
    for (const normal& part : parts) {
      const double variance = part.variance_at(level);
      const double distance = x - level.alpha * part.mean;
      const double share = part.weight / std::sqrt(variance) * std::exp(-distance * distance / (2 * variance));
      total += share;
      sum += share * level.sigma * distance / variance;
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

/// What the library asks: the best network that there can be.
struct perfect_network {
  mixture data;

  template <class Time>
  void operator()(diffusion::rows<const double> x, const diffusion::time_point<Time>& at,
                  diffusion::rows<double> out) const {
    for (std::size_t i = 0; i < x.data().size(); ++i) out.data()[i] = data.epsilon(x.data()[i], at.level);
  }
};
