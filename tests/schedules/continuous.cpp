#include "diffusion/schedules/continuous.hpp"

#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"
#include "diffusion/solver_grids.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

namespace {
double sigma_of(const continuous_schedule& schedule, double t) { return noise_to_signal(schedule.level(t)); }
}  // namespace

TEST_CASE("A continuous schedule is the discrete one at its steps and clean data at 0") {
  const auto discrete = cosine_schedule(100);
  for (const auto between : {interpolation::log_sigma, interpolation::sigma}) {
    const auto schedule = continuous(discrete, between);
    CHECK(schedule.steps() == 100);
    for (int t = 0; t <= 100; ++t) CHECK(schedule.level(t) == discrete.level(t));
  }
}

TEST_CASE("Between the steps the logarithm of sigma is linear, or sigma") {
  const auto discrete = linear_schedule(50);
  const auto by_logarithm = continuous(discrete);
  const auto by_sigma = continuous(discrete, interpolation::sigma);
  for (int t = 1; t < 50; ++t) {
    const double low = noise_to_signal(discrete.level(t));
    const double high = noise_to_signal(discrete.level(t + 1));
    CHECK(sigma_of(by_logarithm, t + 0.25) ==
          Approx(std::pow(low, 0.75) * std::pow(high, 0.25)).epsilon(1e-14));
    CHECK(sigma_of(by_sigma, t + 0.25) == Approx(0.75 * low + 0.25 * high).epsilon(1e-14));
    const noise_level level = by_logarithm.level(t + 0.25);
    CHECK(level.alpha * level.alpha + level.sigma * level.sigma ==
          Approx(1).epsilon(8 * support::roundoff<>));
  }
}

TEST_CASE(
    "The inverse of a continuous schedule has exactly the sigma asked for, and its time within the steps") {
  for (const int T : {1, 2, 1000}) {
    const auto discrete = scaled_linear_schedule(T);
    const auto schedule = continuous(discrete);
    for (double t = 1; t <= T; t += 0.37) {
      const auto [found, level] = schedule.find(sigma_of(schedule, t));
      CHECK(found == Approx(t).epsilon(1e-11));
      CHECK(noise_to_signal(level) == Approx(sigma_of(schedule, t)).epsilon(8 * support::roundoff<>));
    }
    for (const double sigma : {1e-5, 1e5}) {
      const auto [t, level] = schedule.find(sigma);
      CHECK(t == (sigma < 1 ? 1 : T));
      CHECK(noise_to_signal(level) == Approx(sigma).epsilon(8 * support::roundoff<>));
    }
    CHECK(schedule.find(0).t == 0);
    CHECK(schedule.find(0).level == noise_level{1, 0});
    CHECK(schedule.find(HUGE_VAL).level == noise_level{0, 1});
  }
}

TEST_CASE("A path can be made of a continuous schedule by sigma and by times") {
  const auto schedule = continuous(linear_schedule(1000));
  const run_path by_times(schedule, fractional_linspace_grid(1000, 7));
  const std::vector<double> sigmas = sigmas_of(schedule, fractional_linspace_grid(1000, 7));
  const run_path by_sigmas(schedule, sigmas);
  for (std::size_t k = 0; k <= 7; ++k) {
    CHECK(by_sigmas.point(k).t == Approx(by_times.point(k).t).epsilon(1e-11));
    CHECK(by_sigmas.point(k).level.alpha == Approx(by_times.point(k).level.alpha).epsilon(1e-14));
    CHECK(by_sigmas.point(k).level.sigma == Approx(by_times.point(k).level.sigma).epsilon(1e-14));
  }
  CHECK(by_times.find(1).level.alpha == Approx(std::sqrt(0.5)).epsilon(1e-15));
}

TEST_CASE("A continuous table of sigma stays variance exploding") {
  const auto schedule = continuous(sigma_table({1, 4, 16}));
  CHECK(schedule.level(2.5).alpha == 1);
  CHECK(schedule.level(2.5).sigma == Approx(8).epsilon(8 * support::roundoff<>));
  CHECK(schedule.find(2).t == Approx(1.5).epsilon(8 * support::roundoff<>));
  CHECK(schedule.find(2).level == noise_level{1, 2});
}

TEST_CASE("Zero terminal SNR has no sigma to interpolate until it is given one") {
  const auto discrete = rescale_zero_terminal_snr(linear_schedule(10));
  check_refused([&] { return continuous(discrete); }, {"alpha_bar_T = 0", "(0, 1)", "terminal_alpha_bar"});
  const auto schedule = continuous(discrete, interpolation::log_sigma, 0x1p-24);
  CHECK(sigma_of(schedule, 10) == Approx(std::sqrt(0x1p24 - 1)).epsilon(8 * support::roundoff<>));
  CHECK(schedule.level(9) == discrete.level(9));
  CHECK(schedule.find(1e9).t == 10);
}

TEST_CASE("Times and sigma that a continuous schedule does not have are refused") {
  const auto schedule = continuous(linear_schedule(10));
  check_refused([&] { return schedule.level(0.5); }, {"t = 0.5", "0 or [1, 10]"});
  check_refused([&] { return schedule.level(10.01); }, {"t = 10.01", "0 or [1, 10]"});
  check_refused([&] { return schedule.level(std::nan("")); }, {"t = nan"});
  check_refused([&] { return schedule.find(-1).t; }, {"sigma / alpha = -1", "[0, inf]"});
  check_refused([&] { return schedule.find(std::nan("")).t; }, {"sigma / alpha = nan"});
  check_refused([] { return continuous(linear_schedule(10), interpolation::sigma, 1); },
                {"terminal_alpha_bar = 1", "[0, 1)"});
}
