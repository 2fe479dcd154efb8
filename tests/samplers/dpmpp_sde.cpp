#include "diffusion/samplers/dpmpp_sde.hpp"

#include "diffusion/samplers/dpm_solver_singlestep.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

namespace {

run_path path_of(std::vector<path_point> points) { return run_path(points, support::vp_point); }

/// Relative error of the variance of a run over N(0.5, 0.7²) in n steps, even in λ from -3 to 3.
double variance_error(const dpmpp_sde& sampler, int n) {
  const support::gaussian data{0.5, 0.7};
  const run_path path = path_of(support::vp_points(-6, 6, n));
  const double expected = data.variance_at(path.point(path.size()).level);
  return support::moments_of(make_plan(path, sampler), data).variance / expected - 1;
}

}  // namespace

TEST_CASE("DPM++ SDE is of second order, with noise in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.4})
    for (const double r : {0.3, 0.5}) {
      const dpmpp_sde sampler{.eta = 0, .r = r};
      const auto error = [&](int n) { return support::error_of(sampler, data, n, bend); };
      CHECK(std::abs(order_of(error(48), error(96)) - 2) < 0.2);
    }
  for (const double eta : {0.5, 1.0}) {
    const dpmpp_sde sampler{.eta = eta};
    CHECK(std::abs(order_of(variance_error(sampler, 96), variance_error(sampler, 192)) - 2) < 0.2);
    CHECK(std::abs(variance_error(sampler, 96)) < 0.003);
  }
}

TEST_CASE("With independent draws as the peers' formula takes them DPM++ SDE is of first order") {
  const dpmpp_sde sampler{.peer = compat::k_diffusion};
  CHECK(std::abs(order_of(variance_error(sampler, 96), variance_error(sampler, 192)) - 1) < 0.2);
  CHECK(std::abs(variance_error(sampler, 96)) > 0.05);
}

TEST_CASE("DPM++ SDE is the singlestep SDE solver over a grid with the middles") {
  const std::vector<path_point> fine = support::vp_points(-6, 4, 8);
  std::vector<path_point> coarse;
  for (std::size_t k = 0; k < fine.size(); k += 2) coarse.push_back(fine[k]);
  const run_plan a = make_plan(path_of(coarse), dpmpp_sde{});
  const run_plan b = make_plan(path_of(fine), dpm_solver_singlestep{.eta = 1});
  const support::gaussian data{0.5, 0.7};
  const auto draws = [](std::size_t k) { return std::sin(7.0 * double(k + 1)); };
  const auto run = [&](const run_plan& plan) {
    return support::run_on(
        plan, 1.3, [&](double x, const run_stage& stage) { return data(x, stage.eval.level); }, draws,
        [](std::size_t, double) {});
  };
  CHECK(std::abs(run(a) - run(b)) < 1e-13);
}

TEST_CASE("DPM++ SDE keeps the marginals, from zero SNR to clean data") {
  std::vector<path_point> points = support::vp_points(-8, 6, 8);
  points.front().level = {0, 1};
  points.push_back({-1, {1, 0}});
  for (const auto peer : {compat::none, compat::k_diffusion})
    for (const double eta : {0.0, 0.5, 1.0})
      for (const double r : {0.3, 0.5}) {
        const run_plan plan = make_plan(path_of(points), dpmpp_sde{.eta = eta, .r = r, .peer = peer});
        CHECK(plan.slots == 1);
        const auto states = support::marginals_of(plan);
        for (std::size_t k = 0; k < states.size(); ++k) {
          CHECK(std::abs(states[k].x0 - plan.stages[k].to.level.alpha) < 100 * roundoff<>);
          CHECK(std::abs(states[k].deviation() - plan.stages[k].to.level.sigma) < 100 * roundoff<>);
        }
      }
}

TEST_CASE("DPM++ SDE refuses bad options") {
  const auto points = support::vp_points(-6, 6, 4);
  const auto plan = [&](const dpmpp_sde& s) { return [&] { return s.plan(path_of(points)); }; };
  check_refused(plan({.eta = 1.5}), {"eta = 1.5", "[0, 1]"});
  check_refused(plan({.s_noise = -1}), {"s_noise = -1", "[0, inf)"});
  check_refused(plan({.r = 0}), {"r = 0", "(0, 1)"});
  check_refused(plan({.r = 1}), {"r = 1", "(0, 1)"});
}
