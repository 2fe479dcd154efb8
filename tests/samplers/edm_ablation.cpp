#include "diffusion/samplers/edm_ablation.hpp"

#include "diffusion/samplers/heun.hpp"
#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

namespace {

constexpr edm_schedule all_schedules[] = {edm_schedule::linear, edm_schedule::vp, edm_schedule::ve};
constexpr edm_scaling all_scalings[] = {edm_scaling::none, edm_scaling::vp};

}  // namespace

TEST_CASE("The ablation sampler with its defaults is Heun's method") {
  const auto path = support::path_of(support::log_sigmas(10, true), support::vp_point);
  const edm_churn churn{.churn = 2};
  const auto a = edm_ablation{.churn = churn}.plan(path);
  const auto b = heun{.churn = churn}.plan(path);
  REQUIRE(a.stages.size() == b.stages.size());
  const auto end = [&](const run_plan& plan) {
    return support::run_on(
        plan, 0.8, [](double x, const run_stage& s) { return support::mixture{}(x, s.eval.level); },
        [](std::size_t k) { return std::sin(double(k)); }, [](std::size_t, double) {});
  };
  CHECK(end(a) == Approx(end(b)).epsilon(1e-13));
}

TEST_CASE("The ablation sampler steps straight in its own time and scale") {
  // Two stages of dx/dt in finite differences of what t and s(t) are: x(t) = s(t) (x_0 + σ(t) ε), x_0 and ε
  // known.
  const double beta_d = 19.9, beta_min = 0.1, x0 = 0.4, epsilon = -0.7;
  const auto vp_sigma = [&](double t) { return std::sqrt(std::exp((beta_d / 2 * t + beta_min) * t) - 1); };
  for (const edm_schedule schedule : all_schedules)
    for (const edm_scaling scaling : all_scalings) {
      CAPTURE(int(schedule), int(scaling));
      const auto sigma = [&](double t) {
        return schedule == edm_schedule::linear ? t
               : schedule == edm_schedule::ve   ? std::sqrt(t)
                                                : vp_sigma(t);
      };
      const auto scale = [&](double t) {
        return scaling == edm_scaling::none ? 1 : 1 / std::sqrt(1 + sigma(t) * sigma(t));
      };
      const auto exact = [&](double t) { return scale(t) * (x0 + sigma(t) * epsilon); };
      const double t = 0.7, to = 0.3, d = 1e-5;
      const double slope = (exact(t + d) - exact(t - d)) / (2 * d);
      const double y = (exact(t) + (to - t) * slope) / scale(to);  // in VE
      for (const auto& [name, point] : support::all_processes()) {
        CAPTURE(name);
        const auto path = support::path_of({sigma(t), sigma(to)}, point);
        const auto plan =
            edm_ablation{.solver = edm_solver::euler, .schedule = schedule, .scaling = scaling}.plan(path);
        const noise_level from = path[0].from.level;
        const step_coefficients c = plan.stages.at(0).next.now;
        const double end = c.x * (from.alpha * x0 + from.sigma * epsilon) + c.x0 * x0;
        CHECK(std::abs(end / path[0].to.level.alpha - y) <=
              1e-7);  // d² of the differences, third derivative 10³
      }
    }
}

TEST_CASE("The ablation sampler has order 2 for every schedule, scaling and alpha, 1 with Euler's method") {
  const support::mixture data;
  const auto order = [&](const edm_ablation& sampler, int n, double bend) {
    return order_of(support::error_of(sampler, data, n, bend), support::error_of(sampler, data, 2 * n, bend));
  };
  for (const edm_schedule schedule : all_schedules)
    for (const edm_scaling scaling : all_scalings) {
      CAPTURE(int(schedule), int(scaling));
      for (const double alpha : {0.5, 2.0 / 3, 1.0}) {
        CAPTURE(alpha);
        CHECK(order({.alpha = alpha, .schedule = schedule, .scaling = scaling}, 512, 0) ==
              Approx(2).margin(0.2));
      }
      CHECK(order({.solver = edm_solver::euler, .schedule = schedule, .scaling = scaling}, 512, 0) ==
            Approx(1).margin(0.2));
    }
  CHECK(order({.alpha = 2.0 / 3, .schedule = edm_schedule::vp, .scaling = edm_scaling::vp}, 512, 0.5) ==
        Approx(2).margin(0.2));
}

TEST_CASE("The ablation sampler is the same in every process and finite to clean data") {
  for (const edm_schedule schedule : all_schedules)
    for (const edm_scaling scaling : all_scalings) {
      const edm_ablation sampler{
          .alpha = 0.7, .schedule = schedule, .scaling = scaling, .churn = {.churn = 2}};
      support::check_same_in_every_process(sampler, support::log_sigmas(16, true));
      support::check_finite(sampler.plan(support::path_of({2, 0}, support::vp_point)));
    }
}

TEST_CASE("The ablation sampler refuses pure noise and impossible options") {
  const auto path = support::path_of({2, 1}, support::ve_point);
  check_refused([&] { return edm_ablation{.alpha = 0}.plan(path); }, {"alpha = 0", "(0, 1]"});
  check_refused([&] { return edm_ablation{.alpha = 1.5}.plan(path); }, {"alpha = 1.5", "(0, 1]"});
  check_refused([&] { return edm_ablation{.schedule = edm_schedule::vp, .beta_d = -1}.plan(path); },
                {"beta_d = -1", "[0, inf)"});
  check_refused(
      [&] { return edm_ablation{.schedule = edm_schedule::vp, .beta_d = 0, .beta_min = 0}.plan(path); },
      {"beta_min = 0", "> 0 where beta_d = 0"});
  const std::vector<path_point> pure{{2, {0, 1}}, support::vp_point(1)};
  check_refused([&] { return edm_ablation{}.plan(run_path(pure)); }, {"level.alpha = 0", "(0, inf)"});
}
