#include "diffusion/objective.hpp"

#include <vector>

#include "diffusion/forward.hpp"
#include "diffusion/loss_weight.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::in_rows;
using support::normals;
using support::roundoff;

namespace {}  // namespace

TEMPLATE_TEST_CASE("The loss is the weighted mean square of each row, the gradient its derivative", "", float,
                   double, bfloat16) {
  using T = TestType;
  const std::size_t count = 3, size = 37;
  std::vector<T> output(count * size), target(count * size), gradient(count * size);
  const auto o = normals(count * size, 1), y = normals(count * size, 2);
  for (std::size_t i = 0; i < o.size(); ++i)
    output[i] = static_cast<T>(o[i]), target[i] = static_cast<T>(y[i]);
  const std::vector<double> weights{0.5, 3, 0};
  std::vector<double> losses(count), want_losses(count), want(count * size);
  double mean = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = i * size; j < (i + 1) * size; ++j) {
      const double d = static_cast<double>(static_cast<arithmetic<T>>(output[j])) -
                       static_cast<double>(static_cast<arithmetic<T>>(target[j]));
      want_losses[i] += weights[i] * d * d / size;
      want[j] = 2 * weights[i] * d / (count * size);
    }
    mean += want_losses[i] / count;
  }
  const double found = squared_error(in_rows(output, count), in_rows(target, count), weights,
                                     in_rows(gradient, count), losses);
  CHECK(found == Approx(mean).epsilon(64 * roundoff<>));
  support::check_close(losses, want_losses, 0, 64 * roundoff<>);
  std::vector<double> wide;
  for (const T g : gradient) wide.push_back(static_cast<double>(static_cast<arithmetic<T>>(g)));
  // The difference, the factor and the product are rounded; 16-bit elements at the end.
  support::check_close(wide, want, 0, Scalar<T> ? 4 * roundoff<arithmetic<T>> : 0x1p-8);
}

TEST_CASE("The gradient is the slope of the returned loss along every output") {
  const std::size_t count = 2, size = 9;
  auto output = normals(count * size, 1);
  auto target = normals(count * size, 2);
  std::vector<double> gradient(count * size), unused(count * size), losses(count);
  const std::vector<double> weights{1.5, 0.25};
  const auto loss = [&](std::vector<double>& into) {
    return squared_error(in_rows(output, count), in_rows(target, count), weights, in_rows(into, count),
                         losses);
  };
  (void)loss(gradient);
  for (std::size_t j = 0; j < output.size(); ++j) {
    const double at = output[j], h = 0.5;
    output[j] = at + h;
    const double above = loss(unused);
    output[j] = at - h;
    const double below = loss(unused);
    output[j] = at;
    // A central difference of a parabola is exact.
    CHECK(std::abs((above - below) / (2 * h) - gradient[j]) <= 64 * roundoff<> * (above + below));
  }
}

TEST_CASE("A perfect output has neither loss nor gradient, and the gradient may take its place") {
  auto output = normals<float>(40, 1);
  const auto copy = output;
  std::vector<double> losses(4);
  const std::vector<double> weights(4, 7.0);
  CHECK(squared_error(in_rows(output, 4), rows<const float>(std::span(copy), 4), weights, in_rows(output, 4),
                      losses) == 0);
  support::check_identical(output, std::vector<float>(40, 0));
  auto target = normals<float>(40, 2);
  std::vector<float> apart(40);
  const double loss = squared_error(rows<const float>(std::span(copy), 4), in_rows(target, 4), weights,
                                    in_rows(apart, 4), losses);
  const auto apart_losses = losses;
  CHECK(squared_error(rows<const float>(std::span(copy), 4), in_rows(target, 4), weights, in_rows(target, 4),
                      losses) == loss);
  support::check_identical(target, apart);
  support::check_identical(losses, apart_losses);
}

TEST_CASE("Networks of any kind learn alike from equally weighted errors") {
  // A common parameter: ε̂ of every element. Its gradient through an output of any kind is that of the output
  // times the output's slope along ε̂.
  const std::size_t count = 8, size = 11;
  auto x0 = normals(count * size, 1), eps = normals(count * size, 2), eps_hat = normals(count * size, 3);
  std::vector<double> x_t(x0.size()), target(x0.size()), output(x0.size()), gradient(x0.size()),
      losses(count), weights(count), want(x0.size());
  std::vector<noise_level> levels;
  for (std::size_t i = 0; i < count; ++i) {
    const double ratio = std::pow(10, -2 + 4 * static_cast<double>(i) / 7);  // VE, VP, rectified flow
    levels.push_back(i % 3 == 0   ? noise_level{1, ratio}
                     : i % 3 == 1 ? noise_level{1 / std::hypot(1, ratio), ratio / std::hypot(1, ratio)}
                                  : noise_level{1 / (1 + ratio), ratio / (1 + ratio)});
  }
  q_sample(levels, in_rows(x0, count), in_rows(eps, count), in_rows(x_t, count));
  for (const auto& weighting :
       {+[](noise_level l) { return simple_weights(prediction::v, l); },
        +[](noise_level l) { return min_snr_weights(l); }, +[](noise_level l) { return edm_weights(l); },
        +[](noise_level l) { return sigmoid_weights(l, -1); }})
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(std::string(name));
      for (std::size_t i = 0; i < count; ++i) {
        weights[i] = output_weight(kind, levels[i], weighting(levels[i]));
        for (std::size_t j = i * size; j < (i + 1) * size; ++j)
          output[j] = convert(prediction::epsilon, kind, levels[i], x_t[j], eps_hat[j]);
      }
      training_target(kind, levels, in_rows(x0, count), in_rows(eps, count), in_rows(target, count));
      const double loss = squared_error(in_rows(output, count), in_rows(target, count), weights,
                                        in_rows(gradient, count), losses);
      double want_loss = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const double slope = convert(prediction::epsilon, kind, levels[i], 0, 1);
        const double of_epsilon = weighting(levels[i]).epsilon;
        for (std::size_t j = i * size; j < (i + 1) * size; ++j) {
          gradient[j] *= slope;
          const double d = eps_hat[j] - eps[j];
          want[j] = 2 * of_epsilon * d / (count * size);
          want_loss += of_epsilon * d * d / (count * size);
        }
      }
      // Outputs and targets are up to 7 (1 + α/σ) times their slope, 707 here; five operations round them.
      for (std::size_t i = 0; i < count; ++i) {
        const double scale = 2 * weighting(levels[i]).epsilon / (count * size);
        const auto row = [&](const std::vector<double>& of) {
          return std::vector(of.begin() + static_cast<long>(i * size),
                             of.begin() + static_cast<long>((i + 1) * size));
        };
        support::check_close(row(gradient), row(want), 4000 * roundoff<> * scale, 64 * roundoff<>);
      }
      CHECK(loss == Approx(want_loss).epsilon(1e-12));
    }
}

TEST_CASE("The loss does not depend on how an executor cuts it") {
  const auto backwards = [](std::size_t n, const auto& f) {
    for (std::size_t i = n; i-- > 0;) f(i, i + 1);
  };
  for (const std::size_t size : {std::size_t{300}, std::size_t{40'001}}) {
    const std::size_t count = 5;
    auto output = normals<float>(count * size, 1), target = normals<float>(count * size, 2);
    std::vector<float> gradient(count * size), cut(count * size);
    std::vector<double> losses(count), cut_losses(count);
    const std::vector<double> weights{1, 2, 0.5, 0, 3};
    const double loss = squared_error(in_rows(output, count), in_rows(target, count), weights,
                                      in_rows(gradient, count), losses);
    const std::size_t before = support::allocations;
    CHECK(squared_error(in_rows(output, count), in_rows(target, count), weights, in_rows(cut, count),
                        cut_losses, backwards) == loss);
    CHECK(squared_error<scalar_arch>(in_rows(output, count), in_rows(target, count), weights,
                                     in_rows(cut, count), cut_losses) == loss);
    CHECK(support::allocations == before);
    support::check_identical(cut, gradient);
    support::check_identical(cut_losses, losses);
  }
}

TEST_CASE("The loss refuses wrong sizes and weights by name") {
  std::vector<float> twelve(12), eight(8);
  std::vector<double> three(3, 1.0), losses(3);
  const auto x = [&](std::size_t count) { return in_rows(twelve, count); };
  check_refused([&] { return squared_error(x(4), x(3), three, x(3), losses); }, {"rows of output = 4", "3"});
  check_refused([&] { return squared_error(x(3), x(4), three, x(3), losses); }, {"rows of target = 4", "3"});
  check_refused([&] { return squared_error(x(4), in_rows(eight, 4), three, x(4), losses); },
                {"row of target = 2", "3"});
  check_refused([&] { return squared_error(x(4), x(4), three, x(4), losses); }, {"size of weights = 3", "4"});
  check_refused([&] { return squared_error(x(3), x(3), three, x(3), std::span(losses).first(2)); },
                {"size of losses = 2", "3"});
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    three[1] = bad;
    check_refused([&] { return squared_error(x(3), x(3), three, x(3), losses); }, {"weight = ", "[0, inf)"});
  }
}
