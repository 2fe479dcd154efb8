// How far a learnt score is from the exact one, and drawn points from the data.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "diffusion/forward.hpp"
#include "diffusion/run_path.hpp"
#include "spirals.hpp"

namespace score_field {

/// The root of the mean, over all directions in the plane, of the squared Wasserstein-2 distance between the
/// projections of two sets of as many points (sliced Wasserstein, Bonneel et al. 2015).
[[nodiscard]] inline double sliced_wasserstein(diffusion::rows<const float> a,
                                               diffusion::rows<const float> b) {
  diffusion::detail::require_rows("b", b, a, a.row_size());
  constexpr int directions = 64;
  double sum = 0;
  for (int d = 0; d < directions; ++d) {
    const double angle = std::numbers::pi * d / directions;
    const auto sorted = [&](diffusion::rows<const float> x) {
      std::vector<double> along(x.count());
      for (std::size_t i = 0; i < x.count(); ++i)
        along[i] =
            std::cos(angle) * static_cast<double>(x[i][0]) + std::sin(angle) * static_cast<double>(x[i][1]);
      std::sort(along.begin(), along.end());
      return along;
    };
    const auto p = sorted(a), q = sorted(b);
    for (std::size_t i = 0; i < p.size(); ++i) sum += (p[i] - q[i]) * (p[i] - q[i]);
  }
  return std::sqrt(sum / directions / static_cast<double>(a.count()));
}

/// Mean of the log density of the data at points.
[[nodiscard]] inline double mean_log_density(const mixture& data, diffusion::rows<const float> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.count(); ++i) sum += data.at({x[i][0], x[i][1]}, 0).log_density;
  return sum / static_cast<double>(x.count());
}

/// Mean squares over noised data, times σ²: of the exact score and of the difference of a learnt one from it.
struct score_error {
  double exact, difference;
};
/// Asks `score` at `count` noised points; their addresses begin at first_sample.
template <class Score>
[[nodiscard]] score_error measure_score(const mixture& data, Score& score, double sigma, std::size_t count,
                                        std::uint64_t seed, std::uint64_t first_sample) {
  std::vector<float> x_values(2 * count), eps_values(2 * count), found(2 * count);
  const diffusion::rows<float> x(x_values, count), eps(eps_values, count);
  data.draw(seed, first_sample, x);
  const diffusion::philox_normal noise{seed};
  diffusion::draw_noise(noise, 0, first_sample, eps);
  const diffusion::noise_level level{1, sigma};
  diffusion::q_sample<>(level, x_values, eps_values, x.data());
  score(diffusion::rows<const float>(x), diffusion::time_point<double>{sigma, level},
        diffusion::rows<float>(found, count));
  score_error sums{};
  for (std::size_t i = 0; i < count; ++i) {
    const point exact = data.at({x[i][0], x[i][1]}, sigma).score;
    for (std::size_t j = 0; j < 2; ++j) {
      const double off = static_cast<double>(found[2 * i + j]) - exact[j];
      sums.exact += exact[j] * exact[j];
      sums.difference += off * off;
    }
  }
  const double factor = sigma * sigma / static_cast<double>(count);
  return {factor * sums.exact, factor * sums.difference};
}

}  // namespace score_field
