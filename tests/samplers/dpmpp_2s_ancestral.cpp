#include "diffusion/samplers/dpmpp_2s_ancestral.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

namespace {

run_path path_of(std::vector<path_point> points) { return run_path(points, support::vp_point); }

/// Relative error of the variance of a run over N(0.5, 0.7²) in n steps, even in λ from -3 to 3.
double variance_error(double eta, int n) {
  const support::gaussian data{0.5, 0.7};
  const run_path path = path_of(support::vp_points(-6, 6, n));
  const double expected = data.variance_at(path.point(path.size()).level);
  return support::moments_of(make_plan(path, dpmpp_2s_ancestral{.eta = eta}), data).variance / expected - 1;
}

}  // namespace

TEST_CASE("DPM++ 2S is of second order, with noise in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.4}) {
    const auto error = [&](int n) { return support::error_of(dpmpp_2s_ancestral{.eta = 0}, data, n, bend); };
    CHECK(std::abs(order_of(error(48), error(96)) - 2) < 0.2);
  }
  for (const double eta : {0.3, 1.0}) {
    CHECK(std::abs(order_of(variance_error(eta, 96), variance_error(eta, 192)) - 2) < 0.2);
    CHECK(std::abs(variance_error(eta, 96)) < 0.003);
  }
}

TEST_CASE("DPM++ 2S keeps the marginals, from zero SNR to clean data, with one slot of memory") {
  std::vector<path_point> points = support::vp_points(-8, 6, 8);
  points.front().level = {0, 1};
  points.push_back({-1, {1, 0}});
  for (const double eta : {0.0, 0.5, 1.0}) {
    const run_plan plan = make_plan(path_of(points), dpmpp_2s_ancestral{.eta = eta});
    CHECK(plan.slots == 1);
    CHECK(plan.stages.size() == 2 * 9 - 2);  // no middle in the first and last step
    const auto states = support::marginals_of(plan);
    for (std::size_t k = 0; k < states.size(); ++k) {
      if (!plan.stages[k].arrives) continue;
      CHECK(std::abs(states[k].x0 - plan.stages[k].to.level.alpha) < 100 * roundoff<>);
      CHECK(std::abs(states[k].deviation() - plan.stages[k].to.level.sigma) < 100 * roundoff<>);
    }
  }
}

TEST_CASE("DPM++ 2S asks in the middle of the way down in the half log-SNR") {
  const run_path path = path_of({support::vp_point(4), support::vp_point(1)});
  const run_plan ode = make_plan(path, dpmpp_2s_ancestral{.eta = 0});
  CHECK(noise_to_signal(ode.stages[1].eval.level) == Approx(2));
  // ς_down = ς_to²/ς_from = 1/4
  const run_plan ancestral = make_plan(path, dpmpp_2s_ancestral{});
  CHECK(noise_to_signal(ancestral.stages[1].eval.level) == Approx(1));
  CHECK_FALSE(ancestral.stages[0].arrives);
  CHECK(ancestral.stages[1].arrives);
}

TEST_CASE("DPM++ 2S refuses bad options and schedules without an inverse") {
  const auto points = support::vp_points(-6, 6, 4);
  const auto plan = [&](const dpmpp_2s_ancestral& s) { return [&] { return s.plan(path_of(points)); }; };
  check_refused(plan({.eta = -1}), {"eta = -1", "[0, inf)"});
  check_refused(plan({.eta = 1.5}), {"eta = 1.5", "[0, 1]"});
  check_refused(plan({.s_noise = -1}), {"s_noise = -1", "[0, inf)"});
  check_refused([&] { return dpmpp_2s_ancestral{}.plan(run_path(points)); }, {"sigma / alpha", "no inverse"});
}
