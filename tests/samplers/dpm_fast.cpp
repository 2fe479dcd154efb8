#include "diffusion/samplers/dpm_fast.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

namespace {

run_path path_of(std::vector<path_point> points) { return run_path(points, support::vp_point); }

}  // namespace

TEST_CASE("DPM-Solver-fast spends exactly its evaluations") {
  for (int n = 1; n <= 20; ++n) {
    const dpm_fast sampler{.evaluations = n};
    const run_plan plan = make_plan(path_of(support::vp_points(-6, 6, sampler.steps())), sampler);
    CHECK(plan.stages.size() == static_cast<std::size_t>(n));
    CHECK(plan.slots <= 2);
  }
}

TEST_CASE("DPM-Solver-fast is of third order, with noise in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.4}) {
    const auto error = [&](int steps) {
      return support::error_of(dpm_fast{.evaluations = 3 * steps - 1}, data, steps, bend);
    };
    CHECK(std::abs(order_of(error(24), error(48)) - 3) < 0.2);
  }
  const support::gaussian normal{0.5, 0.7};
  const auto variance_error = [&](int steps) {
    const run_path path = path_of(support::vp_points(-6, 6, steps));
    const dpm_fast sampler{.evaluations = 3 * steps - 1, .eta = 1};
    return support::moments_of(make_plan(path, sampler), normal).variance /
               normal.variance_at(path.point(path.size()).level) -
           1;
  };
  for (const int steps : {24, 48, 96}) CHECK(std::abs(variance_error(steps)) < 1.0 / (steps * steps * steps));
}

TEST_CASE("DPM-Solver-fast keeps the marginals of perfect predictions and ends without noise") {
  for (const double eta : {0.0, 0.6, 1.0}) {
    const dpm_fast sampler{.evaluations = 11, .eta = eta};
    const run_plan plan = make_plan(path_of(support::vp_points(-6, 6, sampler.steps())), sampler);
    const auto states = support::marginals_of(plan);
    for (std::size_t k = 0; k < states.size(); ++k) {
      if (!plan.stages[k].arrives) continue;
      CHECK(std::abs(states[k].x0 - plan.stages[k].to.level.alpha) < 200 * roundoff<>);
      CHECK(std::abs(states[k].deviation() - plan.stages[k].to.level.sigma) < 200 * roundoff<>);
    }
    CHECK(plan.stages.back().next.now.noise == 0);
  }
}

TEST_CASE("DPM-Solver-fast refuses other numbers of steps, and bad options") {
  const auto points = support::vp_points(-6, 6, 4);
  const auto plan = [&](const dpm_fast& s) { return [&] { return s.plan(path_of(points)); }; };
  check_refused(plan({}), {"evaluations = 0", "at least 1"});
  check_refused(plan({.evaluations = 12}), {"number of steps = 4", "5"});
  check_refused(plan({.evaluations = 11, .eta = 2}), {"eta = 2", "[0, 1]"});
  check_refused(plan({.evaluations = 11, .s_noise = -1}), {"s_noise = -1", "[0, inf)"});
}
