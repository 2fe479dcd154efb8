// The network's vector-Jacobian products, and the likelihoods that the program computes with them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ask_unet.hpp"
#include "nn/unet.hpp"
#include "program_runs.hpp"
#include "support/check.hpp"

namespace {

using namespace program_runs;
using diffusion::rows;
using diffusion::time_point;

/// A small network with every kind of layer in float, its twin in double, and a batch of more than one chunk.
struct twins {
  static constexpr std::size_t count = mnist::unet<float>::chunk + 3, size = 64;
  mnist::unet_config config{.image = 8, .base = 8, .mults = {1, 2}, .groups = 4, .attn = {1}, .classes = 3};
  mnist::model m{mnist::unet<float>(config, 7), {}};
  mnist::unet<double> net{config, 7};
  std::vector<float> x, v, u;
  std::vector<int> labels;
  const time_point<double> at{417.3, {0.8, 0.6}};

  twins() {
    std::mt19937 engine(3);
    const auto uniform = [&] { return static_cast<float>(static_cast<std::int32_t>(engine())) * 0x1p-31f; };
    // A fresh network returns zero: move all parameters a little.
    for (float& value : m.net.values()) value += 0.1f * uniform();
    std::copy(m.net.values().begin(), m.net.values().end(), net.values().begin());
    for (auto* values : {&x, &v, &u})
      for (std::size_t i = 0; i < count * size; ++i) values->push_back(uniform());
    for (std::size_t i = 0; i < count; ++i) labels.push_back(static_cast<int>(i % 4));
  }
  /// The outputs of the twin at x + step u.
  std::vector<double> outputs(double step) {
    std::vector<double> moved(x.size()), y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) moved[i] = double{x[i]} + step * double{u[i]};
    const std::vector<double> times(count, at.t - 1);
    net.forward(int{count}, moved.data(), times.data(), labels.data(), y.data());
    return y;
  }
};

/// Columns of a line of the table, by its number in front.
std::vector<double> line_of(const std::string& out, int image) {
  std::istringstream lines(out);
  std::vector<double> values;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int number = -1;
    if (!(words >> number) || number != image) continue;
    for (std::string word; words >> word;) values.push_back(word == "-" ? -1 : std::stod(word));
    break;
  }
  return values;
}

}  // namespace

static_assert(diffusion::DifferentiablePredictor<
              decltype(mnist::ask_unet(std::declval<mnist::model&>(), nullptr)), float, double>);

TEST_CASE("A U-Net's vector-Jacobian product belongs to the differences of its outputs", "[mnist]") {
  twins t;
  auto predictor = mnist::ask_unet(t.m, t.labels.data());
  std::vector<float> out(t.x.size()), product(t.x.size()), plain(t.x.size());
  const rows<const float> x(t.x, twins::count), v(t.v, twins::count);
  predictor.vector_jacobian(x, t.at, v, rows<float>(out, twins::count), rows<float>(product, twins::count));
  predictor(x, t.at, rows<float>(plain, twins::count));
  support::check_identical(out, plain);

  // vᵀ (J u) by central differences of order 4 in double, (vᵀ J) u by the product, for every image.
  constexpr double h = 1e-3;
  const auto plus = t.outputs(h), minus = t.outputs(-h), plus2 = t.outputs(2 * h), minus2 = t.outputs(-2 * h);
  for (std::size_t i = 0; i < twins::count; ++i) {
    double forward = 0, backward = 0, size = 0;
    for (std::size_t j = 64 * i; j < 64 * (i + 1); ++j) {
      const double slope = (8 * (plus[j] - minus[j]) - (plus2[j] - minus2[j])) / (12 * h);
      forward += double{t.v[j]} * slope;
      backward += double{product[j]} * double{t.u[j]};
      size += std::abs(double{product[j]} * double{t.u[j]});
    }
    CAPTURE(i, forward, backward);
    // Rounding of some 30 layers of sums in float.
    CHECK(std::abs(forward - backward) <= 100 * support::roundoff<float> * size);
    CHECK(std::abs(forward) > 1e-3 * size);
  }
}

TEST_CASE("Asking for a vector-Jacobian product changes no parameter and no gradient", "[mnist]") {
  twins t;
  const std::vector<float> values(t.m.net.values().begin(), t.m.net.values().end());
  const std::vector<float> times(twins::count, 416);
  std::vector<float> before(values.size()), after(values.size()), out(t.x.size()), product(t.x.size());
  const auto gradient = [&](std::vector<float>& to) {
    return t.m.net.mse_gradient(int{twins::count}, t.x.data(), times.data(), t.labels.data(), t.v.data(), to);
  };
  const double loss = gradient(before);
  const rows<const float> x(t.x, twins::count), v(t.v, twins::count);
  auto predictor = mnist::ask_unet(t.m, nullptr);
  predictor.vector_jacobian(x, t.at, v, rows<float>(out, twins::count), rows<float>(product, twins::count));
  support::check_identical(t.m.net.values(), values);
  CHECK(gradient(after) == loss);
  support::check_identical(after, before);
}

TEST_CASE("A fresh network has the likelihood of the distribution that it knows, N(0, I)", "[mnist]") {
  const workshop shop;
  for (const std::string kind : {"-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz"})
    std::filesystem::copy_file(shop.folder / ("train" + kind), shop.folder / ("t10k" + kind));
  // It returns v = 0 everywhere: for data N(0, I) the mean of α ε - σ x_0 is 0.
  mnist::unet_config config{.base = 4, .mults = {1, 1}, .groups = 2, .mid_attn = false};
  const mnist::unet<float> fresh(config, 1);
  mnist::save_model(shop.weights, config, fresh.layout(), fresh.values(), {});
  const auto result = run({"likelihood", "--weights", shop.weights, "--data", shop.data, "--index", "0", "0",
                           "9", "--probes", "2", "--tolerance", "1e-5"});
  INFO(result.out << result.err);
  REQUIRE(result.status == 0);
  double total = 0;
  for (const int image : {0, 1, 2}) {
    const int digit = image < 2 ? 0 : 9;
    const auto line = line_of(result.out, image);
    REQUIRE(line.size() == 5);
    CHECK(line[0] == digit);
    // All pixels have the shade 17 · digit and a part of a shade: x = shade + w, w uniform of variance
    // δ²/12, so that Σ x² is 784 (shade² + δ²/12) ± 28 · 2 shade δ/√12.
    const double delta = 1 / 127.5, shade = 17 * digit * delta - 1;
    const double square = 784 * (shade * shade + delta * delta / 12);
    const double nats = -square / 2 - 392 * std::log(2 * std::numbers::pi);
    // Five deviations of the sum; the prior at σ/α = 164 leaves out 784/(2 · 164²) = 0.015.
    const double margin = 5 * 28 * std::abs(shade) * delta / std::sqrt(12) + 0.02 + 0.1;
    CHECK(line[1] == Approx(nats).margin(margin));
    CHECK(line[2] == Approx(-(nats / 784 + std::log(delta)) / std::numbers::ln2).margin(margin / 500));
    CHECK(line[3] == Approx(0).margin(1e-4));  // J = 0: every probe gives the same
    total += line[2];
  }
  // The same image again is spread over its shades in another way.
  CHECK(line_of(result.out, 1)[1] != line_of(result.out, 0)[1]);
  std::istringstream mean(result.out.substr(result.out.find("mean") + 4));
  double bits = 0;
  mean >> bits;
  CHECK(bits == Approx(total / 3).margin(1e-4));
}

TEST_CASE("Likelihoods do not depend on threads and on other images", "[mnist]") {
  const workshop shop;
  for (const std::string kind : {"-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz"})
    std::filesystem::copy_file(shop.folder / ("train" + kind), shop.folder / ("t10k" + kind));
  REQUIRE(shop.train().status == 0);
  const auto nats = [&](const std::vector<std::string>& more) {
    const auto result = run(joined(
        {"likelihood", "--weights", shop.weights, "--data", shop.data, "--tolerance", "0.01", "--index", "3"},
        more));
    INFO(result.out << result.err);
    REQUIRE(result.status == 0);
    return line_of(result.out, 0).at(1);
  };
  const double alone = nats({});
  CHECK(nats({"5", "--threads", "1"}) == alone);
  CHECK(nats({"--threads", "2"}) == alone);
  CHECK(nats({"--seed", "2"}) != alone);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& message) {
    const auto result =
        run(joined({"likelihood", "--weights", shop.weights, "--data", shop.data, "--index", "1"}, more));
    INFO(result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, message));
  };
  refused({"--probes", "0"}, "--probes");
  refused({"--tolerance", "0"}, "atol = 0, allowed: (0, inf)");
  refused({"--image", shop.data + "/none"}, "none: not found");
}
