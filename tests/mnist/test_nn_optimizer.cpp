// Loss, optimiser, clipping and averaging against reference vectors.
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/optimizer.hpp"
#include "nn_golden.hpp"
#include "support/catch.hpp"

namespace {

template <class T>
const double tolerance = golden::layer_tolerance<T>;

/// Tensors of a file one behind the other, as a flat vector of parameters.
template <class T>
std::vector<T> joined(const mnist::safetensors_file& file, const std::vector<std::string>& names) {
  std::vector<T> result;
  for (const std::string& name : names) {
    const auto values = file.tensors.at(name).template as<T>();
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("The mean squared error agrees with the reference", "", float, double) {
  const auto file = golden::read("mse_loss");
  const auto prediction = joined<TestType>(file, {"pred"}), target = joined<TestType>(file, {"target"});
  std::vector<TestType> gradient(prediction.size());
  const double count = static_cast<double>(prediction.size());
  const double loss = mnist::mse_gradient<TestType>(prediction, target, count, gradient);
  const double expected = joined<double>(file, {"loss"})[0];
  CHECK(std::abs(loss - expected) <= tolerance<TestType> * expected);
  CHECK(golden::error(gradient, joined<double>(file, {"grad_pred"})) <= tolerance<TestType>);
  CHECK_THROWS_AS(mnist::mse_gradient<TestType>(prediction, {target.data(), 1}, count, gradient),
                  std::invalid_argument);
}

TEMPLATE_TEST_CASE("Adam and AdamW agree with the reference", "", float, double) {
  const auto file = golden::read("adam");
  const auto number = [&](const char* key) { return std::stod(file.metadata.at(key)); };
  for (const std::string kind : {"adam", "adamw"}) {
    mnist::adam_options options{number("lr"), number("beta1"), number("beta2"), number("eps"), 0};
    if (kind == "adamw") options.weight_decay = number("adamw_weight_decay");
    const auto at = [&](const char* letter, int step) {
      const std::string end = "_step" + std::to_string(step);
      return std::vector<std::string>{kind + "/" + letter + "0" + end, kind + "/" + letter + "1" + end};
    };
    std::vector<TestType> values = joined<TestType>(file, at("p", 0));
    mnist::adam<TestType> optimizer(values.size(), options);
    for (int step = 1; step <= 3; ++step) {
      optimizer.step(values, joined<TestType>(file, at("g", step)));
      CHECK(golden::error(values, joined<double>(file, at("p", step))) <= tolerance<TestType>);
      CHECK(golden::error(optimizer.m, joined<double>(file, at("m", step))) <= tolerance<TestType>);
      CHECK(golden::error(optimizer.v, joined<double>(file, at("v", step))) <= tolerance<TestType>);
    }
    CHECK(optimizer.steps == 3);
  }
}

TEST_CASE("Adam goes on from a copy of its state as if never interrupted") {
  std::vector<float> values{1, -2, 3}, other = values;
  const std::vector<float> gradient{0.5F, -0.25F, 0.125F};
  mnist::adam<float> one(3, {}), resumed(3, {});
  one.step(values, gradient);
  resumed.m = one.m;
  resumed.v = one.v;
  resumed.steps = one.steps;
  other = values;
  one.step(values, gradient);
  resumed.step(other, gradient);
  CHECK(other == values);
}

TEST_CASE("Adam refuses options out of range and vectors of another size") {
  const auto make = [](mnist::adam_options options) { return mnist::adam<float>(2, options); };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(make({.lr = -1}), std::invalid_argument);
  CHECK_THROWS_AS(make({.lr = nan}), std::invalid_argument);
  CHECK_THROWS_AS(make({.beta1 = 1}), std::invalid_argument);
  CHECK_THROWS_AS(make({.beta2 = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(make({.eps = 0}), std::invalid_argument);
  CHECK_THROWS_AS(make({.weight_decay = nan}), std::invalid_argument);
  auto optimizer = make({});
  std::vector<float> two(2), three(3);
  CHECK_THROWS_AS(optimizer.step(three, two), std::invalid_argument);
  CHECK_THROWS_AS(optimizer.step(two, three), std::invalid_argument);
}

TEMPLATE_TEST_CASE("Clipping the gradient's norm agrees with the reference", "", float, double) {
  const auto file = golden::read("adam");
  auto gradient = joined<TestType>(file, {"clip/g0", "clip/g1"});
  const double expected = joined<double>(file, {"clip/total_norm"})[0];
  CHECK(std::abs(mnist::clip_grad_norm<TestType>(gradient, 1.0) - expected) <=
        tolerance<TestType> * expected);
  CHECK(golden::error(gradient, joined<double>(file, {"clip/g0_clipped", "clip/g1_clipped"})) <=
        tolerance<TestType>);

  const auto short_enough = gradient;
  CHECK(mnist::clip_grad_norm<TestType>(gradient, 10.0) == Approx(1).epsilon(1e-5));
  CHECK(gradient == short_enough);
  CHECK_THROWS_AS(mnist::clip_grad_norm<TestType>(gradient, 0.0), std::invalid_argument);
}

TEMPLATE_TEST_CASE("The moving average agrees with the reference, warmed up or not", "", float, double) {
  const auto file = golden::read("ema");
  const double decay = std::stod(file.metadata.at("decay"));
  const auto start = joined<TestType>(file, {"shadow_step0"});
  mnist::ema<TestType> plain(start, decay, false), warm(start, decay);
  for (const std::string step : {"1", "2", "3"}) {
    const auto values = joined<TestType>(file, {"p_step" + step});
    plain.update(values);
    warm.update(values);
    CHECK(golden::error(plain.shadow, joined<double>(file, {"shadow_step" + step})) <= tolerance<TestType>);
    CHECK(golden::error(warm.shadow, joined<double>(file, {"warm_shadow_step" + step})) <=
          tolerance<TestType>);
  }
  CHECK_THROWS_AS(mnist::ema<TestType>(start, 1.0), std::invalid_argument);
  CHECK_THROWS_AS(plain.update(std::vector<TestType>(start.size() + 1)), std::invalid_argument);
}
