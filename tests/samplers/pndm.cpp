#include "diffusion/samplers/pndm.hpp"

#include "diffusion/samplers/ipndm.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::error_of;
using support::order_of;

namespace {

/// The largest error on a mixture of a run over points with these σ/α.
double error_over(const pndm& method, const std::vector<double>& noise_to_signal) {
  std::vector<path_point> points;
  for (const double value : noise_to_signal) points.push_back(support::vp_point(value));
  const run_plan plan = make_plan(run_path(points, support::vp_point), method);
  const support::mixture data;
  double worst = 0;
  for (double x = -1.5; x <= 1.5; x += 0.25)
    worst = std::max(worst, std::abs(run_on(plan, data, x) -
                                     probability_flow(data, x, points.front().level, points.back().level)));
  return worst;
}

/// Even in σ/α; `halved`: the first three steps in two halves each.
std::vector<double> even(int n, bool halved) {
  std::vector<double> values;
  for (int k = 0; k <= n; ++k) {
    values.push_back(2 - 1.6 * k / n);
    if (halved && k < 3) values.push_back(2 - 1.6 * (k + 0.5) / n);
  }
  return values;
}

/// A path of given steps: a schedule that numbers their levels.
struct listed {
  using time_type = int;
  std::vector<noise_level> levels;
  noise_level level(int number) const { return levels[static_cast<std::size_t>(number)]; }
};
run_path path_of(const std::vector<path_step>& steps) {
  listed schedule;
  std::vector<interval<int>> grid;
  for (const path_step& step : steps)
    schedule.levels.insert(schedule.levels.begin(), {step.eval.level, step.to.level, step.from.level});
  for (int from = static_cast<int>(schedule.levels.size()) - 1; from >= 0; from -= 3)
    grid.push_back({from, from - 1, from - 2});
  return run_path(schedule, time_grid(grid));
}
/// One step for every evaluation of the improved Euler start and what follows.
run_path evaluations_of(const std::vector<path_point>& points) {
  std::vector<path_step> steps{{points[0], points[1], points[0]}, {points[0], points[1], points[1]}};
  for (std::size_t k = 1; k + 1 < points.size(); ++k) steps.push_back({points[k], points[k + 1], points[k]});
  return path_of(steps);
}

}  // namespace

TEST_CASE("PNDM is of second order for steps even in any time") {
  const support::mixture data;
  for (const pndm_start start : {pndm_start::improved_euler, pndm_start::runge_kutta})
    for (const double bend : {0.0, 0.5, -1.0})
      CHECK(order_of(error_of(pndm{start}, data, 160, bend), error_of(pndm{start}, data, 320, bend)) ==
            Approx(2).margin(0.2));
}

TEST_CASE("PNDM is of fourth order for steps even in sigma / alpha") {
  for (const bool halved : {false, true}) {
    const pndm method{halved ? pndm_start::runge_kutta_on_grid : pndm_start::runge_kutta};
    CHECK(order_of(error_over(method, even(160, halved)), error_over(method, even(320, halved))) ==
          Approx(4).margin(0.2));
  }
  // Two steps of the improved Euler start err by O(h³) each.
  CHECK(order_of(error_over({}, even(160, false)), error_over({}, even(320, false))) >= 2.8);
}

TEST_CASE("The two Runge-Kutta starts agree on a path that has the points halfway") {
  const support::mixture data;
  const auto run = [&](const pndm& method, bool halved) {
    std::vector<path_point> points;
    for (const double value : even(6, halved)) points.push_back(support::ve_point(value));
    return run_on(make_plan(run_path(points, support::ve_point), method), data, 1.1);
  };
  CHECK(run({pndm_start::runge_kutta}, false) ==
        Approx(run({pndm_start::runge_kutta_on_grid}, true)).epsilon(1e-13));
}

TEST_CASE("PNDM starts with Heun's method, or with the classical method of Runge and Kutta") {
  const support::mixture data;
  const auto slope = [&](double x, double s) { return data(x, {1, s}).epsilon; };
  const double s = 2;
  const double h = -0.5;
  const double x = 1.3;
  const std::vector<path_point> points{support::ve_point(s), support::ve_point(s + h)};
  const run_path path(points, support::ve_point);
  const double k1 = slope(x, s);
  const double heun = x + h / 2 * (k1 + slope(x + h * k1, s + h));
  CHECK(run_on(make_plan(path, pndm{}), data, x) == Approx(heun).epsilon(1e-14));
  const double k2 = slope(x + h / 2 * k1, s + h / 2);
  const double k3 = slope(x + h / 2 * k2, s + h / 2);
  const double k4 = slope(x + h * k3, s + h);
  CHECK(run_on(make_plan(path, pndm{pndm_start::runge_kutta}), data, x) ==
        Approx(x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).epsilon(1e-14));
}

TEST_CASE("PNDM arrives at every point of the path, with the marginals kept") {
  for (const pndm_start start :
       {pndm_start::improved_euler, pndm_start::runge_kutta, pndm_start::runge_kutta_on_grid})
    for (const int n : {1, 2, 3, 5, 12})
      for (const bool clean : {false, true})
        for (const bool pure : {false, true}) {
          CAPTURE(static_cast<int>(start), n, clean, pure);
          auto points = support::vp_points(-6, 5, n);
          if (clean) points.back() = {0, {1, 0}};
          if (pure) points.front().level = {0, 1};
          const run_plan plan = make_plan(run_path(points, support::vp_point), pndm{start});
          const auto states = support::marginals_of(plan);
          std::size_t arrived = 0;
          for (std::size_t k = 0; k < plan.stages.size(); ++k) {
            const noise_level to = plan.stages[k].to.level;
            CHECK(states[k].x0 == Approx(to.alpha).epsilon(1e-11));
            CHECK(std::abs(states[k].deviation() - to.sigma) <= 1e-11);
            CHECK(plan.stages[k].eval.level.sigma > 0);
            if (plan.stages[k].arrives) CHECK(to == points[++arrived].level);
          }
          CHECK(arrived == static_cast<std::size_t>(n));
        }
}

TEST_CASE("PNDM asks once per step after its start, with 3 vectors of memory") {
  const auto points = support::vp_points(-6, 5, 12);
  const auto plan = [&](pndm_start start) {
    return make_plan(run_path(points, support::vp_point), pndm{start});
  };
  CHECK(plan(pndm_start::improved_euler).stages.size() == 13);
  CHECK(plan(pndm_start::improved_euler).slots == 3);
  CHECK(plan(pndm_start::runge_kutta).stages.size() == 12 + 9);
  CHECK(plan(pndm_start::runge_kutta_on_grid).stages.size() == 12 + 6);
  CHECK(plan(pndm_start::runge_kutta).slots <= 5);
}

TEST_CASE("The listed evaluations of diffusers give the same run where they are those of the grid") {
  const support::mixture data;
  const auto points = support::vp_points(-6, 5, 9);
  CHECK(run_on(make_plan(evaluations_of(points), pndm{.peer = compat::diffusers}), data, 0.7) ==
        run_on(make_plan(run_path(points), pndm{}), data, 0.7));
}

TEST_CASE("The sums of v that diffusers takes leave PNDM of first order") {
  const support::mixture data;
  const auto error = [&](prediction network, int n) {
    std::vector<path_point> points;
    for (int k = 0; k <= n; ++k) points.push_back(support::vp_point(std::exp(3 - 5.0 * k / n)));
    const run_plan plan =
        make_plan(evaluations_of(points), pndm{.peer = compat::diffusers, .network = network});
    return std::abs(run_on(plan, data, 0.5) -
                    probability_flow(data, 0.5, points.front().level, points.back().level));
  };
  CHECK(order_of(error(prediction::epsilon, 160), error(prediction::epsilon, 320)) == Approx(2).margin(0.2));
  CHECK(order_of(error(prediction::v, 160), error(prediction::v, 320)) == Approx(1).margin(0.2));
}

TEST_CASE("PNDM refuses what it does not have") {
  const run_path path(support::vp_points(-6, 5, 3));
  check_refused([&] { return make_plan(path, pndm{static_cast<pndm_start>(9)}); }, {"start = 9"});
  check_refused([&] { return make_plan(path, pndm{.peer = compat::k_diffusion}); }, {"peer", "diffusers"});
  check_refused([&] { return make_plan(path, pndm{.network = prediction::v}); },
                {"network = \"v\"", "epsilon"});
  check_refused([&] { return make_plan(path, pndm{pndm_start::runge_kutta}); },
                {"sigma / alpha", "no inverse"});
  check_refused(
      [&] {
        return make_plan(path, pndm{pndm_start::runge_kutta, compat::diffusers});
      },
      {"number of evaluations = 3", "at least 12"});
}
