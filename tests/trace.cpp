#include "diffusion/trace.hpp"

#include <vector>

#include "diffusion/schedules/linear.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

run_path even_path(int n) { return run_path(support::vp_points(-4, 4, n)); }

/// x ← x/2 + x̂0/4 in every step, written by `write` beside what it adds.
template <class Write>
run_plan traced_run(int n, Write write) {
  const run_path path = even_path(n);
  trace run(path);
  traced x = run.x();
  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto p = run.ask(x, path[k].from);
    x = write(run, 0.5 * x + 0.25 * p.x0, p);
    run.arrive(x, path[k].to);
  }
  return run.finish();
}

}  // namespace

TEST_CASE("A step without memory is one stage of four coefficients") {
  const run_plan plan = traced_run(
      2, [](trace& run, traced x, const auto& p) { return x - 2 * p.epsilon + 0.125 * run.noise(); });
  CHECK(plan.slots == 0);
  REQUIRE(plan.stages.size() == 2);
  for (const run_stage& stage : plan.stages) {
    CHECK(stage.asks);
    CHECK(stage.arrives);
    CHECK(stage.next.now.x == 0.5);
    CHECK(stage.next.now.x0 == 0.25);
    CHECK(stage.next.now.epsilon == -2);
    CHECK(stage.next.now.noise == 0.125);
    CHECK(stage.next.past.empty());
    CHECK(stage.keep.empty());
  }
  CHECK(plan.stages[0].to.level == plan.stages[1].from.level);
}

TEST_CASE("An earlier prediction takes a slot from the step that makes it to the last that reads it") {
  for (const std::size_t reach : {1u, 2u, 3u}) {
    CAPTURE(reach);
    std::vector<traced> past;
    const run_plan plan = traced_run(8, [&](trace&, traced x, const auto& p) {
      if (past.size() >= reach) x += 0.75 * past[past.size() - reach];
      past.push_back(p.x0);
      return x;
    });
    CHECK(plan.slots == reach);
    for (std::size_t k = 0; k < 8; ++k) {
      const run_stage& stage = plan.stages[k];
      // The slot that is read for the last time is the one that the new prediction takes.
      CHECK(stage.next.past.size() == (k >= reach ? 1 : 0));
      CHECK(stage.keep.size() == (k + reach < 8 ? 1 : 0));
      if (k >= reach && !stage.keep.empty()) CHECK(stage.keep[0].slot == stage.next.past[0].slot);
      for (const auto& write : stage.keep) CHECK(write.value.now.x0 == 1);
    }
  }
}

TEST_CASE("What is never read again takes no memory, however long it is held") {
  std::vector<traced> held;
  const run_plan plan = traced_run(5, [&](trace& run, traced x, const auto& p) {
    held.push_back(run.keep(x + p.epsilon));
    held.push_back(p.x0);
    return x;
  });
  CHECK(plan.slots == 0);
}

TEST_CASE("A kept sum takes one slot for all of its terms, and is written out in its own stage") {
  const run_path path = even_path(1);
  const auto heun = [&](bool kept) {
    trace run(path);
    traced x = run.x();
    const auto first = run.ask(x, path[0].from);
    traced start = 3.0 * x + 2.0 * first.epsilon + 5.0 * first.x0;
    if (kept) start = run.keep(start);
    x = 0.5 * start;
    x = start + 7.0 * run.ask(x, path[0].to).epsilon;
    run.arrive(x, path[0].to);
    return run.finish();
  };
  const run_plan plan = heun(true);
  CHECK(plan.slots == 1);
  CHECK(plan.stages[0].next.now.x == 1.5);
  CHECK(plan.stages[0].next.now.x0 == 2.5);
  CHECK_FALSE(plan.stages[0].arrives);
  REQUIRE(plan.stages[0].keep.size() == 1);
  CHECK(plan.stages[0].keep[0].value.now.epsilon == 2);
  CHECK(plan.stages[1].next.now.epsilon == 7);
  CHECK(plan.stages[1].next.now.x == 0);
  CHECK(heun(false).slots == 3);
  // Both are the same run.
  const support::mixture data;
  CHECK(support::run_on(plan, data, 0.3) == Approx(support::run_on(heun(false), data, 0.3)).epsilon(1e-15));
}

TEST_CASE("A kept sum of kept sums and of older memory is what it says") {
  const run_path path = even_path(3);
  trace run(path);
  traced x = run.x();
  traced a, b;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto p = run.ask(x, path[k].from);
    if (k == 0) a = run.keep(2.0 * x + p.x0);
    if (k == 1) b = run.keep(run.keep(a + x) + 10.0 * p.x0);
    x = k < 2 ? 0.5 * x : b;
    run.arrive(x, path[k].to);
  }
  const run_plan plan = run.finish();
  CHECK(plan.slots == 1);  // b takes the place of a
  const support::mixture data;
  const auto x0_at = [&](double value, std::size_t k) { return data(value, path[k].from.level).x0; };
  const double start = 0.7;
  CHECK(support::run_on(plan, data, start) ==
        Approx(2 * start + x0_at(start, 0) + start / 2 + 10 * x0_at(start / 2, 1)).epsilon(1e-14));
}

TEST_CASE("Noise can be used again by a later stage") {
  const run_path path = even_path(2);
  trace run(path);
  traced x = run.x();
  run.ask(x, path[0].from);
  const traced z = run.noise();
  x += z;
  run.arrive(x, path[0].to);
  run.ask(x, path[1].from);
  x += 0.5 * z + 0.25 * run.noise();
  run.arrive(x, path[1].to);
  const run_plan plan = run.finish();
  CHECK(plan.slots == 1);
  CHECK(plan.stages[0].keep[0].value.now.noise == 1);
  const auto end = support::marginals_of(plan).back();
  CHECK(end.normals.at(1) == 1.5);
  CHECK(end.normals.at(2) == 0.25);
}

TEST_CASE("Adding noise without asking is a stage of its own") {
  const run_path path = even_path(1);
  trace run(path);
  traced x = run.x();
  x += 0.5 * run.noise();
  run.ask(x, path[0].from);
  run.arrive(x, path[0].to);
  const run_plan plan = run.finish();
  REQUIRE(plan.stages.size() == 2);
  CHECK_FALSE(plan.stages[0].asks);
  CHECK(plan.stages[0].next.now.noise == 0.5);
  CHECK(plan.stages[1].asks);
  CHECK(plan.stages[1].next.now.x == 1);
}

TEST_CASE("Asking twice about the same state makes two stages") {
  const run_path path = even_path(1);
  trace run(path);
  traced x = run.x();
  const auto first = run.ask(x, path[0].from);
  const auto second = run.ask(x, path[0].to);
  x = first.x0 - second.x0;
  run.arrive(x, path[0].to);
  const run_plan plan = run.finish();
  REQUIRE(plan.stages.size() == 2);
  CHECK(plan.stages[0].next.now.x == 1);
  CHECK(plan.stages[1].eval.level == path[0].to.level);
}

TEST_CASE("A path tells its points, and refuses what is none") {
  const run_path path(linear_schedule(10), trailing_grid(10, 2));
  CHECK(path.size() == 2);
  CHECK(path.point(0).t == 10);
  CHECK(path.point(2).t == 0);
  CHECK(path.half_log_snr(1) == half_log_snr(linear_schedule(10).level(5)));
  check_refused([&] { return path.find(1.0); }, {"sigma / alpha = 1", "no inverse", "continuous()"});
  const path_point one[] = {{1, {0.6, 0.8}}};
  check_refused([&] { return run_path(one), 0; }, {"number of points = 1", "at least 2"});
  const path_point bad[] = {{1, {0.6, 0.8}}, {0, {1, -1}}};
  check_refused([&] { return run_path(bad), 0; }, {"to.sigma = -1"});
  const time_grid gap(std::vector<interval<int>>{{10, 6, 10}, {5, 0, 5}});
  check_refused([&] { return run_path(linear_schedule(10), gap).require_chained(), 0; },
                {"grid[1].from = 5", "6, where the step before it ended"});
  check_refused(
      [&] { return run_path(linear_schedule(10), inverted(trailing_grid(10, 2))).require_chained(), 0; },
      {"grid[0].eval = 5", "0, where the step starts"});
}
