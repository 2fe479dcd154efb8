// Data in the plane whose exact score is known at every level of noise: two interleaved spirals.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "diffusion/random/philox.hpp"
#include "diffusion/rows.hpp"
#include "diffusion/training_times.hpp"

namespace score_field {

using point = std::array<double, 2>;

/// A mixture of equal normal distributions of one deviation.
struct mixture {
  std::vector<point> centres;
  double deviation = 0;

  /// log q(x) and its gradient, the score, for x = x_0 + σ ε.
  struct value {
    double log_density;
    point score;
  };
  [[nodiscard]] value at(point x, double sigma) const {
    const double variance = deviation * deviation + sigma * sigma;
    const auto exponent = [&](const point& c) {
      const double dx = c[0] - x[0], dy = c[1] - x[1];
      return -(dx * dx + dy * dy) / (2 * variance);
    };
    // Far away all shares vanish, but not their ratios.
    double largest = -std::numeric_limits<double>::infinity();
    for (const point& c : centres) largest = std::max(largest, exponent(c));
    double total = 0;
    point pull{};
    for (const point& c : centres) {
      const double share = std::exp(exponent(c) - largest);
      total += share;
      for (std::size_t i = 0; i < 2; ++i) pull[i] += share * (c[i] - x[i]);
    }
    const double normalisation = 2 * std::numbers::pi * variance * static_cast<double>(centres.size());
    return {largest + std::log(total / normalisation),
            {pull[0] / total / variance, pull[1] / total / variance}};
  }

  /// Root mean square of a coordinate.
  [[nodiscard]] double scale() const {
    double sum = 0;
    for (const point& c : centres) sum += (c[0] * c[0] + c[1] * c[1]) / 2;
    return std::sqrt(sum / static_cast<double>(centres.size()) + deviation * deviation);
  }

  /// The index of the centre nearest to a point.
  [[nodiscard]] std::size_t nearest(point x) const {
    const auto distance = [&](const point& c) { return std::hypot(c[0] - x[0], c[1] - x[1]); };
    return static_cast<std::size_t>(
        std::min_element(centres.begin(), centres.end(),
                         [&](const point& a, const point& b) { return distance(a) < distance(b); }) -
        centres.begin());
  }

  /// Draws the samples first_sample, first_sample + 1, …, a point per row, each from its own address.
  void draw(std::uint64_t seed, std::uint64_t first_sample, diffusion::rows<float> x0) const {
    constexpr std::uint32_t centre_stream = 1, jitter_stream = 2;  // 0 is the noise of training
    const diffusion::philox_normal jitter{seed};
    diffusion::draw_noise(jitter, jitter_stream, first_sample, x0);
    for (std::size_t i = 0; i < x0.count(); ++i) {
      const auto word = diffusion::addressed_words(seed, first_sample + i, centre_stream)[0][0];
      const double u = diffusion::unit_uniform(word);
      const point& c = centres[static_cast<std::size_t>(u * static_cast<double>(centres.size()))];
      for (std::size_t j = 0; j < 2; ++j)
        x0[i][j] = static_cast<float>(c[j] + deviation * static_cast<double>(x0[i][j]));
    }
  }
};

/// Two spirals of one turn and a quarter, from near the middle to radius 1, as 2 x `per_arm` normals so close
/// that no bead shows. The first half of the centres is one arm, the second the other.
[[nodiscard]] inline mixture two_spirals(std::size_t per_arm = 120) {
  mixture result{.centres = {}, .deviation = 0.04};
  constexpr double first = std::numbers::pi / 2, last = 3 * std::numbers::pi;
  for (const double arm : {0.0, std::numbers::pi})
    for (std::size_t i = 0; i < per_arm; ++i) {
      const double along = (static_cast<double>(i) + 0.5) / static_cast<double>(per_arm);
      // The length of a spiral grows about as the square of its angle: even distances.
      const double angle = std::sqrt(std::lerp(first * first, last * last, along));
      const double radius = angle / last;
      result.centres.push_back({radius * std::cos(angle + arm), radius * std::sin(angle + arm)});
    }
  return result;
}

}  // namespace score_field
