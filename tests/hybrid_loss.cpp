#include "diffusion/hybrid_loss.hpp"

#include <vector>

#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

constexpr std::size_t n = 13;
const auto schedule = cosine_schedule(1000);

struct example {
  std::vector<double> x0 = support::normals(n, 1), x_t = support::normals(n, 2),
                      target = support::normals(n, 3), output = support::normals(2 * n, 4);
  example() {
    for (double& value : x0) value = std::round(std::clamp(value, -1.0, 1.0) * 127.5 + 127.5) / 127.5 - 1;
    for (std::size_t j = 0; j < n; ++j) x_t[j] = x0[j] + 0.01 * x_t[j];  // near the data, as at t = 1
  }
  template <class D>
  hybrid_loss operator()(const bound_term& term, const D& decoder, std::span<double> gradient = {}) const {
    return hybrid_loss_of(term, 0.7, decoder, std::span<const double>(x0), x_t, target, output, gradient);
  }
};

bound_term term_at(int t, reverse_variance variance = learned_variance::log_range) {
  return make_bound_term(prediction::v, schedule, t, variance);
}

}  // namespace

TEST_CASE("The hybrid loss is the mean squared error and the weighted term of the bound in bits") {
  const example e;
  for (const int t : {1, 2, 700}) {
    const hybrid_loss loss = e(term_at(t), discretized_gaussian{});
    double squares = 0;
    for (std::size_t j = 0; j < n; ++j) squares += (e.output[j] - e.target[j]) * (e.output[j] - e.target[j]);
    CHECK(loss.simple == Approx(squares / n).epsilon(1e-14));
    const double nats =
        term_loss(term_at(t), discretized_gaussian{}, {}, std::span<const double>(e.x0), e.x_t, e.output);
    CHECK(loss.bound == bits_per_dimension(nats, n));
    CHECK(loss.total == loss.simple + 0.7 * loss.bound);
  }
}

TEST_CASE(
    "The gradient of the hybrid loss is that of the mean's error and that of the bound by the variance") {
  const auto check = [](const auto& decoder, reverse_variance variance) {
    for (const int t : {1, 2, 30, 700}) {
      example e;
      if (std::get<learned_variance>(variance) == learned_variance::value)
        for (std::size_t j = n; j < 2 * n; ++j) e.output[j] = std::exp(e.output[j] - 6);
      const bound_term term = term_at(t, variance);
      std::vector<double> gradient(2 * n);
      (void)e(term, decoder, gradient);
      for (std::size_t j = 0; j < 2 * n; ++j) {
        CAPTURE(t, j);
        const bool mean = j < n;
        const double h = 1e-4 * (mean ? 1 : std::min(1.0, std::abs(e.output[j])));
        const double middle = e.output[j];
        const auto loss_at = [&](double value) {
          e.output[j] = value;
          const hybrid_loss loss = e(term, decoder);
          e.output[j] = middle;
          return mean ? loss.simple : loss.total;  // nothing flows from the bound into the mean
        };
        // h² times the third derivative, and the rounding of the loss over h: losses reach 1e4 where x̂0 is
        // far off.
        const double rounding = 1e-14 * std::abs(e(term, decoder).total) / h;
        CHECK(gradient[j] ==
              Approx((loss_at(middle + h) - loss_at(middle - h)) / (2 * h)).epsilon(1e-6).margin(rounding));
      }
    }
  };
  for (const auto variance :
       {learned_variance::log_range, learned_variance::log_value, learned_variance::value}) {
    check(discretized_gaussian{}, variance);
    check(continuous_gaussian{}, variance);
  }
  check(discretized_gaussian{normal_cdf::tanh}, learned_variance::log_range);
}

TEST_CASE("The variance that the gradient leads to is that of the step's own distance") {
  // ½ (log Σ + (β̃ + w² (x_0 - x̂0)²)/Σ) is least at Σ = β̃ + w² (x_0 - x̂0)².
  example e;
  const bound_term term = term_at(300, learned_variance::log_value);
  const double w = posterior(schedule.level(300), schedule.level(299)).x0;
  for (std::size_t j = 0; j < n; ++j) {
    const double distance = w * (e.x0[j] - term.x0(e.x_t[j], e.output[j]));
    e.output[n + j] = std::log(std::exp(term.log_variance) + distance * distance);
  }
  std::vector<double> gradient(2 * n);
  (void)e(term, continuous_gaussian{}, gradient);
  for (std::size_t j = n; j < 2 * n; ++j) CHECK(std::abs(gradient[j]) < 1e-12);
}

TEST_CASE("A gradient in single precision is that in double, rounded") {
  const example e;
  const auto to_float = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  const auto x0 = to_float(e.x0), x_t = to_float(e.x_t), target = to_float(e.target),
             output = to_float(e.output);
  std::vector<float> gradient(2 * n);
  const hybrid_loss loss = hybrid_loss_of(term_at(300), 0.7, discretized_gaussian{},
                                          std::span<const float>(x0), x_t, target, output, gradient);
  std::vector<double> exact(2 * n);
  CHECK(loss.total == Approx(e(term_at(300), discretized_gaussian{}, exact).total).epsilon(1e-5));
  support::check_close(gradient, exact, 1e-5, 1e-5);
}

TEST_CASE("The hybrid loss refuses a fixed variance, a negative weight and sizes that do not fit") {
  example e;
  const discretized_gaussian decoder;
  std::vector<double> gradient(2 * n);
  check_refused(
      [&] {
        e.output.resize(n);
        return e(term_at(5, fixed_variance::posterior), decoder).total;
      },
      {"variance = \"fixed\"", "learned"});
  e = {};
  check_refused(
      [&] {
        return hybrid_loss_of(term_at(5), -1, decoder, std::span<const double>(e.x0), e.x_t, e.target,
                              e.output)
            .total;
      },
      {"bound_weight = -1", "[0, inf)"});
  check_refused([&] { return e(term_at(5), decoder, std::span(gradient).first(n)).total; },
                {"size of gradient = 13", "26"});
  e.target.pop_back();
  check_refused([&] { return e(term_at(5), decoder).total; }, {"size of target = 12", "13"});
}
