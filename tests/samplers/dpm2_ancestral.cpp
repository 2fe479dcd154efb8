#include "diffusion/samplers/dpm2_ancestral.hpp"

#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;

TEST_CASE("Ancestral DPM-2 keeps the marginals and is of order 2 in distribution") {
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    const auto path = support::path_of(support::log_sigmas(12, true), point);
    for (const double eta : {0.0, 0.4, 1.0})
      support::check_keeps_marginals(dpm2_ancestral{.eta = eta}.plan(path));
  }
  support::check_same_in_every_process(dpm2_ancestral{.s_noise = 1.01}, support::log_sigmas(12, true));
  for (const double eta : {0.5, 1.0})
    CHECK(order_of(support::variance_error(dpm2_ancestral{.eta = eta}, 100),
                   support::variance_error(dpm2_ancestral{.eta = eta}, 200)) == Approx(2).margin(0.2));
}

TEST_CASE("Ancestral DPM-2 asks at the middle of the step down, and is DPM-2 for eta 0") {
  const auto path = support::path_of({2, 1}, support::ve_point);
  const auto plan = dpm2_ancestral{}.plan(path);
  REQUIRE(plan.stages.size() == 2);
  CHECK(noise_to_signal(plan.stages[1].eval.level) == Approx(1));  // η = 1: ς_down = ς'²/ς = ½
  CHECK(plan.stages[0].next.now.noise == 0);
  CHECK(plan.stages[1].next.now.noise == Approx(std::sqrt(0.75)));
  const support::mixture data;
  CHECK(support::run_on(dpm2_ancestral{.eta = 0}.plan(path), data, 0.9) ==
        support::run_on(dpm2{}.plan(path), data, 0.9));
}

TEST_CASE("Ancestral DPM-2 is finite from zero SNR and refuses impossible options") {
  const std::vector<path_point> points{{2, {0, 1}}, support::vp_point(1), {0, {1, 0}}};
  const auto plan = dpm2_ancestral{}.plan(run_path(points));
  support::check_finite(plan);
  support::check_keeps_marginals(plan);
  const auto path = support::path_of({2, 1}, support::ve_point);
  check_refused([&] { return dpm2_ancestral{.eta = 2}.plan(path); }, {"eta = 2", "[0, 1]"});
  check_refused([&] { return dpm2_ancestral{.s_noise = -1}.plan(path); }, {"s_noise = -1", "[0, inf)"});
}
