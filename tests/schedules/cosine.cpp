#include "diffusion/schedules/cosine.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("The cosine schedule is equation 17 of Nichol and Dhariwal 2021 until beta is capped") {
  for (const double s : {0.008, 0.1})
    for (const int T : {10, 1000, 4000}) {
      const auto schedule = cosine_schedule(T, {.s = s});
      const auto f = [&](int t) {
        const long double x = (static_cast<long double>(t) / T + s) / (1 + static_cast<long double>(s));
        const long double c = std::cos(std::numbers::pi_v<long double> / 2 * x);
        return c * c;
      };
      int capped = 0;
      double worst = 0;
      for (int t = 1; t <= T; ++t) {
        const auto beta = static_cast<double>(1 - f(t) / f(t - 1));
        if (beta >= 0.999) {
          ++capped;
          CHECK(schedule.beta(t) == 0.999);
          continue;
        }
        // The angles have errors of 3 roundoffs; their difference π/2T and cos near π/2 magnify them by T.
        worst = std::max(worst, std::abs(schedule.beta(t) / beta - 1) / (16 * T * support::roundoff<>));
        const auto alpha_bar = static_cast<double>(f(t) / f(0));
        worst =
            std::max(worst, std::abs(schedule.alpha_bar(t) / alpha_bar - 1) / (64 * T * support::roundoff<>));
      }
      CAPTURE(s, T);
      CHECK(capped == 1);
      CHECK(worst <= 1);
    }
}

TEST_CASE("The cap of the cosine schedule can be chosen, 1 ends at zero SNR to rounding") {
  CHECK(cosine_schedule(10, {.max_beta = 0.5}).beta(10) == 0.5);
  CHECK(cosine_schedule(10, {.max_beta = 1}).alpha_bar(10) < 1e-30);
}

TEST_CASE("A cosine schedule with illegal options is refused") {
  check_refused([] { return cosine_schedule(10, {.s = 0}); }, {"s = 0", "(0, inf)"});
  check_refused([] { return cosine_schedule(10, {.s = -0.5}); }, {"s = -0.5", "(0, inf)"});
  check_refused([] { return cosine_schedule(10, {.s = HUGE_VAL}); }, {"s = inf", "(0, inf)"});
  check_refused([] { return cosine_schedule(10, {.max_beta = 0}); }, {"max_beta = 0", "(0, 1]"});
  check_refused([] { return cosine_schedule(10, {.max_beta = 2}); }, {"max_beta = 2", "(0, 1]"});
}
