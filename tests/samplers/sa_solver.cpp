#include "diffusion/samplers/sa_solver.hpp"

#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/unipc.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::error_of;
using support::order_of;
using support::roundoff;

namespace {

/// Relative error of the variance of a run over Gaussian data.
double variance_error(const sa_solver& method, int n) {
  const support::gaussian data{0.4, 0.3};
  std::vector<path_point> points;
  for (int k = 0; k <= n; ++k) points.push_back(support::vp_point(std::exp(3 - 5.0 * k / n)));
  const support::moments end = moments_of(make_plan(run_path(points), method), data);
  CHECK(end.mean == Approx(data.mean_at(points.back().level)).epsilon(1e-12));
  return std::abs(end.variance / data.variance_at(points.back().level) - 1);
}

}  // namespace

TEST_CASE("SA-Solver of order 1 is DDPM for tau 1 and DDIM for tau 0") {
  const run_path path(support::vp_points(-6, 5, 7));
  for (const double tau : {0.0, 1.0}) {
    const sa_solver method{.predictor_order = 1, .corrector_order = 0, .tau = constant_tau(tau)};
    const run_plan plan = make_plan(path, method);
    CHECK(plan.slots == 0);
    for (std::size_t k = 0; k < path.size(); ++k) {
      const noise_level from = path.point(k).level;
      const noise_level to = path.point(k + 1).level;
      const step_coefficients want = tau == 0 ? ddim{}(from, to) : ddpm{}(from, to);
      const step_coefficients& now = plan.stages[k].next.now;
      CHECK(std::abs(now.x - want.x) <= 32 * roundoff<>);
      CHECK(std::abs(now.x0 - want.x0) <= 32 * roundoff<>);
      CHECK(std::abs(now.noise - want.noise) <= 32 * roundoff<>);
    }
  }
}

TEST_CASE("SA-Solver without noise and with the half rule is UniPC with B(h) = h") {
  const run_path path(support::vp_points(-6, 5, 9));
  const support::mixture data;
  for (int p = 1; p <= 4; ++p) {
    const sa_solver a{
        .predictor_order = p, .corrector_order = p + 1, .tau = constant_tau(0), .half_rule = true};
    CHECK(run_on(make_plan(path, a), data, 0.7) ==
          run_on(make_plan(path, unipc{.order = p, .b = unipc_b::bh1}), data, 0.7));
  }
}

TEST_CASE("SA-Solver without noise has the order of its corrector") {
  const support::mixture data;
  for (const prediction basis : {prediction::x0, prediction::epsilon})
    for (const bool half : {true, false})
      for (const auto& [p, c] : {std::pair{1, 0}, {1, 1}, {1, 2}, {2, 0}, {2, 2}, {2, 3}, {3, 0}, {3, 4}}) {
        CAPTURE(name(basis), half, p, c);
        const sa_solver method{.predictor_order = p,
                               .corrector_order = c,
                               .tau = constant_tau(0),
                               .basis = basis,
                               .half_rule = half,
                               .lower_order_final = false};
        const double measured = order_of(error_of(method, data, 320, -1), error_of(method, data, 640, -1));
        CHECK(measured == Approx(c > 0 ? c : p).margin(0.2));
      }
}

TEST_CASE("SA-Solver has the right variance on Gaussian data, to second order with two predictions") {
  for (const bool half : {true, false})
    for (const double tau : {0.5, 1.0, 1.4})
      for (const auto& [p, c, order] : {std::tuple{1, 0, 1}, {2, 0, 2}, {1, 2, 2}}) {
        CAPTURE(half, tau, p, c);
        const sa_solver method{.predictor_order = p,
                               .corrector_order = c,
                               .tau = constant_tau(tau),
                               .half_rule = half,
                               .lower_order_final = false};
        CHECK(order_of(variance_error(method, 200), variance_error(method, 400)) ==
              Approx(order).margin(0.1));
      }
  for (const double tau : {0.5, 1.0, 1.4}) {
    // More predictions show more than second order before noise limits them.
    const sa_solver method{.predictor_order = 3, .corrector_order = 4, .tau = constant_tau(tau)};
    CHECK(order_of(variance_error(method, 100), variance_error(method, 200)) >= 1.9);
    const sa_solver other{.tau = constant_tau(tau), .basis = prediction::epsilon, .lower_order_final = false};
    CHECK(order_of(variance_error(other, 200), variance_error(other, 400)) == Approx(2).margin(0.1));
  }
}

TEST_CASE("SA-Solver corrects with the noise of the step, of which its corrector has the same share") {
  // One component of the noise of step 0 in the state after step 1, by hand: order 1, then the implicit
  // formula.
  const std::vector<path_point> points = support::vp_points(-3, 1, 2);
  const run_path path(points);
  const support::gaussian data{0, 0.5};
  const run_plan plan =
      make_plan(path, sa_solver{.predictor_order = 1, .corrector_order = 1, .tau = constant_tau(0.7)});
  const auto slope = [&](std::size_t k) { return data(1, points[k].level).x0; };
  const auto step = [&](std::size_t k) {
    const auto [from, to, eval] = path[k];
    const double h = path.half_log_snr(k + 1) - path.half_log_snr(k);
    struct {
      double x, x0, noise;
    } c{to.level.sigma / from.level.sigma * std::exp(-0.49 * h), to.level.alpha * (1 - std::exp(-1.49 * h)),
        to.level.sigma * std::sqrt(1 - std::exp(-0.98 * h))};
    return c;
  };
  const double predicted = step(0).noise;  // share of z_0 in what the network sees
  const double corrected =
      predicted + step(0).x0 * slope(1) * predicted;  // x̂0 at the end instead of the start
  const double want = step(1).x * corrected + step(1).x0 * slope(1) * predicted;
  const double measured = support::run_on(
      plan, 0.0, [&](double x, const run_stage& stage) { return data(x, stage.eval.level); },
      [](std::size_t k) { return k == 0 ? 1.0 : 0.0; }, [](std::size_t, double) {});
  CHECK(measured == Approx(want).epsilon(1e-14));
}

TEST_CASE("SA-Solver keeps the marginals in the x0 basis, for any tau and pair of orders") {
  const run_path path(support::vp_points(-6, 5, 12));
  for (const double tau : {0.0, 0.5, 1.0, 1.4})
    for (const prediction basis : {prediction::x0, prediction::epsilon})
      for (int p = 1; p <= 4; ++p)
        for (int c = 0; c <= p + 1; ++c) {
          CAPTURE(tau, name(basis), p, c);
          const sa_solver method{
              .predictor_order = p, .corrector_order = c, .tau = constant_tau(tau), .basis = basis};
          const run_plan plan = make_plan(path, method);
          CHECK(plan.slots == static_cast<std::size_t>(c == 0 ? p - 1 : std::max(p, c - 1)));
          const auto states = support::marginals_of(plan);
          REQUIRE(states.size() == path.size());
          // Extrapolation from four predictions and back multiplies roundings in every one of the twelve
          // steps.
          if (basis == prediction::x0 || tau == 0)
            for (std::size_t s = 0; s < states.size(); ++s) {
              CHECK(states[s].x0 == Approx(path.point(s + 1).level.alpha).epsilon(1e-10));
              CHECK(states[s].deviation() == Approx(path.point(s + 1).level.sigma).epsilon(1e-10));
            }
          else  // too much noise: of variance 1 + τ²(1+τ²)(e^h - 1)² after the first step
            CHECK(states[0].deviation() ==
                  Approx(
                      path.point(1).level.sigma *
                      std::sqrt(1 + tau * tau * (1 + tau * tau) *
                                        std::pow(std::expm1(path.half_log_snr(1) - path.half_log_snr(0)), 2)))
                      .epsilon(1e-12));
        }
}

TEST_CASE("SA-Solver makes noise only where tau says so") {
  const run_path path(support::vp_points(-6, 5, 5));  // times 5 … 0
  const run_plan plan = make_plan(path, sa_solver{.tau = tau_between(2, 4, 0.5)});
  for (const run_stage& stage : plan.stages)
    CHECK((stage.next.now.noise > 0) == (stage.from.t >= 2 && stage.from.t <= 4));
  const run_plan by_default = make_plan(path, sa_solver{});
  const run_plan constant = make_plan(path, sa_solver{.tau = constant_tau(1)});
  for (std::size_t k = 0; k < path.size(); ++k)
    CHECK(by_default.stages[k].next.now.noise == constant.stages[k].next.now.noise);
}

TEST_CASE("SA-Solver starts from pure noise, ends at the predicted data and sits out steps of length zero") {
  for (const double tau : {0.0, 0.8})
    for (const prediction basis : {prediction::x0, prediction::epsilon})
      for (const int n : {1, 2, 3, 6}) {
        CAPTURE(tau, name(basis), n);
        std::vector<path_point> points;
        for (int k = 0; k <= n; ++k) points.push_back({double(n - k), {double(k) / n, 1 - double(k) / n}});
        const sa_solver method{.predictor_order = 3,
                               .corrector_order = 3,
                               .tau = constant_tau(tau),
                               .basis = basis,
                               .lower_order_final = false};
        const run_plan plan = make_plan(run_path(points), method);
        const step_coefficients last = plan.stages.back().next.now;
        CHECK(last.x == 0);
        CHECK(last.x0 == 1);
        CHECK(last.noise == 0);
        CHECK(plan.stages.back().next.past.empty());
        if (n > 1) {  // after one step the state is α x_0 plus noise of deviation σ
          const step_coefficients first = plan.stages[0].next.now;
          CHECK(first.x0 == points[1].level.alpha);
          CHECK(first.x + first.noise == Approx(points[1].level.sigma).epsilon(4 * roundoff<>));
        }
        for (const run_stage& stage : plan.stages)
          for (const memory_term& term : stage.next.past) CHECK(std::isfinite(term.weight));
      }
  const run_path still(std::vector<path_point>{{2, {0.3, 0.8}}, {1, {0.6, 0.5}}, {1, {0.6, 0.5}}});
  for (const prediction basis : {prediction::x0, prediction::epsilon}) {
    const run_plan plan = make_plan(still, sa_solver{.corrector_order = 0, .basis = basis});
    CHECK(plan.stages[1].next.now.x == 1);
    CHECK(plan.stages[1].next.now.x0 == 0);
    CHECK(plan.stages[1].next.now.noise == 0);
  }
}

TEST_CASE("SA-Solver refuses what it does not have") {
  const std::vector<path_point> points = support::vp_points(-6, 5, 3);
  const run_path path(points);
  check_refused([&] { return make_plan(path, sa_solver{.predictor_order = 0}); },
                {"predictor_order = 0", "[1, 8]"});
  check_refused([&] { return make_plan(path, sa_solver{.corrector_order = -1}); },
                {"corrector_order = -1", "[0, 8]"});
  check_refused([&] { return make_plan(path, sa_solver{.tau = constant_tau(-0.5)}); },
                {"tau(3) = -0.5", "[0, inf)"});
  check_refused([&] { return make_plan(path, sa_solver{.basis = prediction::v}); }, {"basis = \"v\""});
  check_refused([&] { return tau_between(3, 2); }, {"first = 3", "at most 2"});
  const run_path away(std::vector<path_point>(points.rbegin(), points.rend()));
  check_refused([&] { return make_plan(away, sa_solver{}); }, {"SNR"});
  CHECK_NOTHROW(make_plan(away, sa_solver{.tau = constant_tau(0)}));
}
