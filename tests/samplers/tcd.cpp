#include "diffusion/samplers/tcd.hpp"

#include "diffusion/distilled_grid.hpp"
#include "diffusion/schedules/log_snr.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {
const auto schedule = scaled_linear_schedule(1000, {0.00085, 0.012});
}

TEST_CASE("TCD keeps the marginals at every step") {
  for (const int end : {0, 1})
    for (const double eta : {0.0, 0.3, 1.0}) {
      CAPTURE(end, eta);
      const run_path path(schedule, distilled_grid(1000, 50, 4, 1, end));
      const auto states = support::marginals_of(make_plan(path, tcd{schedule, eta}));
      for (std::size_t k = 0; k < states.size(); ++k) {
        const auto [alpha, sigma] = path.point(k + 1).level;
        // x0 and x hold α and σ of the intermediate level, divided by its α ≥ α_to: four roundings each.
        CHECK(states[k].x0 == Approx(alpha).epsilon(16 * roundoff<>));
        CHECK(states[k].deviation() == Approx(sigma).epsilon(16 * roundoff<>));
      }
    }
}

TEST_CASE("TCD goes to the time (1 - eta) t of the distillation's count and is noised up again") {
  // 760 is index 759, ⌊0.7 · 759⌋ = 531, which is t = 532.
  const run_plan plan = make_plan(run_path(schedule, distilled_grid(1000, 50, 4)), tcd{schedule});
  const noise_level from = schedule.level(1000);
  const noise_level beyond = schedule.level(532);
  const noise_level to = schedule.level(760);
  const step_coefficients c = plan.stages[0].next.now;
  const double x = 0.3;
  const double x0 = -0.7;
  const double epsilon = (x - from.alpha * x0) / from.sigma;
  const double scale = to.alpha / beyond.alpha;
  CHECK(c.x * x + c.x0 * x0 ==
        Approx(scale * (beyond.alpha * x0 + beyond.sigma * epsilon)).epsilon(32 * roundoff<>));
  CHECK(c.noise * c.noise == Approx(1 - scale * scale).epsilon(32 * roundoff<>));
}

TEST_CASE("TCD with eta 0 is DDIM; its last step is without noise for any eta") {
  const run_path path(schedule, distilled_grid(1000, 50, 5));
  const run_plan a = make_plan(path, tcd{schedule, 0});
  const run_plan b = make_plan(path, ddim{});
  for (std::size_t k = 0; k < 5; ++k) {
    CHECK(a.stages[k].next.now.x == b.stages[k].next.now.x);
    CHECK(a.stages[k].next.now.x0 == b.stages[k].next.now.x0);
    CHECK(a.stages[k].next.now.noise == 0);
  }
  for (const int end : {0, 1})
    for (const double eta : {0.3, 1.0}) {
      const run_plan plan =
          make_plan(run_path(schedule, distilled_grid(1000, 50, 5, 1, end)), tcd{schedule, eta});
      CHECK(plan.stages.front().next.now.noise > 0);
      CHECK(plan.stages.back().next.now.noise == 0);
    }
}

TEST_CASE("TCD works on continuous time, where eta 1 noises the predicted data") {
  const cosine_log_snr_schedule continuous;
  const basic_time_grid<double> grid({{0.9, 0.4, 0.9}, {0.4, 0.1, 0.4}});
  const run_path path(continuous, grid);
  const run_plan plan = make_plan(path, tcd{continuous, 0.25});
  const step_coefficients expected = renoise(ddim{}(continuous.level(0.9), continuous.level(0.75 * 0.4)),
                                             continuous.level(0.75 * 0.4), continuous.level(0.4));
  CHECK(plan.stages[0].next.now.x == expected.x);
  CHECK(plan.stages[0].next.now.noise == expected.noise);
}

TEST_CASE("TCD starts from zero SNR, also in a single step") {
  const auto zero = rescale_zero_terminal_snr(schedule);
  for (const int n : {1, 2}) {
    const run_path path(zero, distilled_grid(1000, 50, n));
    const auto states = support::marginals_of(make_plan(path, tcd{zero}));
    CHECK(path.point(0).level.alpha == 0);
    CHECK(states.front().x0 == Approx(path.point(1).level.alpha).epsilon(16 * roundoff<>));
    CHECK(states.front().deviation() == Approx(path.point(1).level.sigma).margin(16 * roundoff<>));
  }
}

TEST_CASE("TCD refuses eta outside [0, 1]") {
  const run_path path(schedule, distilled_grid(1000, 50, 4));
  for (const double bad : {-0.1, 1.1, std::nan("")})
    check_refused([&] { return make_plan(path, tcd{schedule, bad}); }, {"eta = ", "[0, 1]"});
}
