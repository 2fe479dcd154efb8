// Whole runs against closed forms: Gaussian data, for which every step is known, and the exact flow.
#include <vector>

#include "diffusion/diffusion.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::normals;
using support::perfect_network;
using support::run;

namespace {

/// One step as the papers write it, in ᾱ.
struct paper_step {
  double x = 0, x0 = 0, epsilon = 0, deviation = 0;
};

/// Ho et al. 2020, equations 6 and 7, with β for a stride.
paper_step paper_ddpm(double now, double next, bool large_variance) {
  const double beta = 1 - now / next;
  const double variance = (1 - next) / (1 - now) * beta;
  return {.x = std::sqrt(now / next) * (1 - next) / (1 - now),
          .x0 = std::sqrt(next) * beta / (1 - now),
          .deviation = std::sqrt(large_variance && next < 1 ? beta : variance)};
}

/// Song et al. 2021, equations 12 and 16.
paper_step paper_ddim(double now, double next, double eta) {
  const double deviation = eta * std::sqrt((1 - next) / (1 - now)) * std::sqrt(1 - now / next);
  return {.x0 = std::sqrt(next),
          .epsilon = std::sqrt(std::max(1 - next - deviation * deviation, 0.0)),
          .deviation = deviation};
}

struct method {
  std::string name;
  std::function<step_coefficients(noise_level, noise_level)> sampler;
  std::function<paper_step(double, double)> paper;
};

const std::vector<method> methods{
    {"ddpm", ddpm{}, [](double a, double b) { return paper_ddpm(a, b, false); }},
    {"ddpm, transition variance", ddpm{fixed_variance::transition},
     [](double a, double b) { return paper_ddpm(a, b, true); }},
    {"ddim", ddim{}, [](double a, double b) { return paper_ddim(a, b, 0); }},
    {"ddim, eta 0.5", ddim{.eta = 0.5}, [](double a, double b) { return paper_ddim(a, b, 0.5); }},
    {"ddim, eta 1", ddim{.eta = 1}, [](double a, double b) { return paper_ddim(a, b, 1); }}};

const support::gaussian gaussian{0.4, 0.3};

/// Steps at a continuous schedule between two times, evenly spaced.
basic_time_grid<double> even_grid(double from, double to, int n) {
  std::vector<interval<double>> steps;
  const auto time = [=](int k) { return from + (to - from) * k / n; };
  for (int k = 0; k < n; ++k) steps.push_back({time(k), time(k + 1), time(k)});
  return basic_time_grid<double>(steps);
}

}  // namespace

TEST_CASE("A run is the recursion of the papers, path by path") {
  const auto schedule = linear_schedule(1000);
  const philox_normal noise{8};
  const auto start = normals(40);
  for (const auto& grid : {trailing_grid(1000, 50), leading_grid(1000, 7), full_grid(1000)})
    for (const auto& [method_name, sampler, paper] : methods)
      for (const double limit : {HUGE_VAL, 0.8}) {
        CAPTURE(method_name, grid.size(), limit);
        auto want = start;
        std::vector<double> z(40);
        for (std::size_t k = 0; k < grid.size(); ++k) {
          const double now = schedule.alpha_bar(grid[k].from);
          const double next = schedule.alpha_bar(grid[k].to);
          const paper_step step = paper(now, next);
          noise(0, static_cast<std::uint32_t>(k + 1), std::span<double>(z));
          for (std::size_t i = 0; i < 40; ++i) {
            double& x = want[i];
            const double x0 = std::clamp(gaussian(x, {std::sqrt(now), std::sqrt(1 - now)}).x0, -limit, limit);
            const double epsilon = (x - std::sqrt(now) * x0) / std::sqrt(1 - now);
            x = step.x * x + step.x0 * x0 + step.epsilon * epsilon + step.deviation * z[i];
          }
        }
        // 1 - ᾱ as a difference has a relative error of 1e-12 at t = 1; x̂0 is divided by α > 6e-3; the
        // flow contracts, so that errors of at most 1000 steps add up at worst.
        support::check_close(run(schedule, grid, sampler, perfect_network{gaussian}, noise, start, 1,
                                 {.x0 = limit < 9 ? x0_transform{x0_clip{limit}} : x0_transform{x0_keep{}}}),
                             want, 1e-9);
      }
}

TEST_CASE("Mean and variance of many samples are those of the recursion") {
  const auto schedule = linear_schedule(1000);
  const auto grid = trailing_grid(1000, 20);
  const std::size_t n = 40000;
  for (const auto& [method_name, sampler, paper] : methods) {
    CAPTURE(method_name);
    double mean = 0;
    double variance = 1;
    for (const auto& [t, s, eval] : grid) {
      const noise_level from = schedule.level(t);
      const paper_step step = paper(schedule.alpha_bar(t), schedule.alpha_bar(s));
      // The network is affine: x̂0 and ε̂ from their values at 0 and 1.
      const auto move = [&](double x) {
        const auto e = gaussian(x, from);
        return step.x * x + step.x0 * e.x0 + step.epsilon * e.epsilon;
      };
      const double gain = move(1) - move(0);
      mean = move(0) + gain * mean;
      variance = gain * gain * variance + step.deviation * step.deviation;
    }
    const auto x = run(schedule, grid, sampler, perfect_network{gaussian}, philox_normal{1}, normals(n, 99));
    double found = 0;
    double square = 0;
    for (const double value : x) found += value / n;
    for (const double value : x) square += (value - found) * (value - found) / n;
    // Five standard errors: one false alarm in 1.7 million; the seeds are fixed.
    CHECK(std::abs(found - mean) <= 5 * std::sqrt(variance / n));
    CHECK(std::abs(square - variance) <= 5 * variance * std::sqrt(2.0 / n));
  }
}

TEST_CASE("Deterministic DDIM converges to the exact flow at first order, and so does its inversion") {
  const support::mixture data;
  const cosine_log_snr_schedule schedule;
  for (const double from : {0.95, 0.05}) {
    const double to = 1 - from;
    std::vector<double> start, exact;
    for (double x = -1.5; x <= 1.5; x += 0.25) {
      start.push_back(x);
      exact.push_back(support::probability_flow(data, x, schedule.level(from), schedule.level(to)));
    }
    const auto error = [&](int n) {
      const auto x =
          run(schedule, even_grid(from, to, n), ddim{}, perfect_network{data}, support::no_noise{}, start);
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - exact[i]));
      return worst;
    };
    for (const int n : {64, 128, 256}) {
      CAPTURE(from, n, error(n), error(2 * n));
      CHECK(support::order_of(error(n), error(2 * n)) == Approx(1).margin(0.2));
    }
    CHECK(error(512) < 0.02);
  }
}

TEST_CASE("Inversion and back comes home at first order") {
  const perfect_network network{support::mixture{}};
  const cosine_log_snr_schedule schedule;
  const std::vector<double> start{-1.4, -0.9, -0.2, 0.5, 0.9, 1.6};
  const auto error = [&](int n) {
    const auto grid = even_grid(0.95, 0.05, n);
    const auto away = run(schedule, inverted(grid), ddim{}, network, support::no_noise{}, start);
    const auto home = run(schedule, grid, ddim{}, network, support::no_noise{}, away);
    double worst = 0;
    for (std::size_t i = 0; i < home.size(); ++i) worst = std::max(worst, std::abs(home[i] - start[i]));
    return worst;
  };
  for (const int n : {64, 128, 256}) {
    CAPTURE(n, error(n), error(2 * n));
    CHECK(support::order_of(error(n), error(2 * n)) == Approx(1).margin(0.2));
  }
}

TEST_CASE("DDPM converges to the data's distribution at first order, with either variance") {
  const cosine_log_snr_schedule schedule;
  // Mean and variance of a run, exactly: the coefficients applied to an affine network.
  const auto error = [&](fixed_variance kind, int n) {
    double mean = gaussian.mean_at(schedule.level(0.95));
    double variance = gaussian.variance_at(schedule.level(0.95));
    for (const auto& step : even_grid(0.95, 0.05, n)) {
      const noise_level from = schedule.level(step.from);
      const step_coefficients c = ddpm{kind}(from, schedule.level(step.to));
      const auto move = [&](double x) { return c.x * x + c.x0 * gaussian(x, from).x0; };
      const double gain = move(1) - move(0);
      mean = move(0) + gain * mean;
      variance = gain * gain * variance + c.noise * c.noise;
    }
    CHECK(mean == Approx(gaussian.mean_at(schedule.level(0.05))).epsilon(1e-10));
    return std::abs(variance - gaussian.variance_at(schedule.level(0.05)));
  };
  for (const auto kind : {fixed_variance::posterior, fixed_variance::transition})
    for (const int n : {128, 256, 512}) {
      CAPTURE(n, error(kind, n));
      CHECK(support::order_of(error(kind, n), error(kind, 2 * n)) == Approx(1).margin(0.2));
    }
}
