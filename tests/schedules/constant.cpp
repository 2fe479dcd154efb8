#include "diffusion/schedules/constant.hpp"

#include "support/check.hpp"

using namespace diffusion;

TEST_CASE("The constant schedule loses the same share of signal in every step") {
  const auto schedule = constant_schedule(100, 0.25);
  for (int t = 1; t <= 100; ++t) {
    CHECK(schedule.beta(t) == 0.25);
    // The error of a logarithm, relatively t additions, absolutely 0.29 t of them.
    CHECK(schedule.alpha_bar(t) ==
          Approx(std::pow(0.75, t)).epsilon(0.3 * t * (t + 8) * support::roundoff<>));
  }
}

TEST_CASE("A constant schedule with an illegal beta is refused") {
  support::check_refused([] { return constant_schedule(10, 0); }, {"beta_1 = 0", "(0, 1)"});
  support::check_refused([] { return constant_schedule(10, 1); }, {"beta_1 = 1", "(0, 1)"});
}
