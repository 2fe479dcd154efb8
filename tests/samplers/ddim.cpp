#include "diffusion/samplers/ddim.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("DDIM with eta 1 is DDPM with posterior variance") {
  for (const auto& [schedule_name, schedule] : support::all_schedules(100))
    for (const auto& [grid_name, grid] : support::all_grids(100, 30))
      for (const auto& [t, s, eval] : grid) {
        CAPTURE(schedule_name, grid_name, t, s);
        const step_coefficients a = ddim{.eta = 1}(schedule.level(t), schedule.level(s));
        const step_coefficients b = posterior(schedule.level(t), schedule.level(s));
        const double tolerance = 32 * roundoff<>;  // 16 for each, all coefficients are at most 1
        CHECK(std::abs(a.x - b.x) <= tolerance);
        CHECK(std::abs(a.x0 - b.x0) <= tolerance);
        CHECK(std::abs(a.noise - b.noise) <= tolerance);
      }
}

TEST_CASE("DDIM is equation 12 of Song et al. 2021") {
  const auto schedule = linear_schedule(1000);
  for (const double eta : {0.0, 0.2, 1.0})
    for (const auto& [t, s] : {std::pair{1000, 980}, {1000, 1}, {500, 499}, {20, 10}}) {
      CAPTURE(eta, t, s);
      const double now = schedule.alpha_bar(t);
      const double next = schedule.alpha_bar(s);
      const double sigma = eta * std::sqrt((1 - next) / (1 - now)) * std::sqrt(1 - now / next);
      const step_coefficients c =
          ddim{.eta = eta, .rederive_epsilon = false}(schedule.level(t), schedule.level(s));
      const double relative = 1e-11;  // of 1 - ᾱ as a difference, 1e-16 over 1e-4
      CHECK(c.x == 0);
      CHECK(c.x0 == Approx(std::sqrt(next)).epsilon(relative));
      // Squared, because the paper's difference cancels: an error of numbers of order one.
      CHECK(std::abs(c.epsilon * c.epsilon - (1 - next - sigma * sigma)) <= 16 * roundoff<>);
      CHECK(c.noise == Approx(sigma).epsilon(relative));
    }
}

TEST_CASE("Both ways to get epsilon agree where x0 is not transformed") {
  for (const double eta : {0.0, 0.7}) {
    const noise_level from{0.6, 0.8};
    const noise_level to{0.8, 0.6};
    const double x = 1.3;
    const double x0 = -0.4;
    const double epsilon = (x - from.alpha * x0) / from.sigma;
    const step_coefficients a = ddim{.eta = eta}(from, to);
    const step_coefficients b = ddim{.eta = eta, .rederive_epsilon = false}(from, to);
    CHECK(a.x * x + a.x0 * x0 == Approx(b.x0 * x0 + b.epsilon * epsilon).epsilon(16 * roundoff<>));
    CHECK(a.epsilon == 0);
    CHECK(a.noise == b.noise);
  }
}

TEST_CASE("DDIM ends at x0, leaves clean data by the network's epsilon and starts from zero SNR") {
  for (const bool rederive : {false, true}) {
    const ddim sampler{.rederive_epsilon = rederive};
    const step_coefficients last = sampler({0.9, 0.3}, {1, 0});
    CHECK(last.x == 0);
    CHECK(last.x0 == 1);
    CHECK(last.epsilon == 0);
    const step_coefficients away = sampler({1, 0}, {0.9, 0.3});
    CHECK(away.x == 0);
    CHECK(away.x0 == 0.9);
    CHECK(away.epsilon == 0.3);
    const step_coefficients first = sampler({0, 1}, {0.6, 0.8});
    CHECK(first.x0 == 0.6);
    CHECK(first.x + first.epsilon == 0.8);
  }
}

TEST_CASE("DDIM refuses eta outside [0, 1], and noise where it leads away from the data") {
  const noise_level low{0.8, 0.6};
  const noise_level high{0.6, 0.8};
  check_refused([&] { return ddim{.eta = -0.5}(high, low); }, {"eta = -0.5", "[0, 1]"});
  check_refused([&] { return ddim{.eta = 1.5}(high, low); }, {"eta = 1.5", "[0, 1]"});
  check_refused([&] { return ddim{.eta = std::nan("")}(high, low); }, {"eta = nan"});
  check_refused([&] { return ddim{.eta = 0.5}(low, high); }, {"SNR"});
  check_refused([&] { return ddim{}({1, -1}, low); }, {"from.sigma = -1"});
  check_refused([&] { return ddim{}(high, {-2, 1}); }, {"to.alpha = -2"});
}
