#include "diffusion/samplers/churn.hpp"

#include "diffusion/samplers/dpm2.hpp"
#include "diffusion/samplers/euler.hpp"
#include "diffusion/samplers/heun.hpp"
#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("Churn is the gamma of Karras et al. 2022, algorithm 2") {
  const edm_churn churn{.churn = 3, .tmin = 0.5, .tmax = 2};
  CHECK(churn.gamma({1, 1}, 10) == 0.3);
  CHECK(churn.gamma({0.5, 0.5}, 10) == 0.3);  // of σ/α, whatever the process
  CHECK(churn.gamma({1, 0.5}, 10) == 0.3);    // the window is closed
  CHECK(churn.gamma({1, 2}, 10) == 0.3);
  CHECK(churn.gamma({1, 0.49}, 10) == 0);
  CHECK(churn.gamma({1, 2.01}, 10) == 0);
  CHECK(churn.gamma({1, 1}, 5) == std::sqrt(2.0) - 1);  // 0.6 would more than double the variance
  const edm_churn everywhere{.churn = 3};
  CHECK(everywhere.gamma({0, 1}, 10) == 0);
  CHECK(everywhere.gamma({1, 0}, 10) == 0);
}

TEST_CASE("Churn is a stage without evaluation, and the network is then asked about the noisier state") {
  const auto path = support::path_of({2, 1, 0.5}, support::vp_point);
  const auto plan =
      heun{.churn = {.churn = 0.5, .tmin = 1, .tmax = 1}}.plan(path);  // of two steps the second
  REQUIRE(plan.stages.size() == 5);
  const run_stage& lift = plan.stages[2];
  CHECK_FALSE(lift.asks);
  CHECK_FALSE(lift.arrives);
  CHECK(noise_to_signal(lift.to.level) == Approx(1.25));
  CHECK(plan.stages[3].asks);
  CHECK(noise_to_signal(plan.stages[3].eval.level) == Approx(1.25));
  CHECK(lift.next.now.x * lift.from.level.alpha == Approx(lift.to.level.alpha));
  CHECK(lift.next.now.noise / lift.to.level.alpha == Approx(std::sqrt(1.25 * 1.25 - 1)));
}

TEST_CASE("Churn keeps the marginals, unless its noise is scaled") {
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    const auto path = support::path_of(support::log_sigmas(12, true), point);
    const edm_churn churn{.churn = 4, .tmin = 0.2, .tmax = 10};
    support::check_keeps_marginals(euler{.churn = churn}.plan(path));
    support::check_keeps_marginals(heun{.churn = churn}.plan(path));
    support::check_keeps_marginals(dpm2{.churn = churn}.plan(path));
  }
  const auto path = support::path_of({2, 1}, support::ve_point);
  const auto scaled = support::marginals_of(euler{.churn = {.churn = 1, .noise = 1.1}}.plan(path));
  CHECK(scaled.back().deviation() > 1.05);
}

TEST_CASE("Impossible churn is refused") {
  const auto path = support::path_of({2, 1, 0}, support::ve_point);
  const auto refused = [&](edm_churn churn, std::initializer_list<std::string_view> parts) {
    check_refused([&] { return euler{.churn = churn}.plan(path); }, parts);
    check_refused([&] { return heun{.churn = churn}.plan(path); }, parts);
    check_refused([&] { return dpm2{.churn = churn}.plan(path); }, parts);
  };
  refused({.churn = -1}, {"churn = -1", "[0, inf)"});
  refused({.churn = std::nan("")}, {"churn = nan"});
  refused({.churn = 1, .tmin = -2}, {"churn.tmin = -2", "[0, inf)"});
  refused({.churn = 1, .tmin = 2, .tmax = 1}, {"churn.tmax = 1", "[2, inf]"});
  refused({.churn = 1, .noise = -1}, {"churn.noise = -1", "[0, inf)"});
  const std::vector<path_point> points{support::ve_point(2), support::ve_point(1)};
  check_refused([&] { return euler{.churn = {.churn = 1}}.plan(run_path(points)); }, {"no inverse"});
}
