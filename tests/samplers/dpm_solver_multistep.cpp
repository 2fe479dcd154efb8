#include "diffusion/samplers/dpm_solver_multistep.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

namespace {

constexpr auto forms = {dpm_solver_form::data, dpm_solver_form::noise};
constexpr auto types = {dpm_solver_type::midpoint, dpm_solver_type::heun};

void check_finite(const run_plan& plan) {
  const auto finite = [](const stage_sum& sum) {
    bool all = true;
    for (const double c : {sum.now.x, sum.now.x0, sum.now.epsilon, sum.now.noise})
      all = all && std::isfinite(c);
    for (const auto& [slot, weight] : sum.past) all = all && std::isfinite(weight);
    return all;
  };
  for (const run_stage& stage : plan.stages) {
    CHECK(finite(stage.next));
    for (const memory_write& write : stage.keep) CHECK(finite(write.value));
  }
}

/// As support::error_of, but from λ = -6: the first steps are of lower order, which only does no harm where
/// x̂0 hardly changes. From λ = -3 the first step's error is visible in order 3 from 200 steps on.
double error_of(const dpm_solver_multistep& sampler, int n, double bend) {
  const support::mixture data;
  std::vector<path_point> points;
  for (int k = 0; k <= n; ++k) {
    const double u = double(k) / n;
    points.push_back(support::vp_point(std::exp(6 - 8 * (u + bend * u * (1 - u)))));
  }
  const run_plan plan = make_plan(run_path(points), sampler);
  double worst = 0;
  for (double x = -1.5; x <= 1.5; x += 0.25)
    worst = std::max(worst,
                     std::abs(support::run_on(plan, data, x) -
                              support::probability_flow(data, x, points.front().level, points.back().level)));
  return worst;
}

/// Relative error of the variance of a run over N(0.5, 0.7²) in n steps, even in λ from -3 to 3.
template <class S>
double variance_error(const S& sampler, int n) {
  const support::gaussian data{0.5, 0.7};
  const run_path path(support::vp_points(-6, 6, n));
  const double expected = data.variance_at(path.point(path.size()).level);
  return support::moments_of(make_plan(path, sampler), data).variance / expected - 1;
}

}  // namespace

TEST_CASE("DPM-Solver of order 1 is DDIM, and the SDE form of data is DDPM") {
  const run_path path(support::vp_points(-8, 6, 7));
  for (const auto form : forms) {
    const run_plan ode = make_plan(path, dpm_solver_multistep{.order = 1, .form = form});
    const run_plan reference = make_plan(path, ddim{});
    for (std::size_t k = 0; k < ode.stages.size(); ++k) {
      const step_coefficients &a = ode.stages[k].next.now, &b = reference.stages[k].next.now;
      // α_to/α_from, up to 4, is where the noise form differs from DDIM's σ_to/σ_from by a difference.
      CHECK(std::abs(a.x - b.x) < 32 * roundoff<>);
      CHECK(std::abs(a.x0 - b.x0) < 32 * roundoff<>);
    }
    CHECK(ode.slots == 0);
  }
  const run_plan sde = make_plan(path, dpm_solver_multistep{.order = 1, .eta = 1});
  const run_plan reference = make_plan(path, ddim{.eta = 1});
  for (std::size_t k = 0; k < sde.stages.size(); ++k) {
    const step_coefficients &a = sde.stages[k].next.now, &b = reference.stages[k].next.now;
    CHECK(std::abs(a.x - b.x) < 16 * roundoff<>);
    CHECK(std::abs(a.x0 - b.x0) < 16 * roundoff<>);
    CHECK(std::abs(a.noise - b.noise) < 16 * roundoff<>);
  }
}

TEST_CASE("Multistep DPM-Solver converges with its order on even and uneven grids") {
  for (const auto form : forms)
    for (const auto type : types)
      for (const double bend : {0.0, 0.4})
        for (int order = 1; order <= 3; ++order) {
          CAPTURE(form, type, bend, order);
          const dpm_solver_multistep sampler{.order = order, .form = form, .type = type};
          const auto error = [&](int n) { return error_of(sampler, n, bend); };
          CHECK(std::abs(order_of(error(192), error(384)) - order) < 0.2);
        }
}

TEST_CASE("The peers' third order is second order, in ODE and SDE") {
  for (const auto peer : {compat::diffusers, compat::k_diffusion})
    for (const auto form : forms) {
      const dpm_solver_multistep sampler{.order = 3, .form = form, .peer = peer};
      const auto error = [&](int n) { return error_of(sampler, n, 0.4); };
      CHECK(std::abs(order_of(error(192), error(384)) - 2) < 0.2);
    }
  // With the sign of diffusers' SDE, first order in the variance.
  const dpm_solver_multistep wrong{.order = 3, .eta = 1, .peer = compat::diffusers};
  CHECK(std::abs(order_of(variance_error(wrong, 96), variance_error(wrong, 192)) - 1) < 0.2);
}

TEST_CASE("The SDE has the right variance, of second order from order 2 on") {
  for (const auto form : forms)
    for (const auto type : types)
      for (const double eta : {0.5, 1.0})
        for (const int order : {2, 3}) {
          CAPTURE(form, type, eta, order);
          const dpm_solver_multistep sampler{.order = order, .form = form, .type = type, .eta = eta};
          CHECK(order_of(variance_error(sampler, 96), variance_error(sampler, 192)) > 1.8);
          CHECK(std::abs(variance_error(sampler, 96)) < 0.005);
        }
}

TEST_CASE("Perfect predictions keep the marginals in data form") {
  std::vector<path_point> points = support::vp_points(-8, 6, 9);
  points.push_back({-1, {1, 0}});
  for (const int order : {1, 2, 3})
    for (const double eta : {0.0, 0.3, 1.0}) {
      const run_plan plan = make_plan(run_path(points), dpm_solver_multistep{.order = order, .eta = eta});
      const auto states = support::marginals_of(plan);
      for (std::size_t k = 0; k < states.size(); ++k) {
        CHECK(std::abs(states[k].x0 - plan.stages[k].to.level.alpha) < 100 * roundoff<>);
        CHECK(std::abs(states[k].deviation() - plan.stages[k].to.level.sigma) < 100 * roundoff<>);
      }
    }
}

TEST_CASE(
    "Runs of one and two steps, from zero SNR, to clean data and through a step of length zero are finite") {
  const path_point noise{4, {0, 1}}, high{3, {0.2, 0.98}}, low{2, {0.8, 0.6}}, clean{0, {1, 0}};
  for (const auto form : forms)
    for (const double eta : {0.0, 1.0})
      for (const std::vector<path_point>& points : {std::vector{noise, clean},
                                                    {noise, low},
                                                    {noise, high, clean},
                                                    {noise, high, low, low, clean},
                                                    {high, low, {1, {0.9, 0.4}}, {1, {0.9, 0.4}}}}) {
        const dpm_solver_multistep sampler{.order = 3, .form = form, .eta = eta, .lower_order_final = false};
        const run_plan plan = make_plan(run_path(points), sampler);
        check_finite(plan);
        const stage_sum& last = plan.stages.back().next;
        if (points.back().level.sigma == 0) {  // x̂0 and nothing else
          CHECK(last.past.empty());
          CHECK(last.now.x == 0);
          CHECK(last.now.x0 == 1);
          CHECK(last.now.noise == 0);
        } else if (points[points.size() - 2].level == points.back().level) {  // does nothing
          CHECK(last.now.x == 1);
          CHECK(last.now.x0 == 0);
          CHECK(last.now.noise == 0);
          for (const auto& [slot, weight] : last.past) CHECK(weight == 0);
        }
      }
}

TEST_CASE("The ODE leads from data to noise and back, also from clean data") {
  const support::mixture data;
  std::vector<path_point> up = support::vp_points(6, -4, 100);
  const std::vector<path_point> down(up.rbegin(), up.rend());
  for (const auto form : forms) {
    const dpm_solver_multistep sampler{.order = 3, .form = form};
    const double noised = support::run_on(make_plan(run_path(up), sampler), data, 0.4);
    CHECK(std::abs(noised - support::probability_flow(data, 0.4, up.front().level, up.back().level)) < 1e-3);
    CHECK(std::abs(support::run_on(make_plan(run_path(down), sampler), data, noised) - 0.4) < 1e-3);
    up.insert(up.begin(), {-1, {1, 0}});
    check_finite(make_plan(run_path(up), sampler));
    up.erase(up.begin());
  }
}

TEST_CASE("The order falls at the end of short runs, and at the end of any if asked to") {
  const auto past_of_last = [](dpm_solver_multistep sampler, int steps, std::size_t left) {
    sampler.order = 3;
    const run_plan plan = make_plan(run_path(support::vp_points(-6, 6, steps)), sampler);
    return plan.stages[plan.stages.size() - left].next.past.size();
  };
  CHECK(past_of_last({}, 14, 1) == 0);
  CHECK(past_of_last({}, 14, 2) == 1);
  CHECK(past_of_last({}, 14, 3) == 2);
  CHECK(past_of_last({}, 15, 1) == 2);
  CHECK(past_of_last({.lower_order_final = false}, 14, 1) == 2);
  CHECK(past_of_last({.euler_at_final = true}, 15, 1) == 0);
  CHECK(past_of_last({.euler_at_final = true}, 15, 2) == 2);
}

TEST_CASE("The names of the field are settings") {
  const auto [order, form, type, eta, s_noise, lower, euler, peer] = dpmpp_3m_sde(0.5);
  CHECK(order == 3);
  CHECK(form == dpm_solver_form::data);
  CHECK(type == dpm_solver_type::heun);
  CHECK(eta == 0.5);
  CHECK(s_noise == 1);
  CHECK_FALSE(lower);
  CHECK_FALSE(euler);
  CHECK(peer == compat::none);
  CHECK(dpmpp_2m_sde().eta == 1);
  CHECK(dpmpp_2m().order == 2);
}

TEST_CASE("Multistep DPM-Solver refuses bad options and SDE steps towards noise") {
  const run_path path(support::vp_points(-6, 6, 4));
  const run_path inverse(support::vp_points(6, -6, 4));
  const auto plan = [](const run_path& p, const dpm_solver_multistep& s) {
    return [&] { return s.plan(p); };
  };
  check_refused(plan(path, {.order = 0}), {"order = 0", "1, 2 or 3"});
  check_refused(plan(path, {.order = 4}), {"order = 4", "1, 2 or 3"});
  check_refused(plan(path, {.eta = -1}), {"eta = -1", "[0, inf)"});
  check_refused(plan(path, {.s_noise = std::nan("")}), {"s_noise = nan", "[0, inf)"});
  check_refused(plan(inverse, {.eta = 1}), {"eta = 1", "towards more noise"});
}
