#include "diffusion/schedules/alpha_bar.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("A schedule from a function has its signal power, relative to the start, until beta is capped") {
  const auto f = [](double u) { return 3 * (1 - u) * (1 - u); };
  const auto schedule = schedule_from_alpha_bar(100, f);
  for (int t = 1; t < 100; ++t) {
    const double u = t / 100.0;
    // β has 4 roundoffs of numbers near 1, and ᾱ sums t of them over 1 - β ≥ 1/4.
    CHECK(schedule.alpha_bar(t) == Approx(f(u) / 3).epsilon(32 * (t + 2) * roundoff<>));
  }
  CHECK(schedule.beta(100) == 0.999);
  CHECK(schedule_from_alpha_bar(100, f, 0.5).beta(100) == 0.5);
  CHECK(schedule_from_alpha_bar(100, f, 1).level(100) == noise_level{0, 1});
}

TEST_CASE("A function that does not fall, or is no number, is refused") {
  check_refused([] { return schedule_from_alpha_bar(10, [](double u) { return 1 + u; }); },
                {"beta_1 = -0.1", "(0, 1)"});
  check_refused([] { return schedule_from_alpha_bar(10, [](double) { return 0.0; }); }, {"beta_1 = ", "nan"});
}

TEST_CASE("A cap of beta outside (0, 1] is refused") {
  const auto f = [](double u) { return 1 - u; };
  check_refused([&] { return schedule_from_alpha_bar(10, f, 0); }, {"= 0", "(0, 1"});
  check_refused([&] { return schedule_from_alpha_bar(10, f, 2); }, {"max_beta = 2", "(0, 1]"});
  check_refused([&] { return schedule_from_alpha_bar(10, f, std::nan("")); }, {"max_beta = nan", "(0, 1]"});
}
