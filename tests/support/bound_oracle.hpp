// The variational bound of Gaussian data with the perfect network, exactly.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include "diffusion/run_path.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "support/oracle.hpp"

namespace support {

/// Every term of the bound is quadratic in x_0 and ε where data are Gaussian and the decoder is, too. So its
/// expectation is exactly the mean over x_0 = mean ± deviation and ε = ±1: of four elements, of which a
/// sample is made here.
inline std::vector<double> corners(const gaussian& data, std::size_t count = 1) {
  std::vector<double> x0;
  for (std::size_t i = 0; i < 4 * count; ++i)
    x0.push_back(data.mean + (i % 2 == 0 ? data.deviation : -data.deviation));
  return x0;
}
struct corner_noise {
  template <class T>
  void operator()(std::uint64_t, std::uint32_t, std::span<T> z) const {
    for (std::size_t j = 0; j < z.size(); ++j) z[j] = static_cast<T>(j % 4 < 2 ? 1 : -1);
  }
};

/// KL(N(·, v) ‖ N(·, w)) of equal means.
inline double kl_of_variances(double v, double w) { return (v / w - 1 - std::log(v / w)) / 2; }

/// Variance of x_0 given x_t.
inline double remaining_variance(const gaussian& data, diffusion::noise_level at) {
  const double c2 = data.deviation * data.deviation;
  return c2 * at.sigma * at.sigma / data.variance_at(at);
}

/// -E log p(x_0) of an element, which no bound can be below.
inline double entropy(const gaussian& data) {
  return std::log(2 * std::numbers::pi * std::numbers::e * data.deviation * data.deviation) / 2;
}

/// Variances of the steps of a path: log Σ of p(x_to | x_from), the last for the decoder.
inline std::vector<double> variances_of(const diffusion::run_path& path, diffusion::fixed_variance choice) {
  std::vector<double> result;
  for (std::size_t k = 0; k < path.size(); ++k) {
    const bool small = choice == diffusion::fixed_variance::posterior;
    const std::size_t from = small && k > 0 && k + 1 == path.size() ? k - 1 : k;  // β̃_2 stands for β̃_1
    const auto& [a, b, eval] = path[from];
    result.push_back(small && path.size() > 1 ? posterior_variance(a.level, b.level)
                                              : transition_variance(a.level, b.level));
  }
  return result;
}

/// The expected terms of an element, from the definition of each: L_T, L_{t-1} of every step, L_0.
struct expected_bound {
  double prior = 0;
  std::vector<double> terms;  // of each step, the last the decoder's
  double total() const {
    double sum = prior;
    for (const double term : terms) sum += term;
    return sum;
  }
};
inline expected_bound bound_of(const gaussian& data, const diffusion::run_path& path,
                               diffusion::fixed_variance choice) {
  const diffusion::noise_level last = path.point(0).level;
  const double square = data.mean * data.mean + data.deviation * data.deviation;
  expected_bound result;
  result.prior =
      kl_of_variances(last.sigma * last.sigma, 1) + last.alpha * last.alpha * square / 2;  // p(x_T) = N(0, 1)
  const std::vector<double> variances = variances_of(path, choice);
  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto& [from, to, eval] = path[k];
    const double remaining = remaining_variance(data, from.level);
    if (k + 1 == path.size()) {
      result.terms.push_back((std::log(2 * std::numbers::pi * variances[k]) + remaining / variances[k]) / 2);
    } else {
      const double weight = posterior(from.level, to.level).x0;
      result.terms.push_back(kl_of_variances(posterior_variance(from.level, to.level), variances[k]) +
                             weight * weight * remaining / variances[k] / 2);
    }
  }
  return result;
}

/// What the bound is above the entropy, from the chain rule of the KL of the whole chain: the true
/// q(x_to | x_from) are Gaussian, with the means of p and variances of their own.
inline double gap_of(const gaussian& data, const diffusion::run_path& path,
                     diffusion::fixed_variance choice) {
  const diffusion::noise_level last = path.point(0).level;
  double gap = kl_of_variances(data.variance_at(last), 1) + data.mean_at(last) * data.mean_at(last) / 2;
  const std::vector<double> variances = variances_of(path, choice);
  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto& [from, to, eval] = path[k];
    const double weight = posterior(from.level, to.level).x0;
    const double variance =
        posterior_variance(from.level, to.level) + weight * weight * remaining_variance(data, from.level);
    gap += kl_of_variances(variance, variances[k]);
  }
  return gap;
}

}  // namespace support
