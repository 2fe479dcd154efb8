#include "diffusion/schedules/sigma_table.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("A table of sigma is a variance exploding process with clean data at 0") {
  const sigma_table schedule({0.1, 1, 5});
  CHECK(schedule.steps() == 3);
  CHECK(schedule.level(0) == noise_level{1, 0});
  CHECK(schedule.level(1) == noise_level{1, 0.1});
  CHECK(schedule.level(3) == noise_level{1, 5});
}

TEST_CASE("The log-linear table multiplies sigma by the same factor at every step") {
  const sigma_table schedule = log_linear_sigma_table(4, {0.5, 13.5});
  for (int t = 1; t <= 4; ++t)
    CHECK(schedule.level(t).sigma == Approx(0.5 * std::pow(3, t - 1)).epsilon(8 * support::roundoff<>));
}

TEST_CASE("Illegal tables of sigma are refused") {
  check_refused([] { return sigma_table({}); }, {"steps = 0", "at least 1"});
  check_refused([] { return sigma_table({0, 1}); }, {"sigma_1 = 0", "(0, inf)"});
  check_refused([] { return sigma_table({1, 1}); }, {"sigma_2 = 1", "(1, inf)", "increasing"});
  check_refused([] { return sigma_table({1, HUGE_VAL}); }, {"sigma_2 = inf", "(1, inf)"});
  check_refused([] { return sigma_table({1}).level(2); }, {"t = 2", "[0, 1]"});
}
