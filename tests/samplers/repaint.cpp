#include "diffusion/samplers/repaint.hpp"

#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

/// From λ = -3 over n steps to clean data; the time is the number of steps that are left.
std::vector<path_point> points(int n) {
  std::vector<path_point> result = support::vp_points(-6, 6, n - 1);
  for (path_point& point : result) ++point.t;
  result.push_back({0, {1, 0}});
  return result;
}

/// The times where the run arrives.
std::vector<int> walk(const run_plan& plan) {
  std::vector<int> times;
  for (const auto& stage : plan.stages) times.push_back(static_cast<int>(stage.to.t));
  return times;
}

}  // namespace

TEST_CASE("RePaint jumps back at every multiple of its length, as often as it is told") {
  const run_path path(points(8));
  CHECK(walk(repaint<>{.jump_length = 3, .jump_n_sample = 2}.plan(path)) ==
        std::vector{7, 6, 5, 4, 3, 6, 5, 4, 3, 2, 1, 0, 3, 2, 1, 0});
  CHECK(walk(repaint<>{.jump_length = 4, .jump_n_sample = 3}.plan(path)) ==
        std::vector{7, 6, 5, 4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3, 2, 1, 0});
  CHECK(walk(repaint<>{.jump_length = 8}.plan(path)) == std::vector{7, 6, 5, 4, 3, 2, 1, 0});
}

TEST_CASE("RePaint that goes down once is its sampler") {
  const run_path path(points(8));
  const auto plan = repaint<ddim>{.sampler = {.eta = 0.5}, .jump_length = 2, .jump_n_sample = 1}.plan(path);
  const auto plain = make_plan(path, ddim{.eta = 0.5});
  REQUIRE(plan.stages.size() == plain.stages.size());
  CHECK(plan.slots == 0);
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    CHECK(plan.stages[k].next.now.x == plain.stages[k].next.now.x);
    CHECK(plan.stages[k].next.now.x0 == plain.stages[k].next.now.x0);
    CHECK(plan.stages[k].next.now.noise == plain.stages[k].next.now.noise);
  }
}

TEST_CASE("RePaint's jumps keep the marginals, also those from clean data") {
  const auto plan = repaint<>{.jump_length = 3, .jump_n_sample = 4}.plan(run_path(points(10)));
  CHECK(plan.slots == 0);
  const auto states = support::marginals_of(plan);
  for (std::size_t k = 0; k < states.size(); ++k) {
    const noise_level level = plan.stages[k].to.level;
    CAPTURE(k, level.alpha);
    // Ten roundings in each of 40 stages.
    CHECK(std::abs(states[k].x0 - level.alpha) <= 40 * 10 * support::roundoff<>);
    CHECK(std::abs(states[k].deviation() - level.sigma) <= 40 * 10 * support::roundoff<>);
  }
}

TEST_CASE("A jump asks nothing, a step down asks once and arrives") {
  for (const auto& stage :
       repaint<>{.jump_length = 3, .jump_n_sample = 3}.plan(run_path(points(10))).stages) {
    CHECK(stage.arrives);
    CHECK(stage.asks == (stage.to.t < stage.from.t));
    CHECK(stage.eval.level == stage.from.level);
  }
}

TEST_CASE("Bad jumps are refused") {
  const run_path path(points(8));
  check_refused([&] { return repaint<>{.jump_length = 0}.plan(path); }, {"jump_length = 0", "at least 1"});
  check_refused([&] { return repaint<>{.jump_n_sample = 0}.plan(path); },
                {"jump_n_sample = 0", "at least 1"});
}
