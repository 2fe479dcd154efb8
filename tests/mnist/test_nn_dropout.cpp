// Dropout: which elements it takes, its gradient, and that nothing but the address decides.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "nn/unet.hpp"
#include "support/catch.hpp"

namespace {

const mnist::unet_config config{
    .image = 8, .base = 6, .mults = {1, 2}, .groups = 2, .attn = {1}, .classes = 3};
const mnist::dropout half{.rate = 0.5, .seed = 9, .image = 1000, .stream = 3};

/// A network whose layers all matter, and a batch of two chunks and a part of one.
template <class T>
struct experiment {
  int n = 2 * mnist::unet<T>::chunk + 3;
  mnist::unet<T> net{config, 7};
  std::vector<T> x, target, t, grads;
  std::vector<int> labels;

  experiment() : grads(net.values().size()) {
    std::mt19937 engine(3);
    const auto uniform = [&] { return static_cast<T>(static_cast<std::int32_t>(engine()) * 0x1p-31); };
    for (int i = 0; i < n * config.image * config.image; ++i) {
      x.push_back(uniform());
      target.push_back(uniform());
    }
    for (int i = 0; i < n; ++i) {
      t.push_back(500 + 500 * uniform());
      labels.push_back(i % (config.classes + 1));
    }
    for (T& value : net.values()) value += T(0.1) * uniform();  // a fresh network returns zero
  }
  double loss(const mnist::dropout& drop, const double* weights = nullptr) {
    return net.mse_gradient(n, x.data(), t.data(), labels.data(), target.data(), grads, weights, drop);
  }
};

}  // namespace

TEST_CASE("Dropout drops the asked share and keeps the mean", "[mnist][dropout]") {
  mnist::buffer_pool<double> pool;
  const mnist::tensor<double> x(pool, 40, 5, 5, 10);
  for (const double rate : {0.1, 0.5, 0.9}) {
    const auto factors = mnist::dropout{.rate = rate, .seed = 5}.factors(x);
    const double count = static_cast<double>(factors.size());
    double dropped = 0;
    for (const double f : factors.array()) {
      REQUIRE((f == 0 || f == 1 / (1 - rate)));
      dropped += f == 0;
    }
    CAPTURE(rate);
    // Five standard deviations of the binomial distribution.
    CHECK(std::abs(dropped / count - rate) < 5 * std::sqrt(rate * (1 - rate) / count));
  }
}

TEST_CASE("The elements dropped depend on seed, image and layer alone", "[mnist][dropout]") {
  mnist::buffer_pool<float> pool;
  const mnist::tensor<float> four(pool, 4, 3, 3, 3), one(pool, 1, 3, 3, 3);  // 27 elements: no whole blocks
  const auto all = half.factors(four);
  for (int i = 0; i < 4; ++i) CHECK(half.from_image(i).factors(one).image(0) == all.image(i));
  const auto first = half.factors(one);
  CHECK(half.from_image(1).factors(one).image(0) != first.image(0));
  CHECK(half.in_layer(1).factors(one).image(0) != first.image(0));
  auto other = half;
  other.seed = 10;
  CHECK(other.factors(one).image(0) != first.image(0));
}

TEST_CASE("Gradients with dropout agree with differences of the loss", "[mnist][dropout]") {
  experiment<double> e;
  std::vector<double> weights;  // of the images, which are checked here as well
  for (int i = 0; i < e.n; ++i) weights.push_back(i % 4);
  e.loss(half, weights.data());
  std::mt19937 engine(5);
  std::vector<double> direction(e.grads.size());
  for (double& d : direction) d = static_cast<std::int32_t>(engine()) * 0x1p-31;
  double slope = 0;
  for (std::size_t i = 0; i < direction.size(); ++i) slope += direction[i] * e.grads[i];
  const std::vector<double> start(e.net.values().begin(), e.net.values().end());
  const auto loss_at = [&](double step) {
    for (std::size_t i = 0; i < start.size(); ++i) e.net.values()[i] = start[i] + step * direction[i];
    return e.loss(half, weights.data());
  };
  // Extrapolated from two steps: the error of order h^4 and the rounding of 1e-16 / h are both below 1e-8.
  const auto difference = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
  const double expected = (4 * difference(1e-4) - difference(2e-4)) / 3;
  CHECK(std::abs(slope - expected) <= 1e-7 * std::max(1.0, std::abs(expected)));
}

TEST_CASE("Gradients with dropout are equal to the bit for any number of threads", "[mnist][dropout]") {
  experiment<float> one, three;
  one.net.set_threads(1);
  three.net.set_threads(3);
  const double loss = one.loss(half);
  CHECK(three.loss(half) == loss);
  CHECK(three.grads == one.grads);
  CHECK(three.loss({}) != loss);
  CHECK(three.loss(half.from_image(1)) != loss);
}

TEST_CASE("Dropping nothing is no dropout, and a later pass forgets an earlier mask", "[mnist][dropout]") {
  experiment<float> never, once;
  once.loss(half);
  const double loss = never.loss({});
  CHECK(once.loss({.rate = 0, .seed = 9}) == loss);
  CHECK(once.grads == never.grads);
}

TEST_CASE("Weights of images scale their shares of loss and gradient", "[mnist][dropout]") {
  experiment<double> e;
  const double plain = e.loss({});
  const auto gradient = e.grads;
  std::vector<double> weights(static_cast<std::size_t>(e.n), 1);
  // The same sums in another order: a few roundings of terms that are not larger than the sum.
  CHECK(std::abs(e.loss({}, weights.data()) - plain) <= 1e-14 * plain);
  CHECK(e.grads == gradient);
  weights.assign(weights.size(), 4);
  CHECK(std::abs(e.loss({}, weights.data()) - 4 * plain) <= 1e-14 * 4 * plain);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    REQUIRE(e.grads[i] == 4 * gradient[i]);  // exact: powers of 2
  weights.assign(weights.size(), 0);
  CHECK(e.loss({}, weights.data()) == 0);
  CHECK(e.grads == std::vector<double>(gradient.size()));
}
