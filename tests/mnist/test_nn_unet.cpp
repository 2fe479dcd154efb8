// Whole networks against reference vectors: outputs, gradients, three training steps.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <new>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "nn/optimizer.hpp"
#include "nn/unet.hpp"
#include "nn_reference.hpp"
#include "support/catch.hpp"

namespace {

std::int64_t allocations = 0;

/// A small network with every kind of layer, and a batch that is not a whole number of chunks.
template <class T>
struct experiment {
  int n = 2 * mnist::unet<T>::chunk + 3;
  mnist::unet<T> net;
  std::vector<T> x, target, t, grads;
  std::vector<int> labels;

  explicit experiment(mnist::unet_config config) : net(config, 7), grads(net.values().size()) {
    std::mt19937 engine(3);
    const auto uniform = [&] { return static_cast<T>(static_cast<std::int32_t>(engine())) * T(0x1p-31); };
    const std::size_t pixels = static_cast<std::size_t>(n * config.image * config.image);
    std::generate_n(std::back_inserter(x), pixels, uniform);
    std::generate_n(std::back_inserter(target), pixels, uniform);
    for (int i = 0; i < n; ++i) {
      t.push_back(500 + 500 * uniform());
      if (config.classes > 0) labels.push_back(i % (config.classes + 1));
    }
    // A fresh network returns zero, and its inner gradients are zero too: move all parameters a little.
    for (T& value : net.values()) value += T(0.1) * uniform();
  }
  const int* classes() const { return labels.empty() ? nullptr : labels.data(); }
  double loss() { return net.mse_gradient(n, x.data(), t.data(), classes(), target.data(), grads); }
  std::vector<T> outputs() {
    std::vector<T> y(x.size());
    net.forward(n, x.data(), t.data(), classes(), y.data());
    return y;
  }
};

const mnist::unet_config small{
    .image = 8, .base = 8, .mults = {1, 2}, .groups = 4, .attn = {1}, .classes = 3};

}  // namespace

// Counts what the standard containers allocate; the buffers of tensors have a test of their own. Inlined, g++
// 12 would take malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEMPLATE_TEST_CASE("The outputs and gradients of a U-Net agree with the reference", "", float, double) {
  for (const std::string& name : golden::networks) {
    golden::reference<TestType> r(name);
    const auto x = r.floats("x"), grad_y = r.floats("grad_y");
    const double tolerance = golden::network_tolerance<TestType>;
    INFO(name);

    std::vector<TestType> y(x.size()), grad_x(x.size()), grads(r.net.values().size());
    r.net.forward(r.n, x.data(), r.t.data(), r.classes(), y.data());
    CHECK(golden::error(y, r.doubles("y")) <= tolerance);

    const auto loss = [&](int first, int, std::span<const TestType> out, std::span<TestType> dy) {
      const std::size_t at = out.size() / static_cast<std::size_t>(r.n) * static_cast<std::size_t>(first);
      std::copy_n(grad_y.begin() + static_cast<std::ptrdiff_t>(at), dy.size(), dy.begin());
      return 0.0;
    };
    r.net.gradient(r.n, x.data(), r.t.data(), r.classes(), loss, grads, grad_x.data());
    CHECK(golden::error(grad_x, r.doubles("grad_x")) <= tolerance);
    for (const auto& p : r.net.layout().entries()) {
      INFO(p.name);
      CHECK(golden::error(std::span(grads).subspan(p.offset, p.size), r.doubles("grad/" + p.name)) <=
            tolerance);
    }
  }
}

TEMPLATE_TEST_CASE("Three training steps agree with the reference", "", float, double) {
  constexpr bool is_double = std::is_same_v<TestType, double>;
  for (const std::string& name : golden::networks) {
    INFO(name);
    golden::reference<TestType> r(name);
    const auto x = r.floats("train/xt"), noise = r.floats("train/noise");
    const auto losses = r.doubles("train/loss"), norms = r.doubles("train/grad_norm");
    std::vector<TestType> grads(r.net.values().size());
    mnist::adam<TestType> optimizer(grads.size(), {});
    for (std::size_t step = 0; step < 4; ++step) {
      const double loss = r.net.mse_gradient(r.n, x.data(), r.t.data(), r.classes(), noise.data(), grads);
      CHECK(std::abs(loss - losses[step]) <= (is_double ? 1e-11 : 1e-6) * losses[step]);
      if (step == 3) break;
      const double norm = mnist::clip_grad_norm<TestType>(grads, 1.0);
      CHECK(std::abs(norm - norms[step]) <= golden::network_tolerance<TestType> * norms[step]);
      optimizer.step(r.net.values(), grads);
    }
    for (const auto& p : r.net.layout().entries()) {
      INFO(p.name);
      const auto found = r.net.values().subspan(p.offset, p.size);
      const auto expected = r.doubles("train/w3/" + p.name);
      double difference = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        difference = std::max(difference, std::abs(static_cast<double>(found[i]) - expected[i]));
      }
      // Adam turns a gradient that is all rounding noise into a step of up to lr once the noise exceeds its
      // eps of 1e-8: in float weights agree to lr, in double the noise of 1e-15 stays far below.
      CHECK(difference <= (is_double ? 1e-9 : 1e-3));
    }
  }
}

TEST_CASE("Gradients agree with differences of the loss for every choice of layers") {
  const mnist::unet_config configs[] = {
      {.image = 8,
       .base = 4,
       .mults = {1, 2, 3},
       .nres = 2,
       .groups = 2,
       .attn = {0, 2},
       .heads = 2,
       .classes = 2},
      {.image = 8, .base = 4, .mults = {2, 1}, .nres = 2, .groups = 4, .mid_attn = false, .up = "nearest"},
      {.image = 12, .base = 4, .mults = {1, 2, 2}, .emb = 5, .groups = 3, .attn = {1}, .skips = "ddpm"},
      {.image = 5, .base = 6, .mults = {3}, .nres = 2, .groups = 8, .up = "nearest", .skips = "ddpm"},
  };
  for (const auto& config : configs) {
    experiment<double> e(config);
    e.loss();
    std::mt19937 engine(5);
    std::vector<double> direction(e.grads.size());
    for (double& d : direction) d = static_cast<std::int32_t>(engine()) * 0x1p-31;
    double slope = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) slope += direction[i] * e.grads[i];
    const std::vector<double> start(e.net.values().begin(), e.net.values().end());
    const auto loss_at = [&](double step) {
      for (std::size_t i = 0; i < start.size(); ++i) e.net.values()[i] = start[i] + step * direction[i];
      return e.loss();
    };
    // Extrapolated from two steps: the error of order h^4 and the rounding of 1e-16 / h are both below 1e-8.
    const auto difference = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
    const double expected = (4 * difference(1e-4) - difference(2e-4)) / 3;
    INFO(nlohmann::json(config).dump());
    CHECK(std::abs(slope - expected) <= 1e-7 * std::max(1.0, std::abs(expected)));
  }
}

TEMPLATE_TEST_CASE("Results are equal to the bit for any number of threads", "", float, double) {
  experiment<TestType> one(small);
  one.net.set_threads(1);
  const double loss = one.loss();
  const auto y = one.outputs();
  for (const int threads : {2, 3}) {
    experiment<TestType> several(small);
    several.net.set_threads(threads);
    CHECK(several.loss() == loss);
    CHECK(several.grads == one.grads);
    CHECK(several.outputs() == y);
  }
}

TEST_CASE("Images of a batch do not influence each other") {
  experiment<double> e(small);
  const auto y = e.outputs();
  const std::size_t pixels = y.size() / static_cast<std::size_t>(e.n);
  for (const int i : {0, 5, e.n - 1}) {
    std::vector<double> alone(pixels);
    const std::size_t at = pixels * static_cast<std::size_t>(i);
    e.net.forward(1, e.x.data() + at, &e.t[static_cast<std::size_t>(i)],
                  &e.labels[static_cast<std::size_t>(i)], alone.data());
    CHECK(golden::error(alone, std::span(y).subspan(at, pixels)) <= golden::network_tolerance<double>);
  }
}

TEST_CASE("Missing labels mean the null class") {
  experiment<float> e(small);
  std::vector<float> without(e.x.size());
  e.net.forward(e.n, e.x.data(), e.t.data(), nullptr, without.data());
  std::fill(e.labels.begin(), e.labels.end(), small.classes);
  CHECK(without == e.outputs());
}

TEST_CASE("A batch of no images has an empty result and no gradient") {
  experiment<float> e(small);
  std::fill(e.grads.begin(), e.grads.end(), 1.0F);
  e.net.forward(0, nullptr, nullptr, nullptr, nullptr);
  const auto loss = [](int, int, std::span<const float>, std::span<float>) { return 1.0; };
  CHECK(e.net.gradient(0, nullptr, nullptr, nullptr, loss, e.grads) == 0);
  CHECK(e.grads == std::vector<float>(e.grads.size()));
}

TEST_CASE("Training allocates nothing after the first step") {
  experiment<float> e(small);
  e.net.set_threads(1);
  mnist::adam<float> optimizer(e.grads.size(), {});
  const auto step = [&] {
    e.loss();
    mnist::clip_grad_norm<float>(e.grads, 1);
    optimizer.step(e.net.values(), e.grads);
  };
  step();
  const std::int64_t before = allocations;
  step();
  step();
  CHECK(allocations == before);
}

TEST_CASE("An exception in the loss reaches the caller, and the network works on") {
  experiment<float> e(small);
  const double loss = e.loss();
  const auto grads = e.grads;
  const auto fail = [](int, int, std::span<const float>, std::span<float>) -> double {
    throw std::runtime_error("no");
  };
  CHECK_THROWS_AS(e.net.gradient(e.n, e.x.data(), e.t.data(), e.classes(), fail, e.grads),
                  std::runtime_error);
  CHECK(e.loss() == loss);
  CHECK(e.grads == grads);
}

TEST_CASE("A fresh network depends on the seed alone and predicts zero") {
  const mnist::unet_config config{.image = 8, .base = 8, .mults = {1, 2}, .classes = 3};
  mnist::unet<float> a(config, 1), b(config, 1), c(config, 2);
  CHECK(std::equal(a.values().begin(), a.values().end(), b.values().begin()));
  CHECK_FALSE(std::equal(a.values().begin(), a.values().end(), c.values().begin()));

  const std::vector<float> x(64, 0.5F), t{3};
  std::vector<float> y(64, 1);
  a.forward(1, x.data(), t.data(), nullptr, y.data());
  CHECK(y == std::vector<float>(64));

  for (const auto& p : a.layout().entries()) {
    INFO(p.name);
    double largest = 0, sum = 0;
    for (const float value : a.values().subspan(p.offset, p.size)) {
      largest = std::max(largest, std::abs(double{value}));
      sum += value;
    }
    if (p.name == "down.1.res.0.conv1.weight") {
      // Uniform within 1/sqrt(8 * 9): the largest of 1152 values is within 1 % of the bound but for e^-11,
      // the mean within five deviations of zero.
      const double bound = 1 / std::sqrt(72.0), deviation = bound / std::sqrt(3.0 * 1152);
      CHECK(largest <= bound);
      CHECK(largest >= 0.99 * bound);
      CHECK(std::abs(sum / 1152) <= 5 * deviation);
    }
    if (p.name.find("norm") != std::string::npos)
      CHECK(sum == (p.name.back() == 't' ? static_cast<double>(p.size) : 0.0));
    if (p.name.find("conv2") != std::string::npos || p.name.find("proj") != std::string::npos)
      CHECK(largest == 0);
  }
}

TEST_CASE("The network that the example trains has 214,769 parameters") {
  CHECK(mnist::unet<float>({.classes = 10}, 1).values().size() == 214769);
}

TEST_CASE("A network refuses bad input with its place, value and range") {
  experiment<float> e(small);
  const auto message = [&](auto&& change) {
    experiment<float> bad(small);
    change(bad);
    try {
      bad.loss();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](auto& b) { b.labels[4] = 4; }) == "unet: class[4] = 4, must be 0..3");
  CHECK(message([](auto& b) { b.labels[18] = -1; }) == "unet: class[18] = -1, must be 0..3");
  CHECK(message([](auto& b) { b.t[2] = std::numeric_limits<float>::quiet_NaN(); }) ==
        "unet: t[2] = nan, must be finite");
  CHECK(message([](auto& b) { b.n = -1; }) == "unet: n = -1, must be >= 0");
  CHECK(message([](auto& b) { b.grads.pop_back(); }).find("must be " + std::to_string(e.grads.size())) !=
        std::string::npos);
  CHECK_THROWS_AS(e.net.set_threads(0), std::invalid_argument);
  CHECK_THROWS_AS(mnist::unet<float>({.base = 5}, 1), std::invalid_argument);

  experiment<float> unconditional({.image = 8, .base = 8, .mults = {1, 2}});
  unconditional.labels.assign(static_cast<std::size_t>(unconditional.n), 0);
  CHECK_THROWS_AS(unconditional.loss(), std::invalid_argument);
}
