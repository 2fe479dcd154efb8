// Denoising score matching.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "diffusion/forward.hpp"
#include "diffusion/objective.hpp"
#include "diffusion/schedules/training_sigmas.hpp"
#include "diffusion/training_times.hpp"
#include "network.hpp"
#include "spirals.hpp"

namespace score_field {

struct training_options {
  int steps = 10000;  ///< at least 1
  std::size_t batch = 256;
  double lr = 4e-3;               ///< falls to 0 along a half cosine
  diffusion::sigma_range sigmas;  ///< log σ is uniform in them
  std::uint64_t seed = 1;
};

/// Trains the network to tell the score of the noised data; calls on_step(step, loss) after each of the steps
/// 1, 2, ….
///
/// Denoising score matching (Vincent 2011): the network that is nearest to ∇ log q(x | x_0) = -ε/σ on
/// average, for x = x_0 + σ ε, is the score ∇ log q(x). With the weights σ² (Song & Ermon 2019, eq. 6) and
/// s = -ε̂/σ the squared error is σ² |s + ε/σ|² = |ε̂ - ε|²: what a network that predicts ε is trained with.
template <class OnStep>
void train(network& net, const mixture& data, const training_options& options, OnStep on_step) {
  if (options.steps < 1) diffusion::detail::invalid("steps", options.steps, "at least 1");
  constexpr std::uint32_t noise_stream = 0, level_stream = 3;
  const std::size_t batch = options.batch;
  std::vector<float> x0_values(2 * batch), eps_values(2 * batch), x_values(2 * batch), target(2 * batch);
  const diffusion::rows<float> x0(x0_values, batch), eps(eps_values, batch), x(x_values, batch);
  std::vector<diffusion::noise_level> levels(batch);
  std::vector<double> losses(batch);
  const std::vector<double> weights(batch, 1.0);
  mnist::aligned_vector<float> gradient(net.values.size());
  mnist::adam<float> optimizer(net.values.size(), {});
  mnist::ema<float> average(net.values, 0.999);
  const diffusion::philox_normal noise{options.seed};
  const diffusion::log_uniform_sigmas sigma_of{options.sigmas};
  for (int step = 0; step < options.steps; ++step) {
    const std::uint64_t first = static_cast<std::uint64_t>(step) * batch;
    data.draw(options.seed, first, x0);
    for (std::size_t i = 0; i < batch; ++i) {
      const auto word = diffusion::addressed_words(options.seed, first + i, level_stream)[0][0];
      levels[i] = {1, sigma_of(diffusion::stratified(diffusion::unit_uniform(word), i, batch))};
    }
    diffusion::q_sample(levels, x0, noise, noise_stream, first, eps, x);
    diffusion::training_target(diffusion::prediction::epsilon, levels, x0, eps,
                               diffusion::rows<float>(target, batch));

    const auto found = net.forward(x, levels);
    mnist::tensor<float> d_output = mnist::like(found.output);
    const double loss =
        diffusion::squared_error(diffusion::rows<const float>({found.output.data(), 2 * batch}, batch),
                                 diffusion::rows<const float>(target, batch), weights,
                                 diffusion::rows<float>({d_output.data(), 2 * batch}, batch), losses);
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    net.backward(found, std::move(d_output), gradient);
    optimizer.options.lr =
        options.lr / 2 * (1 + std::cos(std::numbers::pi * step / static_cast<double>(options.steps)));
    optimizer.step(net.values, gradient);
    average.update(net.values);
    on_step(step + 1, loss);
  }
  net.values = average.shadow;
}

}  // namespace score_field
