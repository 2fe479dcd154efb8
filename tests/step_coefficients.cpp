// The identities that every sampler keeps, without arrays.
#include "diffusion/step_coefficients.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::roundoff;

namespace {

struct marginal_error {
  double mean = 0, variance = 0;  // in the rounding errors that are allowed
};

/// How far a step with perfect predictions misses the mean weight α_to and the variance σ_to².
/// Allowed: r = √(SNR ratio) has 3 roundings, 1 - r² then at most 9 absolutely, a coefficient at most 16, and
/// squares twice as many.
marginal_error miss(const step_coefficients& c, noise_level from, noise_level to) {
  const double noise = c.x * from.sigma + c.epsilon;
  const auto in_roundings = [](double error, double size) {
    return error == 0 ? 0 : error / (32 * roundoff<> * size);
  };
  const double mean = std::abs(c.x * from.alpha + c.x0 - to.alpha);
  const double variance = std::abs(noise * noise + c.noise * c.noise - to.sigma * to.sigma);
  return {in_roundings(mean, std::max({std::abs(c.x * from.alpha), std::abs(c.x0), to.alpha})),
          in_roundings(variance, to.sigma * to.sigma)};
}

template <class S>
marginal_error worst_miss(const S& sampler, const auto& schedule, const time_grid& grid) {
  marginal_error worst;
  for (const auto& [from, to, eval] : grid) {
    const auto [mean, variance] =
        miss(sampler(schedule.level(from), schedule.level(to)), schedule.level(from), schedule.level(to));
    // Written so that a NaN is the worst.
    if (!(mean <= worst.mean)) worst.mean = mean;
    if (!(variance <= worst.variance)) worst.variance = variance;
  }
  return worst;
}

}  // namespace

TEST_CASE("Every sampler keeps the marginals on every schedule and grid") {
  for (const int T : {1, 2, 50, 1000})
    for (const auto& [schedule_name, schedule] : support::all_schedules(T))
      for (const int n : {1, 2, 7, 49, 50, 333, 1000}) {
        if (n > T) continue;
        for (const auto& [grid_name, grid] : support::all_grids(T, n))
          for (const auto& [sampler_name, sampler] : support::all_samplers()) {
            CAPTURE(sampler_name, schedule_name, grid_name, T, n);
            const marginal_error worst = worst_miss(sampler, schedule, grid);
            CHECK(worst.mean <= 1);
            CHECK(worst.variance <= 1);
          }
      }
}

TEST_CASE("Every sampler keeps the marginals between levels of every process") {
  for (const noise_level from : support::typical_levels())
    for (const noise_level to : support::typical_levels()) {
      if (snr(to) <= snr(from)) continue;
      for (const auto& [sampler_name, sampler] : support::all_samplers()) {
        CAPTURE(sampler_name, from.alpha, from.sigma, to.alpha, to.sigma);
        const marginal_error error = miss(sampler(from, to), from, to);
        CHECK(error.mean <= 1);
        CHECK(error.variance <= 1);
      }
    }
}

TEST_CASE("Deterministic DDIM keeps the marginals towards more noise") {
  for (const auto& [schedule_name, schedule] : support::all_schedules(100))
    for (const bool rederive : {false, true}) {
      CAPTURE(schedule_name, rederive);
      const marginal_error worst =
          worst_miss(ddim{.rederive_epsilon = rederive}, schedule, inverted(trailing_grid(100, 20)));
      CHECK(worst.mean <= 1);
      CHECK(worst.variance <= 1);
    }
}

TEST_CASE("DDPM with the transition variance adds too much noise for perfect predictions") {
  const ddpm large{.variance = fixed_variance::transition};
  for (const auto& [schedule_name, schedule] : support::all_schedules(1000)) {
    CAPTURE(schedule_name);
    const noise_level from = schedule.level(2);
    const noise_level to = schedule.level(1);
    const step_coefficients c = large(from, to);
    CHECK(miss(c, from, to).mean <= 1);
    // It adds (σ_from² - σ_to²)(1 - r²) more than β̃; both factors are of order one at the first steps.
    const double variance = c.x * c.x * from.sigma * from.sigma + c.noise * c.noise;
    CHECK(variance > 1.05 * to.sigma * to.sigma);
  }
}
