#include "diffusion/sample.hpp"

#include <thread>
#include <vector>

#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;
using support::perfect_network;
using support::roundoff;
using support::run;

namespace {

const support::mixture data;

/// Kinds of prediction that are defined on every level of a run over this schedule.
std::vector<prediction> legal_kinds(const discrete_schedule<>& schedule) {
  if (schedule.alpha_bar(schedule.steps()) == 0) return {prediction::x0, prediction::v, prediction::velocity};
  return {prediction::epsilon, prediction::x0, prediction::v, prediction::score, prediction::velocity};
}

}  // namespace

TEST_CASE("Networks that predict different things of the same data give the same run") {
  const philox_normal noise{2};
  const auto grid = trailing_grid(100, 8);
  for (const auto& [schedule_name, schedule] : support::all_schedules(100))
    for (const auto& [sampler_name, sampler] : support::all_samplers()) {
      const auto reference =
          run(schedule, grid, sampler, perfect_network{data, prediction::v}, noise, normals(20));
      const double alpha = std::max(schedule.level(100).alpha, schedule.level(88).alpha);
      for (const prediction kind : legal_kinds(schedule)) {
        CAPTURE(schedule_name, sampler_name, name(kind));
        // ε and score divide 10 roundings of numbers below 7 by α; 8 steps; the data's network has a slope
        // of up to 10 in x̂0.
        support::check_close(run(schedule, grid, sampler, perfect_network{data, kind}, noise, normals(20)),
                             reference, 8 * 10 * 10 * 7 * roundoff<> / alpha);
      }
    }
}

TEST_CASE("Networks that predict different things of the same data give the same inversion") {
  const auto schedule = linear_schedule(1000);
  const auto grid = inverted(trailing_grid(1000, 50));
  const auto result = [&](prediction kind) {
    return run(schedule, grid, ddim{}, perfect_network{data, kind}, support::no_noise{}, normals(20));
  };
  const auto reference = result(prediction::epsilon);
  for (const auto& [kind_name, kind] : prediction_names) {
    CAPTURE(kind_name);
    support::check_close(result(kind), reference, 1e-9);  // 50 steps, 1/α up to 160, as above
  }
}

TEST_CASE("An inversion to zero SNR is defined for every network") {
  const auto schedule = rescale_zero_terminal_snr(linear_schedule(1000));
  for (const auto& [kind_name, kind] : prediction_names) {
    CAPTURE(kind_name);
    const auto noise = run(schedule, inverted(trailing_grid(1000, 10)), ddim{}, perfect_network{data, kind},
                           support::no_noise{}, normals(20));
    for (const double value : noise) CHECK(std::abs(value) < 7);
  }
}

TEST_CASE("DDIM with eta 1 and DDPM give the same run from the same noise") {
  const philox_normal noise{2};
  for (const auto& [schedule_name, schedule] : support::all_schedules(100)) {
    CAPTURE(schedule_name);
    const perfect_network network{data, prediction::v};
    const auto grid = linspace_grid(100, 20);
    const auto a = run(schedule, grid, ddim{.eta = 1}, network, noise, normals(20));
    const auto b = run(schedule, grid, ddpm{}, network, noise, normals(20));
    // 20 steps, coefficients equal to 32 roundoffs, numbers below 7, slope of the network up to 10.
    support::check_close(a, b, 20 * 32 * 7 * 10 * roundoff<>);
  }
}

TEST_CASE("Deterministic DDIM is Euler's method for the probability flow in sigma/alpha") {
  const auto schedule = cosine_schedule(1000);
  const auto grid = linspace_grid(1000, 40);
  const auto start = normals(20);
  std::vector<double> want;
  for (double x : start) {
    for (const auto& [t, s, eval] : grid) {
      const noise_level from = schedule.level(t);
      const noise_level to = schedule.level(s);
      // y = x/α, dy/dς = ε(y, ς), ς = σ/α.
      const double y = x / from.alpha;
      const double slope = data(x, from).epsilon;
      x = to.alpha * (y + (to.sigma / to.alpha - from.sigma / from.alpha) * slope);
    }
    want.push_back(x);
  }
  // The first step goes through x/α with α = 5e-5; 40 steps of 10 roundings of numbers below 7.
  const double tolerance = 40 * 10 * 7 * roundoff<> / schedule.level(1000).alpha;
  for (const bool rederive : {false, true})
    support::check_close(run(schedule, grid, ddim{.rederive_epsilon = rederive}, perfect_network{data},
                             support::no_noise{}, start),
                         want, tolerance);
}

TEMPLATE_TEST_CASE("Samples are bit-identical in any batch, order and thread", "", float, double) {
  const auto schedule = linear_schedule(1000);
  const auto grid = trailing_grid(1000, 10);
  const philox_normal noise{6};
  const perfect_network network{data};
  const std::size_t count = 8;
  const std::size_t size = 13;
  for (const auto& method : support::all_samplers()) {
    CAPTURE(method.name);
    // Shared by all threads: schedule, grid, method.step, network, noise.
    const auto part = [&](std::size_t first, std::size_t n) {
      std::vector<TestType> x(n * size);
      draw_noise(noise, 0, first, rows<TestType>(std::span<TestType>(x), n));
      return run(schedule, grid, method.step, network, noise, x, n,
                 {.x0 = dynamic_threshold{.ratio = 0.8, .max = 2}, .first_sample = first});
    };
    const auto whole = part(0, count);
    std::vector<std::vector<TestType>> parts(count);
    std::vector<std::thread> threads;
    for (const std::size_t i : {5u, 2u, 7u, 0u, 3u, 6u, 1u, 4u})
      threads.emplace_back([&, i] { parts[i] = part(i, 1); });
    for (std::thread& thread : threads) thread.join();
    std::vector<TestType> joined;
    for (const auto& x : parts) joined.insert(joined.end(), x.begin(), x.end());
    support::check_identical(joined, whole);
    auto halves = part(0, 3);
    const auto rest = part(3, 5);
    halves.insert(halves.end(), rest.begin(), rest.end());
    support::check_identical(halves, whole);
  }
}

TEST_CASE("Runs of one step, of every step and over one training step are finite and end at x0") {
  const philox_normal noise{2};
  for (const int T : {1, 2, 10, 200})
    for (const auto& [schedule_name, schedule] : support::all_schedules(T))
      for (const int n : {1, T})
        for (const auto& [grid_name, grid] : support::all_grids(T, n))
          for (const auto& [sampler_name, sampler] : support::all_samplers())
            for (const prediction kind : legal_kinds(schedule)) {
              CAPTURE(T, n, schedule_name, grid_name, sampler_name, name(kind));
              const auto x = normals(4);
              const auto result = run(schedule, grid, sampler, perfect_network{data, kind}, noise, x);
              for (const double value : result) CHECK(std::isfinite(value));
              if (n > 1) continue;
              // One step to clean data returns x̂0, whatever the sampler.
              const noise_level level = schedule.level(grid[0].from);
              std::vector<double> x0;
              for (const double value : x) x0.push_back(data(value, level).x0);
              const double divisor = level.alpha > 0 ? level.alpha : 1;
              support::check_close(result, x0, 16 * 7 * roundoff<> / divisor);
            }
}

TEST_CASE("At zero terminal SNR, epsilon and score are refused with the remedy") {
  const auto schedule = rescale_zero_terminal_snr(scaled_linear_schedule(1000));
  const auto grid = trailing_grid(1000, 5);
  for (const auto& method : support::all_samplers())
    for (const prediction kind : {prediction::epsilon, prediction::score}) {
      CAPTURE(method.name, name(kind));
      check_refused(
          [&] {
            return run(schedule, grid, method.step, perfect_network{data, kind}, philox_normal{}, normals(4));
          },
          {"alpha = 0", name(kind), "x0, v and velocity"});
    }
}

TEST_CASE("At zero terminal SNR, fully stochastic runs forget where they started") {
  const auto schedule = rescale_zero_terminal_snr(scaled_linear_schedule(1000));
  const perfect_network network{support::gaussian{0.4, 0.3}, prediction::v};
  const auto from = [&](auto sampler, std::uint64_t seed) {
    return run(schedule, trailing_grid(1000, 5), sampler, network, philox_normal{7}, normals(20, seed));
  };
  support::check_identical(from(ddpm{}, 1), from(ddpm{}, 2));
  support::check_identical(from(ddim{.eta = 1}, 1), from(ddim{.eta = 1}, 2));
}

TEST_CASE("Inversion from data and back comes home") {
  const auto schedule = linear_schedule(1000);
  const auto grid = trailing_grid(1000, 1000);
  const perfect_network network{data};
  const std::vector<double> start{-1.4, -0.9, -0.2, 0.5, 0.9, 1.6};
  const auto noise = run(schedule, inverted(grid), ddim{}, network, support::no_noise{}, start);
  const auto home = run(schedule, grid, ddim{}, network, support::no_noise{}, noise);
  // First order in the step: at 1000 steps, see convergence.cpp.
  support::check_close(home, start, 0.02);
  for (std::size_t i = 1; i < noise.size(); ++i) CHECK(noise[i] > noise[i - 1]);
}

TEST_CASE("The callback sees every step before it is done, and may stop the run") {
  const auto schedule = linear_schedule(100);
  const auto grid = trailing_grid(100, 6);
  const philox_normal noise{2};
  const perfect_network network{data};
  const auto start = normals(12);
  const auto whole = run(schedule, grid, ddpm{}, network, noise, start, 3);

  auto x = start;
  workspace<double> work;
  std::vector<std::size_t> seen;
  std::vector<double> x0(12);
  const rows<double> view(std::span<double>(x), 3);
  const auto watch = [&](const auto& now) {
    seen.push_back(now.stage_index());
    CHECK(now.x().data().data() == x.data());
    now.preview(rows<double>(std::span<double>(x0), 3));
  };
  CHECK(sample(schedule, grid, ddpm{}, network, noise, view, work, {}, watch) == 6);
  CHECK(seen == std::vector<std::size_t>{0, 1, 2, 3, 4, 5});
  support::check_identical(x, whole);

  x = start;
  CHECK(sample(schedule, grid, ddpm{}, network, noise, view, work, {},
               [](const auto& now) { return now.stage_index() < 4; }) == 4);
  // x is the state after four steps: the rest of the run continues from it.
  stepper rest(schedule, grid, ddpm{}, view, work);
  rest.restore({4, x, {}});
  while (!rest.done()) rest.step(network, noise);
  support::check_identical(x, whole);

  x = start;
  CHECK(sample(schedule, grid, ddpm{}, network, noise, view, work, {}, [](const auto&) { return false; }) ==
        0);
  support::check_identical(x, start);
}

TEST_CASE("Guidance with scale 1 leaves a run as it is, and guides it otherwise") {
  const auto schedule = cosine_schedule(100);
  const auto grid = trailing_grid(100, 10);
  const auto conditional = predicts<prediction::v>(perfect_network{support::gaussian{1, 0.3}, prediction::v});
  const auto unconditional = predicts<prediction::v>(perfect_network{data, prediction::v});
  std::vector<double> scratch(20);
  const auto guided_run = [&](double scale) {
    return run(schedule, grid, ddim{}, guided(conditional, unconditional, scale, std::span<double>(scratch)),
               support::no_noise{}, normals(20));
  };
  support::check_identical(guided_run(1),
                           run(schedule, grid, ddim{}, conditional, support::no_noise{}, normals(20)));
  support::check_identical(guided_run(0),
                           run(schedule, grid, ddim{}, unconditional, support::no_noise{}, normals(20)));
}
