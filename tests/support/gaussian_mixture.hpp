// Mixtures of normals in any number of dimensions: their densities, perfect networks and the derivatives of
// these in closed form.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/predictor.hpp"

namespace support {

/// Data of Σ_k weight_k N(mean_k, deviation_k² I).
struct gaussian_mixture {
  struct component {
    double weight, deviation;
    std::vector<double> mean;

    double variance_at(diffusion::noise_level l) const {
      return l.alpha * l.alpha * deviation * deviation + l.sigma * l.sigma;
    }
  };
  std::vector<component> components;

  /// log of weight_k N(x; α mean_k, v_k I) for every component.
  std::vector<double> log_terms(std::span<const double> x, diffusion::noise_level l) const {
    std::vector<double> terms;
    for (const component& c : components) {
      const double v = c.variance_at(l);
      double squares = 0;
      for (std::size_t i = 0; i < x.size(); ++i) squares += std::pow(x[i] - l.alpha * c.mean[i], 2);
      terms.push_back(std::log(c.weight) -
                      static_cast<double>(x.size()) / 2 * std::log(2 * std::numbers::pi * v) -
                      squares / (2 * v));
    }
    return terms;
  }

  /// log q(x) at a noise level.
  double log_density(std::span<const double> x, diffusion::noise_level l) const {
    const auto terms = log_terms(x, l);
    const double largest = *std::max_element(terms.begin(), terms.end());
    double sum = 0;
    for (const double term : terms) sum += std::exp(term - largest);
    return largest + std::log(sum);
  }

  /// Each component's share in the density of x.
  std::vector<double> shares(std::span<const double> x, diffusion::noise_level l) const {
    auto terms = log_terms(x, l);
    const double largest = *std::max_element(terms.begin(), terms.end());
    double sum = 0;
    for (double& term : terms) sum += term = std::exp(term - largest);
    for (double& term : terms) term /= sum;
    return terms;
  }

  /// E[x_0 | x] and E[ε | x].
  void expect(std::span<const double> x, diffusion::noise_level l, std::span<double> x0,
              std::span<double> epsilon) const {
    const auto share = shares(x, l);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x0[i] = 0;
      epsilon[i] = 0;
      for (std::size_t k = 0; k < components.size(); ++k) {
        const component& c = components[k];
        const double pull = (x[i] - l.alpha * c.mean[i]) / c.variance_at(l);
        x0[i] += share[k] * (c.mean[i] + l.alpha * c.deviation * c.deviation * pull);
        epsilon[i] += share[k] * l.sigma * pull;
      }
    }
  }

  /// (∂E[ε | x]/∂x) v. The Jacobian is symmetric: with g_k = (x - α mean_k)/v_k and g = Σ share_k g_k it is
  /// σ (Σ share_k I/v_k + g gᵀ - Σ share_k g_k g_kᵀ).
  std::vector<double> epsilon_jacobian(std::span<const double> x, diffusion::noise_level l,
                                       std::span<const double> v) const {
    const auto share = shares(x, l);
    std::vector<double> product(x.size()), g(x.size());
    double g_v = 0;
    for (std::size_t k = 0; k < components.size(); ++k) {
      const component& c = components[k];
      const auto pull = [&](std::size_t i) { return (x[i] - l.alpha * c.mean[i]) / c.variance_at(l); };
      double pull_v = 0;
      for (std::size_t i = 0; i < x.size(); ++i) pull_v += pull(i) * v[i];
      for (std::size_t i = 0; i < x.size(); ++i) {
        g[i] += share[k] * pull(i);
        product[i] += share[k] * (v[i] / c.variance_at(l) - pull_v * pull(i));
      }
      g_v += share[k] * pull_v;
    }
    for (std::size_t i = 0; i < x.size(); ++i) product[i] = l.sigma * (product[i] + g_v * g[i]);
    return product;
  }
};

/// The perfect network for the mixture, of any kind of prediction, at levels with α > 0.
struct mixture_network {
  gaussian_mixture data;
  diffusion::prediction kind = diffusion::prediction::epsilon;

  template <class T, class Time>
  void operator()(diffusion::rows<const T> x, const diffusion::time_point<Time>& at,
                  diffusion::rows<T> out) const {
    const diffusion::target_weights w = diffusion::training_target(kind, at.level);
    std::vector<double> x0(x.row_size()), epsilon(x.row_size());
    for (std::size_t r = 0; r < x.count(); ++r) {
      data.expect(std::vector<double>(x[r].begin(), x[r].end()), at.level, x0, epsilon);
      for (std::size_t i = 0; i < x0.size(); ++i)
        out[r][i] = static_cast<T>(w.x0 * x0[i] + w.epsilon * epsilon[i]);
    }
  }

  template <class T, class Time>
  void vector_jacobian(diffusion::rows<const T> x, const diffusion::time_point<Time>& at,
                       diffusion::rows<const T> v, diffusion::rows<T> out, diffusion::rows<T> product) const {
    (*this)(x, at, out);
    const diffusion::target_weights w = diffusion::training_target(kind, at.level);
    const auto [alpha, sigma] = at.level;
    for (std::size_t r = 0; r < x.count(); ++r) {
      const std::vector<double> direction(v[r].begin(), v[r].end());
      const auto of_epsilon =
          data.epsilon_jacobian(std::vector<double>(x[r].begin(), x[r].end()), at.level, direction);
      // α x̂0 = x - σ ε̂.
      for (std::size_t i = 0; i < direction.size(); ++i)
        product[r][i] =
            static_cast<T>(w.x0 * (direction[i] - sigma * of_epsilon[i]) / alpha + w.epsilon * of_epsilon[i]);
    }
  }
};

}  // namespace support
