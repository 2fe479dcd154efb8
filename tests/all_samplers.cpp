// What every sampler owes its users, checked for each of them (support/methods.hpp).
#include <cmath>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/oracle.hpp"
#include "support/plan.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::all_methods;
using support::normals;

namespace {

struct named_path {
  std::string name;
  run_path path;
};

/// Paths of every kind of process, with one step, two and more, to clean data and not, from zero SNR and not.
std::vector<named_path> typical_paths() {
  std::vector<named_path> paths;
  const auto schedule = continuous(cosine_schedule(100));
  const auto zero_snr =
      continuous(rescale_zero_terminal_snr(linear_schedule(100)), interpolation::log_sigma, 0x1p-24);
  for (const int n : {1, 2, 5, 16}) {
    const std::string steps = ", " + std::to_string(n) + " steps";
    paths.push_back({"cosine" + steps, run_path(schedule, fractional_linspace_grid(100, n))});
    paths.push_back({"ᾱ = 2⁻²⁴" + steps, run_path(zero_snr, fractional_linspace_grid(100, n))});
    const auto sigmas = karras_sigmas(n + 1, {.min = 0.03, .max = 80});
    paths.push_back({"karras, not clean" + steps, run_path(sigma_schedule{}, sigmas)});
    paths.push_back({"karras" + steps, run_path(sigma_schedule{}, with_final(karras_sigmas(n)))});
    std::vector<double> s;
    for (int k = 0; k <= n; ++k) s.push_back(0.999 * (n - k) / n);
    paths.push_back({"flow" + steps, run_path(flow_schedule{}, chained_grid(s))});
  }
  paths.push_back(
      {"every step", run_path(continuous(cosine_schedule(50)), fractional_linspace_grid(50, 50))});
  return paths;
}

/// Repaint's jumps must fit; everything else takes every path.
template <class Use>
void for_each_plan(Use use) {
  for (const auto& [path_name, path] : typical_paths())
    for (const auto& method : all_methods()) {
      CAPTURE(method.name, path_name);
      use(method, path, method.plan(path));
    }
}

const support::perfect_network network{support::mixture{}};

std::vector<float> run_whole(const run_plan& plan, std::size_t count) {
  auto values = normals<float>(count * 5);
  workspace<float> work;
  sample(plan, network, philox_normal{7}, rows<float>(std::span<float>(values), count), work);
  return values;
}

}  // namespace

TEST_CASE("Every sampler has finite coefficients on every path, and moves from its start to its end") {
  for_each_plan([](const auto& method, const run_path& path, const run_plan& plan) {
    REQUIRE(!plan.stages.empty());
    CHECK(plan.stages.front().from.level == path.point(0).level);
    CHECK(plan.stages.back().arrives);
    CHECK(plan.stages.back().to.level == path.point(path.size()).level);
    bool finite = true, noisy = false;
    const auto check = [&](const stage_sum& sum) {
      const auto& [x, x0, epsilon, noise] = sum.now;
      finite =
          finite && std::isfinite(x) && std::isfinite(x0) && std::isfinite(epsilon) && std::isfinite(noise);
      for (const auto& term : sum.past)
        finite = finite && std::isfinite(term.weight) && term.slot < plan.slots;
      noisy = noisy || noise != 0;
    };
    for (const run_stage& stage : plan.stages) {
      check(stage.next);
      for (const memory_write& write : stage.keep) check(write.value);
    }
    CHECK(finite);
    if (method.deterministic) CHECK_FALSE(noisy);
  });
}

TEST_CASE("Every sampler that claims to keeps the marginals wherever it arrives") {
  for_each_plan([](const auto& method, const run_path& path, const run_plan& plan) {
    if (!method.keeps_marginals) return;
    // Methods calculate in y = x/α, which starts at σ/α: 1e-15 of that for each of up to 100 stages, and 10
    // more for the sums within a stage. ε = (y - x̂0)/ς carries rounding that grows as ς shrinks within a
    // step, and up to three of them are extrapolated by powers of that ratio.
    double ratio = 1;
    for (const auto& step : path)
      if (step.to.level.sigma > 0)
        ratio = std::max(ratio, noise_to_signal(step.from.level) / noise_to_signal(step.to.level));
    const double tolerance = 1e-12 * (1 + path.noise_to_signal(0)) * ratio * ratio;
    if (tolerance > 1e-4) return;  // a step over so many decades keeps no digits to compare
    const auto states = support::marginals_of(plan);
    for (std::size_t k = 0; k < states.size(); ++k) {
      if (!plan.stages[k].arrives) continue;
      const noise_level level = plan.stages[k].to.level;
      CAPTURE(k, level.alpha, level.sigma);
      CHECK(std::abs(states[k].x0 - level.alpha) <= tolerance);
      CHECK(std::abs(states[k].deviation() - level.sigma) <= tolerance);
    }
  });
}

TEST_CASE("From pure noise every sampler has finite coefficients, or says that it cannot start there") {
  for (const int n : {1, 2, 6}) {
    const run_path path(continuous(linear_schedule(50)), fractional_linspace_grid(50, n));
    std::vector<path_point> points{{51, {0, 1}}};
    for (std::size_t k = 0; k <= path.size(); ++k) points.push_back(path.point(k));
    const run_path from_noise(points, [&](double noise_to_signal) { return path.find(noise_to_signal); });
    for (const auto& method : all_methods()) {
      CAPTURE(method.name, n);
      // At t = ∞ there is no score to follow, and EDM's own time does not reach it.
      if (method.name.starts_with("edm ablation") || method.name == "annealed langevin") {
        support::check_refused([&] { return method.plan(from_noise).slots; }, {"alpha = 0"});
        continue;
      }
      const run_plan plan = method.plan(from_noise);
      std::vector<float> values = normals<float>(5);
      workspace<float> work;
      sample(plan, support::perfect_network{support::mixture{}, prediction::v}, philox_normal{7},
             rows<float>(std::span<float>(values), 1), work);
      // Long steps of high order overshoot the data, which are of size 1, but not by orders of magnitude.
      for (const float value : values) CHECK(std::abs(value) < 30);
    }
  }
}

TEMPLATE_TEST_CASE("Every run that is saved after any stage and restored elsewhere is bit-identical", "",
                   float, double) {
  const run_path path(continuous(cosine_schedule(100)), fractional_linspace_grid(100, 6));
  const philox_normal noise{5};
  for (const auto& method : all_methods()) {
    CAPTURE(method.name);
    const run_plan plan = method.plan(path);
    auto whole = normals<TestType>(33);
    workspace<TestType> work;
    sample(plan, network, noise, rows<TestType>(std::span<TestType>(whole), 3), work);
    auto values = normals<TestType>(33);
    stepper run(plan, rows<TestType>(std::span<TestType>(values), 3), work);
    while (!run.done()) {
      const run_state<TestType> state = run.save();
      std::vector<TestType> other(33, TestType(77));
      workspace<TestType> other_work;
      stepper continued(plan, rows<TestType>(std::span<TestType>(other), 3), other_work);
      continued.restore(state);
      while (!continued.done()) continued.step(network, noise);
      support::check_identical(other, whole);
      run.step(network, noise);
    }
    support::check_identical(values, whole);
  }
}

TEST_CASE("A run on arrays is what its plan says, for any sampler") {
  const run_path path(continuous(cosine_schedule(100)), karras_sigmas(13, {.min = 0.1, .max = 5}));
  const philox_normal noise{3};
  const support::mixture data;
  const auto start = normals(23);
  for (const auto& method : all_methods()) {
    CAPTURE(method.name);
    const run_plan plan = method.plan(path);
    auto found = start;
    workspace<double> work;
    sample(plan, network, noise, rows<double>(std::span<double>(found), 1), work);
    std::vector<std::vector<double>> z(plan.stages.size(), std::vector<double>(23));
    for (std::size_t k = 0; k < z.size(); ++k)
      noise(0, static_cast<std::uint32_t>(k + 1), std::span<double>(z[k]));
    std::vector<double> want;
    for (std::size_t i = 0; i < 23; ++i)
      want.push_back(support::run_on(
          plan, start[i], [&](double x, const run_stage& stage) { return data(x, stage.eval.level); },
          [&](std::size_t k) { return z[k][i]; }, [](std::size_t, double) {}));
    // Both round every sum, in another order: relative to y = x/α, which starts at 20, and to what the
    // weights of high orders amplify.
    support::check_close(found, want, 1e-11);
  }
}

TEST_CASE("A sample of a run does not depend on the batch that it is in, for any sampler") {
  const run_path path(continuous(cosine_schedule(100)), fractional_linspace_grid(100, 4));
  for (const auto& method : all_methods()) {
    CAPTURE(method.name);
    const run_plan plan = method.plan(path);
    const auto batch = run_whole(plan, 4);
    auto alone = normals<float>(20);
    workspace<float> work;
    for (std::size_t i = 0; i < 4; ++i)
      sample(plan, network, philox_normal{7}, rows<float>(std::span<float>(alone).subspan(5 * i, 5), 1), work,
             {.first_sample = i});
    support::check_identical(alone, batch);
  }
}

TEST_CASE("No stage of any sampler allocates") {
  const run_path path(continuous(cosine_schedule(100)), fractional_linspace_grid(100, 8));
  const philox_normal noise{1};
  for (const auto& method : all_methods()) {
    CAPTURE(method.name);
    auto values = normals<float>(4 * 37);
    workspace<float> work;
    stepper run(method.plan(path), rows<float>(std::span<float>(values), 4), work, {.x0 = x0_clip{}});
    const std::size_t before = support::allocations;
    while (!run.done()) run.step(network, noise);
    const std::size_t during = support::allocations - before;
    CHECK(during == 0);
  }
}

TEST_CASE("Runs of several threads that share a sampler, its plan and a noise source are independent",
          "[threads]") {
  const run_path path(continuous(cosine_schedule(100)), fractional_linspace_grid(100, 6));
  for (const auto& method : all_methods()) {
    CAPTURE(method.name);
    const run_plan plan = method.plan(path);
    const auto want = run_whole(plan, 3);
    std::vector<std::vector<float>> found(4);
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < found.size(); ++i)
        threads.emplace_back([&, i] { found[i] = run_whole(i % 2 == 0 ? plan : method.plan(path), 3); });
    }
    for (const auto& result : found) support::check_identical(result, want);
  }
}
