// Whole networks against reference vectors: outputs, gradients, three training steps.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "nn/optimizer.hpp"
#include "nn/unet.hpp"
#include "nn_reference.hpp"
#include "support/catch.hpp"

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
      // Adam turns a gradient that is all rounding noise into a step of up to lr, so weights agree to lr in
      // float.
      CHECK(difference <= 1e-3);
    }
  }
}
