#include "score_matching.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "measure.hpp"
#include "support/catch.hpp"

using diffusion::rows, score_field::mixture, score_field::network;

namespace {

const score_field::training_options brief{.steps = 300, .sigmas = {.min = 0.01, .max = 3}};

mnist::aligned_vector<float> trained(score_field::training_options options) {
  const mixture data = score_field::two_spirals();
  network net(data.scale(), options.seed);
  train(net, data, options, [](int, double) {});
  return net.values;
}

}  // namespace

TEST_CASE("the network's gradient is that of its output", "[score_field]") {
  network net(0.5, 1);
  const diffusion::philox_normal noise{2};
  std::vector<float> direction(net.values.size()), weights(2 * 8), x(2 * 8);
  noise(0, 0, std::span(direction));  // of every weight
  noise(1, 0, std::span(weights));    // of every output in the loss
  noise(2, 0, std::span(x));
  for (std::size_t i = 0; i < direction.size(); ++i) net.values[i] += 0.05f * direction[i];
  noise(3, 0, std::span(direction));
  std::vector<diffusion::noise_level> levels;
  for (int i = 0; i < 8; ++i) levels.push_back({1, 0.02 * std::pow(2, i)});
  const auto loss = [&] {
    const auto found = net.forward(rows<const float>(x, 8), levels);
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i)
      sum += static_cast<double>(weights[i]) * static_cast<double>(found.output.data()[i]);
    return sum;
  };
  const auto found = net.forward(rows<const float>(x, 8), levels);
  auto d_output = mnist::like(found.output);
  std::copy(weights.begin(), weights.end(), d_output.data());
  std::vector<float> gradient(net.values.size());
  net.backward(found, std::move(d_output), gradient);
  // Along the direction, layer by layer: every part of the gradient is in one of the sums.
  const std::size_t first_layer = network::width * (network::features + 1);
  const std::size_t other_layer = network::width * (network::width + 1);
  const std::size_t ends[] = {first_layer, first_layer + other_layer, first_layer + 2 * other_layer,
                              net.values.size()};
  std::size_t first = 0;
  for (const std::size_t end : ends) {
    const auto move = [&](float by) {
      for (std::size_t i = first; i < end; ++i) net.values[i] += by * direction[i];
    };
    double expected = 0;
    for (std::size_t i = first; i < end; ++i)
      expected += static_cast<double>(gradient[i]) * static_cast<double>(direction[i]);
    const float h = 0x1p-9f;
    move(h);
    const double above = loss();
    move(-2 * h);
    const double below = loss();
    move(h);
    // Outputs of order 10 are rounded by 1e-6, over 2 h; the slopes are of order 100.
    CHECK((above - below) / (2 * static_cast<double>(h)) == Approx(expected).epsilon(2e-3));
    CHECK(std::abs(expected) > 0.1);
    first = end;
  }
}

TEST_CASE("training lowers the loss and the error of the score, from the same seed to the bit",
          "[score_field]") {
  const mixture data = score_field::two_spirals();
  network net(data.scale(), 1);
  std::vector<double> losses;
  std::vector<int> steps;
  train(net, data, brief, [&](int step, double loss) {
    steps.push_back(step);
    losses.push_back(loss);
  });
  CHECK(steps.front() == 1);
  CHECK(steps.size() == 300);
  // The untrained output is 0, so the loss is the mean of 512 squares of normals: 1 ± 4 · 0.06.
  CHECK(std::abs(losses.front() - 1) < 0.25);
  double last = 0;
  for (std::size_t i = 250; i < 300; ++i) last += losses[i] / 50;
  // The best possible is 0.59, the mean over the levels of that of the exact score.
  CHECK(last < 0.75);
  CHECK(last > 0.5);
  auto score = score_of(net);
  const auto [exact, difference] = score_field::measure_score(data, score, 0.5, 1000, 1, 1u << 30);
  CHECK(difference < 0.05 * exact);

  CHECK(trained(brief) == net.values);
  auto other = brief;
  other.seed = 2;
  CHECK(trained(other) != net.values);
}

TEST_CASE("a training of no steps is refused", "[score_field]") {
  auto none = brief;
  none.steps = 0;
  CHECK_THROWS_AS(trained(none), std::invalid_argument);
}
