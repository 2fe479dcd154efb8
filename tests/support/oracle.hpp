// Data distributions whose perfect network is known in closed form.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "diffusion/predictor.hpp"

namespace support {

/// What a perfect network knows about an element: E[x_0 | x_t] and E[ε | x_t].
struct expectation {
  double x0, epsilon;
};

inline double normal_cdf(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

/// Elements are independent draws of N(mean, deviation²).
struct gaussian {
  double mean = 0;
  double deviation = 1;

  double mean_at(diffusion::noise_level l) const { return l.alpha * mean; }
  double variance_at(diffusion::noise_level l) const {
    return l.alpha * l.alpha * deviation * deviation + l.sigma * l.sigma;
  }
  expectation operator()(double x, diffusion::noise_level l) const {
    const double pull = (x - mean_at(l)) / variance_at(l);
    return {mean + l.alpha * deviation * deviation * pull, l.sigma * pull};
  }
  double cdf(double x, diffusion::noise_level l) const {
    return normal_cdf((x - mean_at(l)) / std::sqrt(variance_at(l)));
  }
};

/// Elements are independent draws of a mixture of normals.
struct mixture {
  struct component {
    double weight;
    gaussian normal;
  };
  std::vector<component> components{{0.3, {-1.0, 0.3}}, {0.7, {0.8, 0.5}}};

  expectation operator()(double x, diffusion::noise_level l) const {
    double total = 0;
    expectation sum{0, 0};
    for (const auto& [weight, normal] : components) {
      const double variance = normal.variance_at(l);
      const double distance = x - normal.mean_at(l);
      const double share = weight / std::sqrt(variance) * std::exp(-distance * distance / (2 * variance));
      const expectation e = normal(x, l);
      total += share;
      sum.x0 += share * e.x0;
      sum.epsilon += share * e.epsilon;
    }
    return {sum.x0 / total, sum.epsilon / total};
  }
  double cdf(double x, diffusion::noise_level l) const {
    double sum = 0;
    for (const auto& [weight, normal] : components) sum += weight * normal.cdf(x, l);
    return sum;
  }
};

/// Where the probability flow carries x from one level to another: in one dimension it keeps the order of
/// points, hence the cumulative distribution. Found by bisection.
template <class Data>
double probability_flow(const Data& data, double x, diffusion::noise_level from, diffusion::noise_level to) {
  const double target = data.cdf(x, from);
  double low = -20;
  double high = 20;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (data.cdf(middle, to) < target ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// The perfect network for the data, of any kind of prediction.
template <class Data>
struct perfect_network {
  Data data;
  diffusion::prediction kind = diffusion::prediction::epsilon;

  template <class T, class Time>
  void operator()(diffusion::rows<const T> x, const diffusion::time_point<Time>& at,
                  diffusion::rows<T> out) const {
    const diffusion::target_weights weights = diffusion::training_target(kind, at.level);
    for (std::size_t i = 0; i < x.data().size(); ++i) {
      const expectation e = data(static_cast<double>(x.data()[i]), at.level);
      out.data()[i] = static_cast<T>(weights.x0 * e.x0 + weights.epsilon * e.epsilon);
    }
  }
};
template <class Data>
perfect_network(Data) -> perfect_network<Data>;
template <class Data>
perfect_network(Data, diffusion::prediction) -> perfect_network<Data>;

}  // namespace support
