#include "diffusion/schedules/sigmoid.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {
double logistic(double x) { return (1 + std::tanh(x / 2)) / 2; }
}  // namespace

TEST_CASE("The sigmoid schedule has betas on a logistic curve") {
  const auto schedule = sigmoid_schedule(101, {0.01, 0.5});
  for (int t = 1; t <= 101; ++t) {
    const double u = -6 + 12 * (t - 1) / 100.0;
    // Four roundings of a curve known to a roundoff of 1, relative to β: 0.49/β < 49.
    CHECK(schedule.beta(t) == Approx(0.01 + 0.49 * logistic(u)).epsilon(4 * 49 * roundoff<>));
  }
  CHECK(schedule.beta(51) == Approx(0.255).epsilon(4 * roundoff<>));
}

TEST_CASE("The other sigmoid schedule has a signal power on a logistic curve") {
  for (const sigmoid_alpha_bar_options o :
       {sigmoid_alpha_bar_options{}, {.start = 0, .end = 3, .tau = 0.7}, {.start = -2, .end = 1}}) {
    const int T = 100;
    const auto schedule = sigmoid_alpha_bar_schedule(T, o);
    const auto f = [&](double u) {
      return logistic(o.end / o.tau) - logistic((o.start + u * (o.end - o.start)) / o.tau);
    };
    for (int t = 1; t < T; ++t) {
      CAPTURE(t);
      // f falls to f(1 - 1/T) by differences of numbers below 1; the ratio's error adds up over t steps.
      const double tolerance = 8 * t * roundoff<> / f(1 - 1.0 / T);
      CHECK(schedule.alpha_bar(t) == Approx(f(double(t) / T) / f(0)).epsilon(tolerance));
    }
    CHECK(schedule.beta(T) == 0.999);
  }
}

TEST_CASE("Sigmoid schedules with illegal options are refused") {
  check_refused([] { return sigmoid_alpha_bar_schedule(10, {.tau = 0}); }, {"tau = 0", "(0, inf)"});
  check_refused([] { return sigmoid_alpha_bar_schedule(10, {.start = 3, .end = 3}); },
                {"start = 3", "below end"});
  check_refused([] { return sigmoid_schedule(10, {-0.5, 0.5}); }, {"beta_1 = -0.4", "(0, 1)"});
}
