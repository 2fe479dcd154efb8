#include "diffusion/samplers/flow_heun.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::roundoff;

namespace {
std::size_t evaluations(const run_plan& plan) {
  std::size_t n = 0;
  for (const auto& stage : plan.stages) n += stage.asks ? 1 : 0;
  return n;
}
}  // namespace

TEST_CASE("Heun along a flow is of order 2, on even and on bent grids") {
  const support::mixture data;
  for (const double bend : {0.0, 0.4}) {
    CAPTURE(bend);
    const double coarse = support::error_of(flow_heun{}, data, 128, bend);
    const double fine = support::error_of(flow_heun{}, data, 256, bend);
    CHECK(support::order_of(coarse, fine) == Approx(2).margin(0.2));
  }
}

TEST_CASE("Heun along a flow averages the velocities at both ends of a step") {
  const path_point points[] = {{0.8, {0.2, 0.8}}, {0.5, {0.5, 0.5}}};
  const support::mixture data;
  const double x = 0.7;
  const auto velocity = [&](double at, noise_level level) {
    const auto [x0, epsilon] = data(at, level);
    return epsilon - x0;
  };
  const double first = velocity(x, points[0].level);
  const double second = velocity(x - 0.3 * first, points[1].level);
  CHECK(support::run_on(make_plan(run_path(points), flow_heun{}), data, x) ==
        Approx(x - 0.3 * (first + second) / 2).epsilon(16 * roundoff<>));
}

TEST_CASE("Heun along a flow starts from pure noise with two evaluations and ends clean with one") {
  const path_point points[] = {{1, {0, 1}}, {0.6, {0.4, 0.6}}, {0, {1, 0}}};
  const run_plan plan = make_plan(run_path(points), flow_heun{});
  CHECK(evaluations(plan) == 3);
  CHECK(plan.slots <= 1);
  CHECK(plan.stages[0].eval.level == points[0].level);
  CHECK(plan.stages[1].eval.level == points[1].level);
  const auto states = support::marginals_of(plan);
  CHECK(states.back().x0 == Approx(1).epsilon(8 * roundoff<>));
  CHECK(states.back().deviation() <= 8 * roundoff<>);
  const run_plan one = make_plan(run_path(std::vector<path_point>{points[0], points[2]}), flow_heun{});
  CHECK(evaluations(one) == 1);
  CHECK(one.stages[0].next.now.x0 == 1);
}

TEST_CASE("Heun along a flow is exact where the flow is straight") {
  // A point as the data: every velocity of a path is the same.
  const support::gaussian point{0.3, 0};
  const path_point points[] = {{1, {0, 1}}, {0.6, {0.4, 0.6}}, {0.1, {0.9, 0.1}}};
  CHECK(support::run_on(make_plan(run_path(points), flow_heun{}), point, 1.5) ==
        Approx(0.9 * 0.3 + 0.1 * 1.5).epsilon(16 * roundoff<>));
}
