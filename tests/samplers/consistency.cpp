#include "diffusion/samplers/consistency.hpp"

#include "diffusion/samplers/ddim.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("Consistency sampling keeps the marginals of every process") {
  const std::vector<path_point> flow{{1, {0, 1}}, {0.6, {0.4, 0.6}}, {0.2, {0.8, 0.2}}, {0, {1, 0}}};
  const std::vector<path_point> trig{
      {1.5, {std::cos(1.5), 0.5 * std::sin(1.5)}}, {0.7, {std::cos(0.7), 0.5 * std::sin(0.7)}}, {0, {1, 0}}};
  for (const auto& points : {flow, trig, support::vp_points(-9, 4, 5)}) {
    const auto states = support::marginals_of(make_plan(run_path(points), consistency{}));
    for (std::size_t k = 0; k < states.size(); ++k) {
      CAPTURE(k);
      CHECK(states[k].x0 == Approx(points[k + 1].level.alpha).epsilon(4 * roundoff<>));
      CHECK(states[k].deviation() == Approx(points[k + 1].level.sigma).epsilon(4 * roundoff<>));
    }
  }
}

TEST_CASE("A consistency model's remaining noise counts as part of the next level") {
  // The network returns x_ε = x_0 + ε n, so that a step to τ holds noise of variance ε² + (τ² - ε²).
  const consistency sampler{.sigma_min = 0.1};
  const step_coefficients step = sampler({1, 10}, {1, 0.7});
  CHECK(step.x == 0);
  CHECK(step.x0 == 1);
  CHECK(step.noise * step.noise + 0.1 * 0.1 == Approx(0.7 * 0.7).epsilon(8 * roundoff<>));
  const step_coefficients scaled = sampler({0.1, 1}, {0.5, 0.35});  // the same σ/α
  CHECK(scaled.x0 == 0.5);
  CHECK(scaled.noise == Approx(step.noise / 2).epsilon(8 * roundoff<>));
  CHECK(consistency{.sigma_min = 0.1, .s_noise = 0.5}({1, 10}, {1, 0.7}).noise == step.noise / 2);
}

TEST_CASE("Consistency sampling ends at x0, be it clean or at the smallest sigma") {
  for (const noise_level end : {noise_level{1, 0}, noise_level{1, 0.002}}) {
    const step_coefficients last = consistency{.sigma_min = 0.002}({1, 80}, end);
    CHECK(last.x0 == 1);
    CHECK(last.x == 0);
    CHECK(last.noise == 0);
  }
}

TEST_CASE("Consistency sampling in one step and ddim in one step are the same") {
  const step_coefficients a = consistency{}({0, 1}, {1, 0});
  const step_coefficients b = ddim{}({0, 1}, {1, 0});
  CHECK(a.x0 == b.x0);
  CHECK(a.x == b.x);
  CHECK(a.noise == b.noise);
}

TEST_CASE("Consistency sampling refuses negative and infinite options") {
  for (const double bad : {-0.1, std::nan(""), double(INFINITY)}) {
    check_refused(
        [&] {
          return consistency{.sigma_min = bad}({1, 2}, {1, 1});
        },
        {"sigma_min = ", "[0, inf)"});
    check_refused([&] { return consistency{.s_noise = bad}({1, 2}, {1, 1}); }, {"s_noise = ", "[0, inf)"});
  }
  check_refused([] { return consistency{}({1, 2}, {1, -1}); }, {"to.sigma = -1"});
}
