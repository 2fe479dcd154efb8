#include "diffusion/samplers/deis.hpp"

#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/sa_solver.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::error_of;
using support::order_of;
using support::roundoff;

namespace {

double order(const deis& method, int n, double bend) {
  const support::mixture data;
  return order_of(error_of(method, data, n, bend), error_of(method, data, 2 * n, bend));
}

}  // namespace

TEST_CASE("DEIS of order 1 is DDIM") {
  const auto points = support::vp_points(-6, 5, 7);
  const run_path path(points);
  const run_plan plan = make_plan(path, deis{.order = 1});
  CHECK(plan.slots == 0);
  for (std::size_t k = 0; k < path.size(); ++k) {
    const step_coefficients want = ddim{}(path.point(k).level, path.point(k + 1).level);
    const step_coefficients& now = plan.stages[k].next.now;
    // e^h - 1 against a ratio of levels: the worst factor is e^h < 5.
    CHECK(std::abs(now.x - want.x) <= 32 * roundoff<>);
    CHECK(std::abs(now.x0 - want.x0) <= 32 * roundoff<>);
    CHECK(now.epsilon == 0);
    CHECK(plan.stages[k].next.past.empty());
  }
}

TEST_CASE("DEIS of order 2 takes the exact integral of a line in log rho") {
  const run_path path(support::vp_points(-2, 2, 3));
  const run_plan plan = make_plan(path, deis{.order = 2, .lower_order_final = false});
  REQUIRE(plan.stages[1].next.past.size() == 1);
  const auto [from, to, eval] = path[1];
  const double last = path.noise_to_signal(0);
  const double rho = path.noise_to_signal(1);
  const double next = path.noise_to_signal(2);
  // ∫ log(r/rho) dr from rho to next over log(last/rho) is the weight of the older ε̂.
  const double want = to.level.alpha * (next * std::log(next / rho) - (next - rho)) / std::log(last / rho);
  CHECK(plan.stages[1].next.past[0].weight == Approx(want).epsilon(1e-14));
}

TEST_CASE("DEIS has its order where the start does not limit it, and order 2 where it does") {
  for (int k = 1; k <= 4; ++k) {
    CAPTURE(k);
    const deis method{.order = k, .lower_order_final = false};
    CHECK(order(method, 160, -1) == Approx(k).margin(0.2));  // steps that begin like u²
    CHECK(order(method, k == 3 ? 640 : 160, 0.3) >= std::min(k, 2) - 0.2);
  }
  CHECK(order(deis{.order = 2, .lower_order_final = false}, 80, 0) == Approx(2).margin(0.2));
}

TEST_CASE("DEIS lowers its order at the end of runs below 15 steps, if it is to") {
  for (const int n : {14, 15})
    for (const bool lower : {true, false}) {
      const run_plan plan =
          make_plan(run_path(support::vp_points(-6, 5, n)), deis{.order = 3, .lower_order_final = lower});
      const auto past_of = [&](int k) {
        return plan.stages[static_cast<std::size_t>(n - k)].next.past.size();
      };
      CHECK(past_of(1) == (n < 15 && lower ? 0 : 2));
      CHECK(past_of(2) == (n < 15 && lower ? 1 : 2));
      CHECK(past_of(3) == 2);
    }
}

TEST_CASE("DEIS is the noise form of SA-Solver without noise and corrector") {
  const run_path path(support::vp_points(-6, 5, 9));
  for (int k = 1; k <= 4; ++k) {
    const sa_solver other{
        .predictor_order = k, .corrector_order = 0, .tau = constant_tau(0), .basis = prediction::epsilon};
    CHECK(run_on(make_plan(path, deis{.order = k}), support::mixture{}, 0.7) ==
          run_on(make_plan(path, other), support::mixture{}, 0.7));
  }
}

TEST_CASE("DEIS of order 2 is the noise form of DPM-Solver 2M of type heun") {
  const run_path path(support::vp_points(-6, 5, 9));
  const dpm_solver_multistep other{.form = dpm_solver_form::noise, .type = dpm_solver_type::heun};
  CHECK(run_on(make_plan(path, deis{.order = 2}), support::mixture{}, 0.7) ==
        Approx(run_on(make_plan(path, other), support::mixture{}, 0.7)).epsilon(1e-13));
}

TEST_CASE("DEIS keeps the marginals, remembers order - 1 vectors and asks once per step") {
  for (int k = 1; k <= 4; ++k) {
    const run_path path(support::vp_points(-6, 5, 12));
    const run_plan plan = make_plan(path, deis{.order = k});
    CHECK(plan.slots == static_cast<std::size_t>(k - 1));
    const auto states = support::marginals_of(plan);
    REQUIRE(states.size() == path.size());
    for (std::size_t s = 0; s < states.size(); ++s) {
      CHECK(states[s].x0 == Approx(path.point(s + 1).level.alpha).epsilon(1e-12));
      CHECK(states[s].deviation() == Approx(path.point(s + 1).level.sigma).epsilon(1e-12));
    }
  }
}

TEST_CASE("DEIS refuses orders that it does not have") {
  const run_path path(support::vp_points(-6, 5, 3));
  check_refused([&] { return make_plan(path, deis{.order = 0}); }, {"order = 0", "[1, 8]"});
  check_refused([&] { return make_plan(path, deis{.order = 9}); }, {"order = 9", "[1, 8]"});
}
