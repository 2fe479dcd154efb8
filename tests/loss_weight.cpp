#include "diffusion/loss_weight.hpp"

#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/log_snr.hpp"
#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct weighting {
  const char* name;
  std::function<error_weights(noise_level)> of;
};

const std::vector<weighting>& all_weightings() {
  static const std::vector<weighting> all{
      {"simple epsilon", [](noise_level l) { return simple_weights(prediction::epsilon, l); }},
      {"simple x0", [](noise_level l) { return simple_weights(prediction::x0, l); }},
      {"simple v", [](noise_level l) { return simple_weights(prediction::v, l); }},
      {"simple score", [](noise_level l) { return simple_weights(prediction::score, l); }},
      {"simple velocity", [](noise_level l) { return simple_weights(prediction::velocity, l); }},
      {"truncated SNR", truncated_snr_weights},
      {"min-SNR", [](noise_level l) { return min_snr_weights(l); }},
      {"min-SNR 0.3", [](noise_level l) { return min_snr_weights(l, 0.3); }},
      {"P2", [](noise_level l) { return p2_weights(l); }},
      {"P2 0.5", [](noise_level l) { return p2_weights(l, {.k = 0.7, .gamma = 0.5}); }},
      {"P2 2", [](noise_level l) { return p2_weights(l, {.k = 2, .gamma = 2}); }},
      {"EDM", [](noise_level l) { return edm_weights(l); }},
      {"sigmoid", [](noise_level l) { return sigmoid_weights(l, -1.5); }},
      {"cosmap", cosmap_weights},
      {"VLB",
       [](noise_level l) {
         return vlb_weights(l, {1.2 * l.alpha, 0.3 * l.sigma});
       }},
      {"continuous VLB", continuous_vlb_weights}};
  return all;
}

/// Levels of any power, of σ/α from 1e-2 to 1e2.
template <class Use>
void for_each_level(Use use) {
  for (int k = -20; k <= 20; ++k) {
    const double ratio = std::pow(10, k / 10.0);
    for (const double power : {0.3, 1.0, 7.0}) {
      const noise_level level{power / std::hypot(1, ratio), power * ratio / std::hypot(1, ratio)};
      CAPTURE(level.alpha, level.sigma);
      use(level);
    }
  }
}

void close(double found, double expected, double roundings = 32) {
  CHECK(std::abs(found - expected) <= roundings * roundoff<> * std::abs(expected));
}

}  // namespace

TEST_CASE("Every weighting says the same of the error of x0 and of that of epsilon") {
  for (const auto& [name, weights] : all_weightings()) {
    for_each_level([&, name = name, &of = weights](noise_level level) {
      CAPTURE(name);
      const error_weights w = of(level);
      close(w.x0, snr(level) * w.epsilon);
    });
  }
}

TEST_CASE("Equal weights of any kind of prediction give equal gradients") {
  // The gradient of the weighted squared error by a common parameter: a change δ of ε̂ at fixed x_t. An output
  // of any kind is linear in x_t and ε̂, with the factor `slope` of ε̂, so its gradient is 2 w (slope δ) slope.
  const double delta = 0.37;
  for (const auto& [name, weights] : all_weightings())
    for_each_level([&, name = name, &of = weights](noise_level level) {
      const error_weights w = of(level);
      const double expected = 2 * output_weight(prediction::epsilon, level, w) * delta;
      for (const auto& [kind_name, kind] : prediction_names) {
        CAPTURE(name, std::string(kind_name));
        const double slope = convert(prediction::epsilon, kind, level, 0, 1);
        const double found = 2 * output_weight(kind, level, w) * (slope * delta) * slope;
        close(found, expected, 64);
      }
    });
}

TEST_CASE("An unweighted loss has the weight 1 for outputs of its own kind") {
  for_each_level([&](noise_level level) {
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(std::string(name));
      CHECK(output_weight(kind, level, simple_weights(kind, level)) == 1);
    }
  });
}

TEST_CASE("Weightings of variance preserving levels are those of the papers") {
  const auto schedule = cosine_schedule(1000);
  for (int t = 1; t <= 1000; t += 27) {
    CAPTURE(t);
    const noise_level level = schedule.level(t);
    const double ratio = snr(level);
    const auto of_v = [&](error_weights w) { return output_weight(prediction::v, level, w); };
    // SNR + 1 where α² + σ² is 1 up to a few roundings.
    close(simple_weights(prediction::epsilon, level).x0, ratio);
    close(simple_weights(prediction::v, level).x0, ratio + 1);
    close(truncated_snr_weights(level).x0, std::max(ratio, 1.0));
    for (const double gamma : {0.5, 5.0, 1e9}) {
      CAPTURE(gamma);
      const error_weights w = min_snr_weights(level, gamma);
      close(w.epsilon, std::min(ratio, gamma) / ratio);
      close(w.x0, std::min(ratio, gamma));
      close(of_v(w), std::min(ratio, gamma) / (ratio + 1));
    }
    for (const double gamma : {0.5, 1.0, 2.0})
      close(p2_weights(level, {.k = 0.8, .gamma = gamma}).epsilon, 1 / std::pow(0.8 + ratio, gamma));
    const double sigma = noise_to_signal(level), sigma_data = 0.6;
    close(edm_weights(level, sigma_data).x0,
          (sigma * sigma + sigma_data * sigma_data) / ((sigma * sigma_data) * (sigma * sigma_data)));
    close(edm_weights(level, 1).x0, simple_weights(prediction::v, level).x0);
    // The logarithm of the SNR has an error of 1e-16, and the sizes below are up to 20.
    close(sigmoid_weights(level, -2).epsilon, 1 / (1 + std::exp(2 + 2 * half_log_snr(level))), 200);
    close(continuous_vlb_weights(level).epsilon, 0.5);
  }
}

TEST_CASE("The cosmap weight of velocity integrates to the cosine schedule's share of times") {
  // s = σ/(α + σ), and u = 2/π atan(σ/α) is uniform where the schedule is α = cos(πu/2), σ = sin(πu/2).
  double integral = 0;
  const int n = 4000;
  for (int i = 0; i < n; ++i) {
    const double s = 0.8 * (i + 0.5) / n;
    const noise_level level{3 * (1 - s), 3 * s};
    integral += output_weight(prediction::velocity, level, cosmap_weights(level)) * 0.8 / n;
  }
  // The midpoint rule is off by h²/24 times the difference of the derivatives, below 4 each.
  CHECK(std::abs(integral - 2 / std::numbers::pi * std::atan(0.8 / 0.2)) <= 0.8 * 0.8 / n / n / 24 * 8);
}

TEST_CASE("Weightings become each other at the ends of their options") {
  for_each_level([](noise_level level) {
    const double ratio = snr(level);
    CHECK(min_snr_weights(level, inf).epsilon == 1);
    CHECK(min_snr_weights(level, inf).x0 == ratio);
    close(p2_weights(level, {.k = 1, .gamma = 0}).x0, ratio);
    CHECK(p2_weights(level, {.k = 1, .gamma = 0}).epsilon == 1);
    close(p2_weights(level).epsilon, sigmoid_weights(level, 0).epsilon);
    close(sigmoid_weights(level, 60).x0, ratio);
    close(edm_weights(level, 1e12).x0, ratio);
    close(truncated_snr_weights(level).x0,
          std::max(simple_weights(prediction::epsilon, level).x0, simple_weights(prediction::x0, level).x0));
  });
}

TEST_CASE("The VLB weight is the divergence of the posteriors of x0 and of its prediction") {
  // KL of two normals of one variance β̃: the squared difference of their means over 2 β̃.
  const double error = 0.3;
  for (const auto& [name, schedule] : support::all_schedules(50))
    for (int from = 2; from <= 50; ++from)
      for (int to = 1; to < from; to += 1 + to / 4) {
        CAPTURE(name, from, to);
        const noise_level noisy = schedule.level(from), clean = schedule.level(to);
        const step_coefficients p = posterior(noisy, clean);
        const double divergence = p.x0 * error * (p.x0 * error) / (2 * p.noise * p.noise);
        const error_weights w = vlb_weights(noisy, clean);
        close(w.x0 * error * error, divergence);
        const double of_snr = (snr(clean) - snr(noisy)) / 2;
        // A difference of two numbers of which each has a few roundings.
        CHECK(std::abs(w.x0 - of_snr) <= 16 * roundoff<> * snr(clean));
        if (noisy.alpha > 0) close(w.x0, snr(noisy) * w.epsilon);
      }
}

TEST_CASE("VLB weights of any steps add up to that of their ends") {
  const auto schedule = cosine_schedule(100);
  double sum = 0;
  for (int t = 100; t > 1; --t) sum += vlb_weights(schedule.level(t), schedule.level(t - 1)).x0;
  close(sum, vlb_weights(schedule.level(100), schedule.level(1)).x0, 1000);
}

TEST_CASE("The VLB weights of short steps are the continuous ones per unit of log SNR") {
  for (const double log_snr : {-6.0, -1.0, 0.5, 4.0}) {
    const auto error = [&](double h) {
      const auto w = vlb_weights(vp_level_from_log_snr(log_snr - h), vp_level_from_log_snr(log_snr + h));
      return w.x0 / (2 * h) / continuous_vlb_weights(vp_level_from_log_snr(log_snr)).x0 - 1;
    };
    CAPTURE(log_snr);
    CHECK(std::abs(error(0.01) - 0.0001 / 6) < 1e-8);  // sinh(h)/h - 1, its next term being h⁴/120
    CHECK(std::abs(support::order_of(error(0.1), error(0.05)) - 2) < 0.01);
  }
}

TEST_CASE("Weights at zero SNR and of clean data are the limits") {
  struct row {
    const char* name;
    error_weights zero_snr, clean;
  };
  const double pi = std::numbers::pi;
  const std::vector<row> expected{{"simple epsilon", {0, 1}, {inf, 1}},
                                  {"simple x0", {1, inf}, {1, 0}},
                                  {"simple v", {1, inf}, {inf, 1}},
                                  {"simple velocity", {1, inf}, {inf, 1}},
                                  {"truncated SNR", {1, inf}, {inf, 1}},
                                  {"min-SNR", {0, 1}, {5, 0}},
                                  {"P2", {0, 1}, {1, 0}},
                                  {"P2 0.5", {0, std::pow(0.7, -0.5)}, {inf, 0}},
                                  {"P2 2", {0, 0.25}, {0, 0}},
                                  {"EDM", {4, inf}, {inf, 1}},
                                  {"sigmoid", {0, 1}, {std::exp(-1.5), 0}},
                                  {"cosmap", {2 / pi, inf}, {inf, 2 / pi}},
                                  {"continuous VLB", {0, 0.5}, {inf, 0.5}}};
  for (const row& want : expected)
    for (const auto& [name, weights] : all_weightings()) {
      if (std::string(name) != want.name) continue;
      CAPTURE(name);
      const error_weights zero_snr = weights({0, 1}), clean = weights({1, 0});
      support::check_close(
          std::vector{zero_snr.x0, zero_snr.epsilon, clean.x0, clean.epsilon},
          std::vector{want.zero_snr.x0, want.zero_snr.epsilon, want.clean.x0, want.clean.epsilon}, 0,
          8 * roundoff<>);
      // v and velocity determine both errors at either end: their weights are finite wherever one of the two
      // is.
      for (const prediction kind : {prediction::v, prediction::velocity}) {
        CHECK(std::isfinite(output_weight(kind, {0, 1}, zero_snr)));
        CHECK(std::isfinite(output_weight(kind, {1, 0}, clean)));
      }
    }
  const error_weights first = vlb_weights({0, 1}, {0.6, 0.8});
  close(first.x0, 0.28125);
  CHECK(first.epsilon == inf);
  CHECK(vlb_weights({0.6, 0.8}, {1, 0}).x0 == inf);
}

TEST_CASE("Output weights at zero SNR and of clean data are the limits") {
  struct row {
    prediction kind;
    double zero_snr, clean, clean_without_limit;
  };
  for (const auto& [kind, zero_snr, clean, without] : {row{prediction::epsilon, 1, 0, 1},
                                                       {prediction::x0, 0, 5, inf},
                                                       {prediction::v, 0, 0, 1},
                                                       {prediction::velocity, 0, 0, 1}}) {
    CAPTURE(std::string(name(kind)));
    const auto weight = [kind = kind](noise_level level, double gamma) {
      return output_weight(kind, level, min_snr_weights(level, gamma));
    };
    CHECK(weight({0, 1}, 5) == zero_snr);
    CHECK(weight({0, 1}, inf) == zero_snr);
    CHECK(weight({1, 0}, 5) == clean);
    CHECK(weight({1, 0}, inf) == without);
  }
  CHECK(output_weight(prediction::score, {0, 2}, min_snr_weights({0, 2})) == 4);
}

TEST_CASE("Weightings refuse options and levels that are none") {
  const noise_level level{0.6, 0.8};
  for (const double gamma : {0.0, -1.0, std::nan("")})
    check_refused([&] { return min_snr_weights(level, gamma); }, {"gamma = ", "(0, inf]"});
  check_refused([&] { return p2_weights(level, {.k = 0}); }, {"k = 0", "(0, inf)"});
  check_refused([&] { return p2_weights(level, {.gamma = -1}); }, {"gamma = -1", "[0, inf)"});
  check_refused([&] { return edm_weights(level, 0); }, {"sigma_data = 0", "(0, inf)"});
  check_refused([&] { return sigmoid_weights(level, inf); }, {"bias = inf", "finite"});
  check_refused([&] { return vlb_weights({0.8, 0.6}, level); }, {"SNR", "[0, 1]"});
  check_refused([&] { return simple_weights(prediction::score, {1, 0}); }, {"sigma = 0", "score"});
  check_refused([&] { return output_weight(prediction::score, {1, 0}, {1, 1}); }, {"sigma = 0", "score"});
  for (const auto& [name, weights] : all_weightings()) {
    if (std::string(name) == "VLB") continue;
    CAPTURE(name);
    check_refused([&, &of = weights] { return of({std::nan(""), 0.8}); }, {"level.alpha = nan"});
    check_refused([&, &of = weights] { return of({0, 0}); }, {"level.sigma = 0"});
  }
}
