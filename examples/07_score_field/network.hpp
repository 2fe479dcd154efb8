// A small perceptron for the score of data in the plane, conditioned on the level of noise.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/predictor.hpp"
#include "diffusion/timestep_embedding.hpp"
#include "nn/activation.hpp"
#include "nn/linear.hpp"
#include "nn/optimizer.hpp"
#include "nn/parameters.hpp"

namespace score_field {

/// ε̂(x, σ): three hidden layers of 128 SiLU units over x, scaled to unit variance, waves of x, and an
/// embedding of log σ. The waves let a small network see details (Tancik et al. 2020).
class network {
 public:
  static constexpr int width = 128, hidden = 3, embedding = 16, waves = 5;

  static constexpr int features = 2 + embedding + 4 * waves;

  /// What the backward pass needs of a forward pass.
  struct pass {
    std::vector<mnist::tensor<float>> inputs;  ///< of every layer
    std::vector<mnist::tensor<float>> sums;    ///< of every hidden layer, before its activation
    mnist::tensor<float> output;
  };

  /// Random weights; `scale` is the root mean square of a coordinate of the data.
  network(double scale, std::uint64_t seed) : scale_(scale) {
    mnist::parameter_layout layout;
    for (int i = 0; i <= hidden; ++i)
      layers_.emplace_back(layout, "layer" + std::to_string(i), i == 0 ? features : width,
                           i == hidden ? 2 : width, false, i == hidden);
    values.resize(layout.size());
    mnist::initialize<float>(layout, seed, values);
  }

  /// All weights and biases.
  mnist::aligned_vector<float> values;

  /// ε̂ for each row of x at its own level.
  [[nodiscard]] pass forward(diffusion::rows<const float> x, std::span<const diffusion::noise_level> levels) {
    pass result;
    mnist::tensor<float> h(pool_, static_cast<int>(x.count()), 1, 1, features);
    for (std::size_t i = 0; i < x.count(); ++i)
      write_features(x[i], diffusion::noise_to_signal(levels[i]), {h.data() + i * features, features});
    for (int i = 0; i < hidden; ++i) {
      result.inputs.push_back(std::move(h));
      result.sums.push_back(
          layers_[static_cast<std::size_t>(i)].forward(values.data(), result.inputs.back()));
      h = mnist::silu(result.sums.back());
    }
    result.inputs.push_back(std::move(h));
    result.output = layers_.back().forward(values.data(), result.inputs.back());
    return result;
  }

  /// Adds the gradients of the weights to `gradient`, from that of the output.
  void backward(const pass& of, mnist::tensor<float> d_output, std::span<float> gradient) const {
    for (std::size_t i = hidden; i > 0; --i)
      d_output = mnist::silu_backward(
          of.sums[i - 1], layers_[i].backward(values.data(), of.inputs[i], d_output, gradient.data()));
    (void)layers_[0].backward(values.data(), of.inputs[0], d_output, gradient.data());
  }

 private:
  void write_features(std::span<const float> x, double sigma, std::span<float> row) const {
    // Periods from 1.6 to 50: σ spans a factor of 300, log σ 5.7.
    diffusion::timestep_embedding(std::log(sigma), row.first(embedding), {.scale = 4, .max_period = 32});
    float* next = row.data() + embedding;
    for (const float coordinate : x) {
      const auto value = static_cast<double>(coordinate);
      *next++ = static_cast<float>(value / std::hypot(scale_, sigma));
      double frequency =
          4;  // to 64: periods of 1.6 to 0.1, from the size of the data to that of their details
      for (int i = 0; i < waves; ++i, frequency *= 2) {
        // Noise scales the mean of a wave by this much: what it hides must not dazzle.
        const double seen = std::exp(-frequency * frequency * sigma * sigma / 2);
        *next++ = static_cast<float>(seen * std::sin(frequency * value));
        *next++ = static_cast<float>(seen * std::cos(frequency * value));
      }
    }
  }

  double scale_;
  mnist::buffer_pool<float> pool_;
  std::vector<mnist::linear> layers_;
};

/// The score s = -ε̂/σ as samplers ask for it.
[[nodiscard]] inline auto score_of(network& net) {
  return diffusion::predicts<diffusion::prediction::score>(
      [&net, levels = std::vector<diffusion::noise_level>()](diffusion::rows<const float> x,
                                                             const diffusion::time_point<double>& at,
                                                             diffusion::rows<float> score) mutable {
        levels.assign(x.count(), at.level);
        const auto found = net.forward(x, levels);
        const float factor = static_cast<float>(-1 / at.level.sigma);
        for (std::size_t i = 0; i < score.data().size(); ++i)
          score.data()[i] = factor * found.output.data()[i];
      });
}

}  // namespace score_field
