#include "diffusion/samplers/lcm.hpp"

#include "diffusion/distilled_grid.hpp"
#include "diffusion/samplers/consistency.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {
const auto schedule = scaled_linear_schedule(1000, {0.00085, 0.012});
step_coefficients only_step(const lcm& sampler, double t, noise_level to) {
  const path_point points[] = {{t, schedule.level(1000)}, {0, to}};
  const run_plan plan = sampler.plan(run_path(points));
  REQUIRE(plan.stages.size() == 1);
  CHECK(plan.stages[0].asks);
  CHECK(plan.stages[0].arrives);
  return plan.stages[0].next.now;
}
}  // namespace

TEST_CASE("LCM's function is the state itself at its first time and x0 at its last") {
  const step_coefficients first = only_step(lcm{}, 1, {1, 0});
  CHECK(first.x == 1);
  CHECK(first.x0 == 0);
  const step_coefficients last = only_step(lcm{}, 1000, {1, 0});
  CHECK(last.x == Approx(0.25 / (9990. * 9990 + 0.25)).epsilon(8 * roundoff<>));
  CHECK(last.x0 == Approx(9990 / std::sqrt(9990. * 9990 + 0.25)).epsilon(8 * roundoff<>));
}

TEST_CASE("LCM noises its function up to the next level") {
  const lcm sampler{.timestep_scaling = 0.25, .sigma_data = 2, .time_offset = 3};
  const step_coefficients f = only_step(sampler, 5, {1, 0});
  CHECK(f.x == Approx(0.5).epsilon(8 * roundoff<>));  // at the scaled time 2 = sigma_data
  CHECK(f.x0 == Approx(std::sqrt(0.5)).epsilon(8 * roundoff<>));
  const step_coefficients step = only_step(sampler, 5, {0.6, 0.8});
  CHECK(step.x == Approx(0.6 * f.x).epsilon(8 * roundoff<>));
  CHECK(step.x0 == Approx(0.6 * f.x0).epsilon(8 * roundoff<>));
  CHECK(step.noise == 0.8);
}

TEST_CASE("LCM with a large scaling of time is consistency sampling") {
  const run_path path(schedule, distilled_grid(1000, 50, 4));
  const run_plan a = make_plan(path, lcm{.timestep_scaling = 1e9});
  const run_plan b = make_plan(path, consistency{});
  REQUIRE(a.stages.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(std::abs(a.stages[k].next.now.x) < 1e-20);
    CHECK(a.stages[k].next.now.x0 == Approx(b.stages[k].next.now.x0).epsilon(4 * roundoff<>));
    CHECK(a.stages[k].next.now.noise == b.stages[k].next.now.noise);
  }
}

TEST_CASE("LCM refuses scalings and times without meaning") {
  for (const double bad : {0.0, -1.0, std::nan(""), double(INFINITY)}) {
    check_refused(
        [&] {
          return only_step(lcm{.timestep_scaling = bad}, 9, {1, 0});
        },
        {"timestep_scaling = ", "(0, inf)"});
    check_refused(
        [&] {
          return only_step(lcm{.sigma_data = bad}, 9, {1, 0});
        },
        {"sigma_data = ", "(0, inf)"});
  }
  check_refused(
      [&] {
        return only_step(lcm{.time_offset = std::nan("")}, 9, {1, 0});
      },
      {"time_offset = nan"});
  check_refused([&] { return only_step(lcm{}, 0.5, {1, 0}); }, {"t = 0.5", "[1, inf)"});
}
