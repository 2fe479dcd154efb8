#include "diffusion/samplers/ddpm_learned.hpp"

#include <vector>

#include "diffusion/stepper.hpp"
#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::normals;

TEST_CASE("A learned variance leaves the posterior mean and takes the noise out of the coefficients") {
  const noise_level from{0.6, 0.8};
  const noise_level to{0.8, 0.6};
  const step_coefficients c = ddpm_learned{}(from, to);
  const step_coefficients p = posterior(from, to);
  CHECK(c.x == p.x);
  CHECK(c.x0 == p.x0);
  CHECK(c.noise == 0);
}

TEST_CASE("A learned log range goes from the posterior variance at -1 to the transition variance at 1") {
  const auto schedule = cosine_schedule(1000);
  for (const auto& [t, s] : {std::pair{1000, 999}, {500, 400}, {2, 1}}) {
    CAPTURE(t, s);
    const noise_level from = schedule.level(t);
    const noise_level to = schedule.level(s);
    const variance_map map = ddpm_learned{}.variance_of(from, to);
    CHECK(map.is_log);
    const double tolerance = 1e-14;  // a few roundoffs of logarithms up to 20
    CHECK(map.offset - map.slope ==
          Approx(std::log(posterior_variance(from, to))).margin(tolerance).epsilon(tolerance));
    CHECK(map.offset + map.slope ==
          Approx(std::log(transition_variance(from, to))).margin(tolerance).epsilon(tolerance));
  }
}

TEST_CASE("A learned log range is finite where the posterior variance is zero") {
  const variance_map map = ddpm_learned{}.variance_of({0.9, 0.3}, {1, 0});
  CHECK(map.offset - map.slope == Approx(std::log(1e-20)));
  CHECK(map.offset + map.slope == Approx(std::log(0.09)));
  CHECK(ddpm_learned{}.variance_of({0.9, 0.3}, {1, 0}, 1e-6).offset == Approx(std::log(0.09e-6) / 2));
}

TEST_CASE("Learned values and log values are taken as they are") {
  const variance_map log_value = ddpm_learned{learned_variance::log_value}.variance_of({0.6, 0.8}, {1, 0});
  CHECK(log_value.offset == 0);
  CHECK(log_value.slope == 1);
  CHECK(log_value.is_log);
  CHECK_FALSE(ddpm_learned{learned_variance::value}.variance_of({0.6, 0.8}, {1, 0}).is_log);
  support::check_refused(
      [] {
        return ddpm_learned{static_cast<learned_variance>(7)}.variance_of({0.6, 0.8}, {1, 0});
      },
      {"variance = 7"});
}

TEST_CASE("A learned variance scales the noise of each element, except in the step to clean data") {
  const philox_normal noise{3};
  const auto start = normals(33);
  // ε̂ = 0 and a v per element.
  const auto learned = [](rows<const double> x, const auto&, rows<double> out) {
    for (std::size_t i = 0; i < x.count(); ++i)
      for (std::size_t j = 0; j < x.row_size(); ++j) {
        out[i][j] = 0;
        out[i][x.row_size() + j] = 0.1 * double(i) + 0.05 * double(j);
      }
  };
  const auto schedule = cosine_schedule(100);
  const auto times = explicit_grid(100, std::vector{80, 50});
  for (const auto kind :
       {learned_variance::log_range, learned_variance::log_value, learned_variance::value}) {
    auto want = start;
    for (std::size_t k = 0; k < 2; ++k) {
      const noise_level from = schedule.level(times[k].from);
      const noise_level to = schedule.level(times[k].to);
      const step_coefficients mean = posterior(from, to);
      for (std::size_t i = 0; i < 3; ++i) {
        std::vector<double> z(11);
        noise(i, static_cast<std::uint32_t>(k + 1), std::span<double>(z));
        for (std::size_t j = 0; j < 11; ++j) {
          const double v = 0.1 * double(i) + 0.05 * double(j);
          const double low = std::log(std::max(posterior_variance(from, to), 1e-20));
          const double high = std::log(transition_variance(from, to));
          const double variance = kind == learned_variance::value ? v
                                  : kind == learned_variance::log_value
                                      ? std::exp(v)
                                      : std::exp(low + (v + 1) / 2 * (high - low));
          double& x = want[i * 11 + j];
          x = mean.x * x + mean.x0 * x / from.alpha + (k == 0 ? std::sqrt(variance) * z[j] : 0);
        }
      }
    }
    // Two steps of at most 30 roundings each, numbers up to 6.77/α(80) = 22, twice.
    support::check_close(support::run(schedule, times, ddpm_learned{kind}, learned, noise, start, 3), want,
                         2 * 30 * support::roundoff<> * 22 * 22);
  }
}

TEST_CASE("A run with a learned variance goes with every transform and can be restored") {
  const auto learned = [](rows<const float> x, const auto&, rows<float> out) {
    for (std::size_t i = 0; i < x.count(); ++i)
      for (std::size_t j = 0; j < 2 * x.row_size(); ++j) out[i][j] = 0.5F * x[i][j % x.row_size()];
  };
  const auto schedule = cosine_schedule(100);
  const auto grid = trailing_grid(100, 8);
  const philox_normal noise{3};
  const run_options options{.x0 = dynamic_threshold{.ratio = 0.8, .max = 2}};
  const auto start = normals<float>(33);
  const auto whole = support::run(schedule, grid, ddpm_learned{}, learned, noise, start, 3, options);
  auto x = start;
  workspace<float> work;
  stepper run(schedule, grid, ddpm_learned{}, rows<float>(std::span<float>(x), 3), work, options);
  while (run.stage_index() < 4) run.step(learned, noise);
  const auto state = run.save();
  run.step(learned, noise);
  run.restore(state);
  while (!run.done()) run.step(learned, noise);
  support::check_identical(x, whole);
}
