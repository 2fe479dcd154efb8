#include "diffusion/samplers/ipndm.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::error_of;
using support::order_of;
using support::roundoff;

TEST_CASE("iPNDM of order 1 is DDIM") {
  const run_path path(support::vp_points(-6, 5, 7));
  const run_plan plan = make_plan(path, ipndm{.order = 1});
  CHECK(plan.slots == 0);
  for (std::size_t k = 0; k < path.size(); ++k) {
    const step_coefficients want = ddim{}(path.point(k).level, path.point(k + 1).level);
    const step_coefficients& now = plan.stages[k].next.now;
    // α_to/α_from and the multiple of x in ε̂ cancel: an error of the size of e^h < 5.
    CHECK(std::abs(now.x - want.x) <= 32 * roundoff<>);
    CHECK(std::abs(now.x0 - want.x0) <= 32 * roundoff<>);
  }
}

TEST_CASE("iPNDM takes the weights of Adams and Bashforth, of lower orders at the start") {
  const run_path path(support::vp_points(-2, 2, 6));
  const std::vector<std::vector<double>> weights{
      {1}, {1.5, -0.5}, {23.0 / 12, -16.0 / 12, 5.0 / 12}, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
  const run_plan plan = make_plan(path, ipndm{});
  CHECK(plan.slots == 3);
  const support::mixture data;
  std::vector<double> slopes;
  double want = 0.7;
  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto [from, to, eval] = path[k];
    slopes.insert(slopes.begin(), data(want, from.level).epsilon);
    const auto& w = weights[std::min<std::size_t>(k, 3)];
    double mean = 0;
    for (std::size_t j = 0; j < w.size(); ++j) mean += w[j] * slopes[j];
    const double ratio = to.level.alpha / from.level.alpha;
    want = ratio * want + (to.level.sigma - ratio * from.level.sigma) * mean;
  }
  CHECK(run_on(plan, data, 0.7) == Approx(want).epsilon(1e-13));
}

TEST_CASE("iPNDM is of second order") {
  const support::mixture data;
  for (const double bend : {0.0, 0.5, -1.0})
    for (int order = 2; order <= 4; ++order) {
      CAPTURE(bend, order);
      CHECK(order_of(error_of(ipndm{order}, data, 160, bend), error_of(ipndm{order}, data, 320, bend)) ==
            Approx(2).margin(0.2));
    }
}

TEST_CASE("iPNDM starts from pure noise with the mean of the data, which diffusers loses") {
  // The trigonometric path: σ = sin²(πu/2).
  std::vector<path_point> points{{1, {0, 1}}};
  for (int k = 1; k < 10; ++k) {
    const double sigma = std::pow(std::sin(std::acos(-1.0) / 2 * (1 - k / 10.0)), 2);
    points.push_back({1 - k / 10.0, {std::sqrt(1 - sigma * sigma), sigma}});
  }
  points.push_back({0, {1, 0}});
  const run_path path(points);
  const support::gaussian data{0.4, 0.3};
  const run_plan right = make_plan(path, ipndm{});
  const run_plan theirs = make_plan(path, ipndm{.peer = compat::diffusers});
  CHECK(right.stages[0].next.now.x0 == points[1].level.alpha);
  CHECK(theirs.stages[0].next.now.x0 == 0);
  CHECK(right.stages[0].next.now.x == theirs.stages[0].next.now.x);
  CHECK(moments_of(right, data).mean == Approx(0.4).epsilon(1e-12));
  CHECK(moments_of(theirs, data).mean < 0.39);
}

TEST_CASE("iPNDM keeps the marginals and ends at the data") {
  for (const double last : {5.0, HUGE_VAL})
    for (const int n : {1, 2, 9}) {
      auto points = support::vp_points(-6, 5, n);
      if (last == HUGE_VAL) points.back() = {0, {1, 0}};
      const run_plan plan = make_plan(run_path(points), ipndm{});
      const auto states = support::marginals_of(plan);
      REQUIRE(states.size() == static_cast<std::size_t>(n));
      for (std::size_t s = 0; s < states.size(); ++s) {
        CHECK(states[s].x0 == Approx(points[s + 1].level.alpha).epsilon(1e-12));
        CHECK(std::abs(states[s].deviation() - points[s + 1].level.sigma) <= 1e-12);
      }
    }
}

TEST_CASE("iPNDM refuses what it does not have") {
  const run_path path(support::vp_points(-6, 5, 3));
  check_refused([&] { return make_plan(path, ipndm{.order = 0}); }, {"order = 0", "[1, 4]"});
  check_refused([&] { return make_plan(path, ipndm{.order = 5}); }, {"order = 5", "[1, 4]"});
  check_refused([&] { return make_plan(path, ipndm{.peer = compat::k_diffusion}); }, {"peer", "diffusers"});
}
