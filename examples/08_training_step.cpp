// Training from the step up: a network that is linear in x_t, with two coefficients for every step t, learns
// the noise of data that are N(-0.5, 0.5²). For these the best network is known.
#include <algorithm>
#include <cstdio>
#include <diffusion/forward.hpp>
#include <diffusion/loss_weight.hpp>
#include <diffusion/objective.hpp>
#include <diffusion/schedules/cosine.hpp>
#include <diffusion/training_times.hpp>
#include <vector>
using namespace diffusion;

int main() {
  constexpr int T = 4;
  constexpr std::size_t batch = 64, size = 64;
  const auto schedule = cosine_schedule(T);
  const prediction kind = prediction::epsilon;
  const philox_normal data{1}, noise{2};
  struct {
    double w = 0, b = 0;
  } network[T + 1];

  std::vector<double> x0(batch * size), eps = x0, x_t = x0, target = x0, output = x0, gradient = x0;
  const auto in_rows = [](std::vector<double>& values) { return rows<double>(values, batch); };
  std::vector<int> times(batch);
  std::vector<noise_level> levels(batch);
  std::vector<double> weights(batch), losses(batch);
  for (std::uint32_t step = 0; step < 4000; ++step) {
    // 1. Data, a time and a noise level for each row, and what its error counts.
    const std::uint64_t first_sample = step * batch;
    draw_noise(data, 0, first_sample, in_rows(x0));
    for (double& x : x0) x = -0.5 + 0.5 * x;
    const double u = unit_uniform(addressed_words(3, step, 0)[0][0]);
    for (std::size_t i = 0; i < batch; ++i) {
      times[i] = uniform_time(low_discrepancy(u, i, batch), T);
      levels[i] = schedule.level(times[i]);
      weights[i] = output_weight(kind, levels[i], min_snr_weights(levels[i]));
    }
    // 2. x_t and what the network should say about it.
    q_sample(levels, in_rows(x0), noise, 0, first_sample, in_rows(eps), in_rows(x_t));
    training_target(kind, levels, in_rows(x0), in_rows(eps), in_rows(target));
    // 3. What it says: any framework can do this and the last part.
    for (std::size_t k = 0; k < output.size(); ++k) {
      const auto& at = network[times[k / size]];
      output[k] = at.w * x_t[k] + at.b;
    }
    // 4. The loss, and its gradient with respect to the output.
    const double loss = squared_error(in_rows(output), in_rows(target), weights, in_rows(gradient), losses);
    if (step % 1000 == 0) std::printf("step %4u: loss %.2f\n", step, loss);
    // 5. Backpropagation and a step down the gradient.
    const double rate = std::min(0.5, 20.0 / (step + 1));
    for (std::size_t k = 0; k < output.size(); ++k) {
      auto& at = network[times[k / size]];
      at.w -= rate * gradient[k] * x_t[k];
      at.b -= rate * gradient[k];
    }
  }

  std::printf("t   learnt E[eps | x_t]    exact\n");
  for (int t = 1; t <= T; ++t) {
    const auto [a, s] = schedule.level(t);
    const double w = s / (a * a * 0.25 + s * s);
    std::printf("%d   %.2f x_t %+.2f        %.2f x_t %+.2f\n", t, network[t].w, network[t].b, w,
                w * a * 0.5);
  }
}
