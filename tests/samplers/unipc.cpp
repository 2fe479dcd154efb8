#include "diffusion/samplers/unipc.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::error_of;
using support::order_of;
using support::roundoff;

namespace {

double order(const unipc& method, int n, double bend) {
  const support::mixture data;
  return order_of(error_of(method, data, n, bend), error_of(method, data, 2 * n, bend));
}

std::vector<unipc> all(int p) {
  std::vector<unipc> methods;
  for (const unipc_b b : {unipc_b::bh1, unipc_b::bh2})
    for (const prediction basis : {prediction::x0, prediction::epsilon})
      for (const bool corrector : {true, false})
        methods.push_back({.order = p, .b = b, .basis = basis, .corrector = corrector});
  return methods;
}

void check_finite(const run_plan& plan) {
  const auto finite = [](const stage_sum& sum) {
    bool all = std::isfinite(sum.now.x) && std::isfinite(sum.now.x0) && std::isfinite(sum.now.epsilon) &&
               std::isfinite(sum.now.noise);
    for (const memory_term& term : sum.past) all = all && std::isfinite(term.weight);
    return all;
  };
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    CAPTURE(k);
    CHECK(finite(plan.stages[k].next));
    for (const memory_write& write : plan.stages[k].keep) CHECK(finite(write.value));
  }
}

}  // namespace

TEST_CASE("UniPC is of order p + 1, and of order p without its corrector") {
  for (int p = 1; p <= 3; ++p)
    for (unipc method : all(p)) {
      method.lower_order_final = false;
      CAPTURE(p, method.b == unipc_b::bh1, name(method.basis), method.corrector);
      const int expected = method.corrector ? p + 1 : p;
      CHECK(order(method, 160, -1) == Approx(expected).margin(0.2));  // steps that begin like u²
      // Even steps of λ and a bent grid: the first step is of order 1, or 2 if corrected, and limits the run
      // to one order more.
      const int limit = method.corrector ? 3 : 2;
      if (expected <= limit) {
        CHECK(order(method, 160, 0) == Approx(expected).margin(0.2));
        CHECK(order(method, 160, 0.5) == Approx(expected).margin(0.2));
      } else {
        CHECK(order(method, 160, 0) >= limit - 0.2);
        CHECK(order(method, 160, 0.5) >= limit - 0.2);
      }
    }
}

TEST_CASE("UniPC corrects as if it had kept the state before the step") {
  // The paper's algorithm for p = 1, with arrays: predict, ask, correct from the old state, predict.
  const support::mixture data;
  const run_path path(support::vp_points(-5, 3, 4));
  const run_plan plan = make_plan(path, unipc{.order = 1});
  CHECK(plan.slots == 1);
  double before = 0.7;  // the corrected state at the start of a step
  double model = data(before, path.point(0).level).x0;
  double predicted = 0;
  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto [from, to, eval] = path[k];
    const double e = std::exp(path.half_log_snr(k) - path.half_log_snr(k + 1));
    const double sum = to.level.sigma / from.level.sigma * before + to.level.alpha * (1 - e) * model;
    predicted = sum;
    if (k + 1 == path.size()) break;
    const double at_end = data(predicted, to.level).x0;
    before = sum + to.level.alpha * (1 - e) / 2 * (at_end - model);
    model = at_end;
  }
  CHECK(run_on(plan, data, 0.7) == Approx(predicted).epsilon(1e-13));
}

TEST_CASE("UniP-1 is DDIM, and the bases agree in it") {
  const run_path path(support::vp_points(-6, 5, 7));
  for (const unipc& method : all(1)) {
    if (method.corrector) continue;
    const run_plan plan = make_plan(path, method);
    CHECK(plan.slots == 0);
    for (std::size_t k = 0; k < path.size(); ++k) {
      const step_coefficients want = ddim{}(path.point(k).level, path.point(k + 1).level);
      CHECK(std::abs(plan.stages[k].next.now.x - want.x) <= 32 * roundoff<>);
      CHECK(std::abs(plan.stages[k].next.now.x0 - want.x0) <= 32 * roundoff<>);
    }
  }
}

TEST_CASE("UniPC leaves the steps alone that are not to be corrected") {
  const run_path path(support::vp_points(-6, 5, 6));
  const support::mixture data;
  const auto end = [&](const unipc& method) { return run_on(make_plan(path, method), data, 0.7); };
  CHECK(end({.uncorrected_steps = {0, 1, 2, 3, 4, 5}}) == end({.corrector = false}));
  CHECK(end({.uncorrected_steps = {5}}) == end({}));  // no prediction follows the last step
  CHECK(end({.uncorrected_steps = {4}}) != end({}));
  const run_plan some = make_plan(path, unipc{.uncorrected_steps = {0, 1}});
  const run_plan none = make_plan(path, unipc{.corrector = false});
  for (const std::size_t k : {0u, 1u, 2u}) CHECK(some.stages[k].next.now.x0 == none.stages[k].next.now.x0);
  CHECK(some.stages[3].next.now.x0 != none.stages[3].next.now.x0);
}

TEST_CASE("UniPC keeps the marginals, with p vectors of memory and one question per step") {
  for (int p = 1; p <= 5; ++p)
    for (const unipc& method : all(p)) {
      const run_path path(support::vp_points(-6, 5, 12));
      const run_plan plan = make_plan(path, method);
      CHECK(plan.slots == static_cast<std::size_t>(method.corrector ? p : p - 1));
      const auto states = support::marginals_of(plan);
      REQUIRE(states.size() == path.size());
      for (std::size_t s = 0; s < states.size(); ++s) {
        CHECK(states[s].x0 == Approx(path.point(s + 1).level.alpha).epsilon(1e-12));
        CHECK(states[s].deviation() == Approx(path.point(s + 1).level.sigma).epsilon(1e-12));
      }
    }
}

TEST_CASE("UniPC starts from pure noise, ends at the predicted data and sits out steps of length zero") {
  for (int p = 1; p <= 4; ++p)
    for (unipc method : all(p))
      for (const bool lower : {true, false}) {
        method.lower_order_final = lower;
        for (const int n : {1, 2, 3, 6}) {
          CAPTURE(p, method.b == unipc_b::bh1, name(method.basis), method.corrector, lower, n);
          std::vector<path_point> points;
          for (int k = 0; k <= n; ++k) points.push_back({double(n - k), {double(k) / n, 1 - double(k) / n}});
          const run_plan plan = make_plan(run_path(points), method);
          check_finite(plan);
          const step_coefficients last = plan.stages.back().next.now;
          CHECK(last.x == 0);
          CHECK(last.x0 == 1);
          CHECK(plan.stages.back().next.past.empty());

          points.front().level = {0.1, 0.99};
          points.back() = points[points.size() - 2];
          if (n > 2) points[2] = points[1];
          check_finite(make_plan(run_path(points), method));
        }
        const run_path still(std::vector<path_point>{{2, {0.3, 0.8}}, {1, {0.6, 0.5}}, {1, {0.6, 0.5}}});
        const run_plan plan = make_plan(still, method);
        CHECK(plan.stages.size() == 2);
        if (!method.corrector) {
          CHECK(plan.stages[1].next.now.x == 1);
          CHECK(plan.stages[1].next.now.x0 == 0);
          CHECK(plan.stages[1].next.past.empty());
        }
      }
}

TEST_CASE("UniPC refuses what it does not have") {
  const run_path path(support::vp_points(-6, 5, 3));
  check_refused([&] { return make_plan(path, unipc{.order = 0}); }, {"order = 0", "[1, 8]"});
  check_refused([&] { return make_plan(path, unipc{.order = 9}); }, {"order = 9", "[1, 8]"});
  check_refused([&] { return make_plan(path, unipc{.b = static_cast<unipc_b>(7)}); }, {"b = 7", "bh2"});
  check_refused([&] { return make_plan(path, unipc{.basis = prediction::v}); },
                {"basis = \"v\"", "x0 or epsilon"});
  check_refused([&] { return make_plan(path, unipc{.uncorrected_steps = {3}}); },
                {"uncorrected step = 3", "[0, 2]"});
}
