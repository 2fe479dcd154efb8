#include "diffusion/samplers/dpm_solver_singlestep.hpp"

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

/// Relative error of the variance of a run over N(0.5, 0.7²) in n steps, even in λ from -3 to 3.
double variance_error(const dpm_solver_singlestep& sampler, int n) {
  const support::gaussian data{0.5, 0.7};
  const run_path path(support::vp_points(-6, 6, n));
  const double expected = data.variance_at(path.point(path.size()).level);
  return support::moments_of(make_plan(path, sampler), data).variance / expected - 1;
}

}  // namespace

TEST_CASE("Singlestep DPM-Solver goes over the grid in blocks of its order") {
  const auto blocks = [](int steps, int order, bool lower, bool clean = false) {
    std::vector<path_point> points = support::vp_points(-6, 6, steps);
    if (clean) points.back().level = {1, 0};
    return dpm_solver_singlestep{.order = order, .lower_order_final = lower}.blocks(run_path(points));
  };
  using list = std::vector<int>;
  CHECK(blocks(3, 1, true) == list{1, 1, 1});
  CHECK(blocks(6, 2, false) == list{2, 2, 2});
  CHECK(blocks(6, 2, true) == list{2, 2, 1, 1});
  CHECK(blocks(7, 2, false) == list{2, 2, 2, 1});
  CHECK(blocks(7, 2, true) == list{2, 2, 2, 1});
  CHECK(blocks(9, 3, true) == list{3, 3, 2, 1});
  CHECK(blocks(10, 3, true) == list{3, 3, 3, 1});
  CHECK(blocks(11, 3, true) == list{3, 3, 3, 2});
  CHECK(blocks(1, 3, true) == list{1});
  CHECK(blocks(2, 3, true) == list{2});
  // The step to clean data is always of first order.
  CHECK(blocks(9, 3, false, true) == list{3, 3, 2, 1});
  CHECK(blocks(11, 3, true, true) == list{3, 3, 3, 1, 1});
  CHECK(blocks(1, 2, false, true) == list{1});
  // So is one from zero SNR.
  const path_point noise{2, {0, 1}}, low{1, {0.8, 0.6}}, clean{0, {1, 0}};
  CHECK(dpm_solver_singlestep{}.blocks(run_path(std::vector{noise, low, clean})) == list{1, 1});
}

TEST_CASE("Singlestep DPM-Solver converges with its order on even and uneven grids") {
  const support::mixture data;
  for (const auto form : forms)
    for (const auto type : types)
      for (const double bend : {0.0, 0.4})
        for (int order = 1; order <= 3; ++order) {
          CAPTURE(form, type, bend, order);
          const dpm_solver_singlestep sampler{.order = order, .form = form, .type = type};
          const auto error = [&](int n) { return support::error_of(sampler, data, n, bend); };
          CHECK(std::abs(order_of(error(96), error(192)) - order) < 0.2);
        }
}

TEST_CASE("The singlestep SDE has the right variance, of second order from order 2 on") {
  for (const auto form : forms)
    for (const auto type : types)
      for (const double eta : {0.5, 1.0})
        for (const int order : {2, 3}) {
          CAPTURE(form, type, eta, order);
          const dpm_solver_singlestep sampler{.order = order, .form = form, .type = type, .eta = eta};
          // 110/n²; a first-order method is at 0.03 for n = 192. The error of some changes its sign on the
          // way.
          for (const int n : {96, 192, 384}) CHECK(std::abs(variance_error(sampler, n)) < 110.0 / (n * n));
        }
}

TEST_CASE("diffusers' draws leave first order, and its third order of type heun does not converge") {
  const dpm_solver_singlestep second{.eta = 1, .peer = compat::diffusers};
  CHECK(std::abs(order_of(variance_error(second, 192), variance_error(second, 384)) - 1) < 0.2);
  CHECK(std::abs(variance_error(second, 96)) > std::abs(variance_error({.order = 1, .eta = 1}, 96)));
  CHECK(variance_error({.order = 3, .type = dpm_solver_type::heun, .eta = 1, .peer = compat::diffusers},
                       384) > 10);
}

TEST_CASE("Perfect predictions keep the marginals at every point of a block") {
  std::vector<path_point> points = support::vp_points(-8, 6, 8);
  points.front().level = {0, 1};
  points.push_back({-1, {1, 0}});
  for (const int order : {1, 2, 3})
    for (const auto type : types)
      for (const double eta : {0.0, 0.3, 1.0}) {
        const dpm_solver_singlestep sampler{.order = order, .type = type, .eta = eta};
        const run_plan plan = make_plan(run_path(points), sampler);
        const auto states = support::marginals_of(plan);
        REQUIRE(states.size() == 9);
        CHECK(plan.slots == static_cast<std::size_t>(order - 1));
        for (std::size_t k = 0; k < states.size(); ++k) {
          CHECK(std::abs(states[k].x0 - plan.stages[k].to.level.alpha) < 100 * roundoff<>);
          CHECK(std::abs(states[k].deviation() - plan.stages[k].to.level.sigma) < 100 * roundoff<>);
        }
      }
}

TEST_CASE("Singlestep and multistep DPM-Solver of order 1 are the same") {
  const run_path path(support::vp_points(-8, 6, 7));
  for (const auto form : forms)
    for (const double eta : {0.0, 1.0}) {
      const run_plan a = make_plan(path, dpm_solver_singlestep{.order = 1, .form = form, .eta = eta});
      const run_plan b = make_plan(path, dpm_solver_multistep{.order = 1, .form = form, .eta = eta});
      for (std::size_t k = 0; k < path.size(); ++k) {
        CHECK(a.stages[k].next.now.x == b.stages[k].next.now.x);
        CHECK(a.stages[k].next.now.x0 == b.stages[k].next.now.x0);
        CHECK(a.stages[k].next.now.noise == b.stages[k].next.now.noise);
      }
    }
}

TEST_CASE("Singlestep DPM-Solver refuses bad options and SDE steps towards noise") {
  const run_path path(support::vp_points(-6, 6, 4));
  const run_path inverse(support::vp_points(6, -6, 4));
  const auto plan = [](const run_path& p, const dpm_solver_singlestep& s) {
    return [&] { return s.plan(p); };
  };
  check_refused(plan(path, {.order = 4}), {"order = 4", "1, 2 or 3"});
  check_refused(plan(path, {.eta = -1}), {"eta = -1", "[0, inf)"});
  check_refused(plan(path, {.s_noise = -1}), {"s_noise = -1", "[0, inf)"});
  check_refused(plan(path, {.peer = compat::k_diffusion}), {"peer = \"k_diffusion\"", "none, diffusers"});
  check_refused(plan(inverse, {.eta = 1}), {"eta = 1", "towards more noise"});
  CHECK(dpm_solver_singlestep{}.plan(inverse).stages.size() == 4);
}
