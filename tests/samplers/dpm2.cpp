#include "diffusion/samplers/dpm2.hpp"

#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

TEST_CASE("DPM-2 is the midpoint method with the midpoint of log sigma") {
  const support::mixture data;
  const double from = 2, to = 0.8, x = 1.1;
  const double middle = std::sqrt(from * to);
  const double half = x + (middle - from) * (x - data(x, {1, from}).x0) / from;
  const double whole = x + (to - from) * (half - data(half, {1, middle}).x0) / middle;
  const auto plan = dpm2{}.plan(support::path_of({from, to}, support::ve_point));
  REQUIRE(plan.stages.size() == 2);
  CHECK(plan.slots == 1);
  CHECK_FALSE(plan.stages[0].arrives);
  CHECK(noise_to_signal(plan.stages[1].eval.level) == middle);
  CHECK(support::run_on(plan, data, x) == Approx(whole).epsilon(32 * roundoff<>));
}

TEST_CASE("DPM-2 is of order 2, with churn in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.5})
    CHECK(order_of(support::error_of(dpm2{}, data, 64, bend), support::error_of(dpm2{}, data, 128, bend)) ==
          Approx(2).margin(0.2));
  const dpm2 churned{.churn = {.churn = 10}};
  CHECK(order_of(support::variance_error(churned, 100), support::variance_error(churned, 200)) ==
        Approx(2).margin(0.2));
  support::check_same_in_every_process(churned, support::log_sigmas(12, true));
}

TEST_CASE("DPM-2 is finite from zero SNR and to and from clean data, where it is Euler's method") {
  const std::vector<path_point> points{{2, {0, 1}}, support::vp_point(1), {0, {1, 0}}};
  const auto plan = dpm2{}.plan(run_path(points));
  support::check_finite(plan);
  support::check_keeps_marginals(plan);
  CHECK(plan.stages.size() == 2);
  support::check_finite(dpm2{}.plan(support::path_of({0, 0.5, 1}, support::vp_point)));
  support::check_finite(dpm2{}.plan(support::path_of({0.5, 0.5}, support::vp_point)));
}

TEST_CASE("DPM-2 needs the inverse of the schedule") {
  const std::vector<path_point> points{support::vp_point(2), support::vp_point(1)};
  check_refused([&] { return dpm2{}.plan(run_path(points)); }, {"no inverse"});
}
