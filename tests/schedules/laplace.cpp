#include "diffusion/schedules/laplace.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

/// The quantile function of the Laplace distribution, falling in u; its ends are kept finite by 1e-6.
double log_snr_at(double u, double location, double scale) {
  return u <= 0.5 ? location - scale * std::log(2 * u + 1e-6) : location + scale * std::log(2 - 2 * u + 1e-6);
}

}  // namespace

TEST_CASE("The log SNR of the laplace schedule is Laplace distributed over time") {
  for (const laplace_options o : {laplace_options{}, {.location = 1}, {.location = -0.5, .scale = 0.25}}) {
    const int T = 1000;
    const auto schedule = laplace_schedule(T, o);
    // A discrete schedule starts clean, so ᾱ is relative to its value at u = 0.
    const double start = 1 / (1 + std::exp(-log_snr_at(0, o.location, o.scale)));
    for (int t = 1; t < T; ++t) {
      CAPTURE(t);
      const double alpha_bar = schedule.alpha_bar(t) * start;
      const double log_snr = std::log(alpha_bar / (1 - alpha_bar));
      // β is a difference of numbers near 1: every step adds 8 roundoffs to log ᾱ; 1 - ᾱ > 1e-3 magnifies.
      CHECK(log_snr == Approx(log_snr_at(double(t) / T, o.location, o.scale))
                           .margin(8 * t * support::roundoff<> / (1 - alpha_bar)));
    }
  }
}

TEST_CASE("The laplace schedule of diffusers has the square root of the signal power instead") {
  const auto exact = laplace_schedule(100);
  const auto peer = laplace_schedule(100, {.peer = compat::diffusers});
  for (int t = 1; t <= 100; ++t)
    CHECK(peer.alpha_bar(t) == Approx(std::sqrt(exact.alpha_bar(t))).epsilon(1e-12));
  CHECK(peer.alpha_bar(50) > 1.3 * exact.alpha_bar(50));
}

TEST_CASE("A laplace schedule with an illegal scale is refused") {
  check_refused([] { return laplace_schedule(10, {.scale = 0}); }, {"scale = 0", "(0, inf)"});
  check_refused([] { return laplace_schedule(10, {.scale = -1}); }, {"scale = -1", "(0, inf)"});
  check_refused([] { return laplace_schedule(10, {.scale = HUGE_VAL}); }, {"scale = inf", "(0, inf)"});
  check_refused([] { return laplace_schedule(10, {.location = HUGE_VAL}); },
                {"location = inf", "(-inf, inf)"});
  // So wide that its first step has no noise in double.
  check_refused([] { return laplace_schedule(10, {.scale = 60}); }, {"beta_1 = "});
}
