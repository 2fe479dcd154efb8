#include "diffusion/stepper.hpp"

#include <utility>
#include <vector>

#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;

namespace {

const auto schedule = cosine_schedule(100);
const time_grid grid = trailing_grid(100, 8);
const support::perfect_network network{support::mixture{}};

/// Everything that a run of three samples needs.
template <class T>
struct run_memory {
  std::vector<T> values = normals<T>(3 * 11);
  workspace<T> work;
  rows<T> x{std::span<T>(values), 3};
};

using address = std::pair<std::uint64_t, std::uint32_t>;

/// Remembers which noise was asked for.
struct recorder {
  std::vector<address>* asked;
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<double> z) const {
    asked->push_back({sample, step});
    philox_normal{}(sample, step, z);
  }
};

}  // namespace

TEST_CASE("A stepper walks the grid and knows where it is") {
  run_memory<double> m;
  stepper run(schedule, grid, ddim{}, m.x, m.work);
  const philox_normal noise;
  CHECK(run.stages() == 8);
  for (std::size_t k = 0; k < 8; ++k) {
    CHECK_FALSE(run.done());
    CHECK(run.stage_index() == k);
    CHECK(run.current().from.t == grid[k].from);
    CHECK(run.current().to.t == grid[k].to);
    run.step(network, noise);
  }
  CHECK(run.done());
  CHECK(run.stage_index() == 8);
}

TEST_CASE("The network is asked once per step, at the time and the level of its start") {
  run_memory<double> m;
  std::vector<int> asked;
  auto spy = [&](rows<const double> x, const time_point<int>& at, rows<double> out) {
    asked.push_back(at.t);
    CHECK(at.level == schedule.level(at.t));
    network(x, at, out);
  };
  sample(schedule, grid, ddim{}, spy, philox_normal{}, m.x, m.work);
  CHECK(asked == std::vector{100, 88, 75, 62, 50, 38, 25, 12});
}

TEMPLATE_TEST_CASE("A run that is saved and restored at any step, elsewhere, is bit-identical", "", float,
                   double) {
  const philox_normal noise{5};
  for (const auto& [sampler_name, sampler] : support::all_samplers()) {
    CAPTURE(sampler_name);
    const auto whole = support::run(schedule, grid, sampler, network, noise, normals<TestType>(33), 3);
    run_memory<TestType> m;
    stepper run(schedule, grid, sampler, m.x, m.work);
    while (!run.done()) {
      const run_state<TestType> state = run.save();
      run_memory<TestType> other;
      std::fill(other.values.begin(), other.values.end(), TestType(77));
      stepper continued(schedule, grid, sampler, other.x, other.work);
      continued.restore(state);
      while (!continued.done()) continued.step(network, noise);
      support::check_identical(other.values, whole);
      run.step(network, noise);
    }
    support::check_identical(m.values, whole);
  }
}

TEST_CASE("A run can go back to a saved step, also after its end or between predict and advance") {
  const philox_normal noise{5};
  run_memory<double> m;
  stepper run(schedule, grid, ddpm{}, m.x, m.work);
  run.step(network, noise);
  const auto state = run.save();
  while (!run.done()) run.step(network, noise);
  const auto end = m.values;
  run.restore(state);
  CHECK(run.stage_index() == 1);
  run.predict(network);
  run.restore(state);
  check_refused([&] { return run.advance(noise), 0; }, {"stage = 1", "predict()"});
  while (!run.done()) run.step(network, noise);
  support::check_identical(m.values, end);
}

TEST_CASE("A preview is the transformed x0 of the step, does not disturb the run and is its end at the end") {
  const philox_normal noise{5};
  for (const x0_transform& transform :
       {x0_transform{x0_keep{}}, x0_transform{x0_clip{0.9}}, x0_transform{dynamic_threshold{0.7, 1.2}}}) {
    const auto undisturbed =
        support::run(schedule, grid, ddpm{}, network, noise, normals(33), 3, {.x0 = transform});
    run_memory<double> m;
    std::vector<double> x0(33), want(33), scratch(11);
    stepper run(schedule, grid, ddpm{}, m.x, m.work, {.x0 = transform});
    while (!run.done()) {
      run.predict(network);
      run.preview(rows<double>(std::span<double>(x0), 3));
      const prediction_map map = x0_map(prediction::epsilon, run.current().from.level);
      for (std::size_t i = 0; i < 3; ++i) {
        const auto output = std::span<const double>(m.work.output).subspan(11 * i, 11);
        const auto clamp =
            clamp_for(transform, map, std::span<const double>(m.x[i]), output, std::span<double>(scratch));
        predict_x0(map, clamp, m.x[i], output, std::span<double>(want).subspan(11 * i, 11));
      }
      support::check_identical(x0, want);
      run.advance(noise);
    }
    support::check_identical(m.values, undisturbed);
    support::check_close(x0, m.values, 4 * support::roundoff<> * 10);
  }
}

TEST_CASE("Noise is asked for by sample and step, and only where a step uses it") {
  const auto asked_by = [](auto sampler, std::uint64_t first_sample) {
    std::vector<address> asked;
    run_memory<double> m;
    sample(schedule, trailing_grid(100, 3), sampler, network, recorder{&asked}, m.x, m.work,
           {.first_sample = first_sample});
    return asked;
  };
  CHECK(asked_by(ddim{}, 0).empty());
  // Not in the third step, to clean data.
  CHECK(asked_by(ddpm{}, 0) == std::vector<address>{{0, 1}, {1, 1}, {2, 1}, {0, 2}, {1, 2}, {2, 2}});
  CHECK(asked_by(ddim{.eta = 0.5}, 40) ==
        std::vector<address>{{40, 1}, {41, 1}, {42, 1}, {40, 2}, {41, 2}, {42, 2}});
}

TEST_CASE("Noise that is given instead of drawn gives the same run") {
  const philox_normal noise{3};
  std::vector<double> values(9 * 33);  // steps 0 … 8
  for (std::uint32_t step = 0; step < 9; ++step)
    draw_noise(noise, step, 0, rows<double>(std::span<double>(values).subspan(step * 33, 33), 3));
  const given_noise<double> given{values, 3};
  support::check_identical(support::run(schedule, grid, ddpm{}, network, given, normals(33), 3),
                           support::run(schedule, grid, ddpm{}, network, noise, normals(33), 3));
  const given_noise<double> too_short{std::span<const double>(values).first(66), 3};
  check_refused([&] { return support::run(schedule, grid, ddpm{}, network, too_short, normals(33), 3); },
                {"step = 2", "66 given values"});
}

TEST_CASE("Steps out of order are refused") {
  const philox_normal noise;
  run_memory<double> m;
  stepper run(schedule, grid, ddim{}, m.x, m.work);
  check_refused([&] { return run.advance(noise), 0; }, {"stage = 0", "predict()"});
  check_refused([&] { return run.preview(m.x), 0; }, {"stage = 0", "predict()"});
  run.step(network, noise);
  check_refused([&] { return run.advance(noise), 0; }, {"stage = 1", "predict()"});
  while (!run.done()) run.step(network, noise);
  check_refused([&] { return run.predict(network), 0; }, {"stage = 8", "below 8", "done"});
  check_refused([&] { return run.advance(noise), 0; }, {"stage = 8", "done"});
}

TEST_CASE("A prediction that failed cannot be advanced with") {
  const philox_normal noise;
  run_memory<double> m;
  stepper run(schedule, grid, ddim{}, m.x, m.work);
  run.predict(network);
  const auto broken = [](rows<const double>, const time_point<int>&, rows<double> out) {
    out.data()[0] = 1e9;
    throw std::runtime_error("the network failed");
  };
  CHECK_THROWS_AS(run.predict(broken), std::runtime_error);
  check_refused([&] { return run.advance(noise), 0; }, {"predict()"});
}

TEST_CASE("States of other runs are refused") {
  run_memory<double> m;
  stepper run(schedule, grid, ddim{}, m.x, m.work);
  check_refused([&] { return run.restore({9, m.values, {}}), 0; }, {"state.stage = 9", "[0, 8]"});
  check_refused([&] { return run.restore({1, normals(32), {}}), 0; }, {"size of state.x = 32", "33"});
  std::vector<double> other(22);
  run.predict(network);
  check_refused([&] { return run.preview(rows<double>(std::span<double>(other), 2)), 0; },
                {"rows of x0 = 2", "3"});
  check_refused([&] { return run.preview(rows<double>(std::span<double>(other).first(21), 3)), 0; },
                {"row of x0 = 7", "11"});
}

TEST_CASE("A workspace serves one run after another, of any size and method") {
  run_memory<double> m;
  const philox_normal noise{5};
  const auto alone = [&](auto sampler, std::vector<double> start, std::size_t count) {
    return support::run(schedule, grid, sampler, network, noise, start, count);
  };
  workspace<double> work;
  for (const std::size_t count : {3, 1, 11}) {
    auto values = normals(33);
    sample(schedule, grid, ddpm{}, network, noise, rows<double>(std::span<double>(values), count), work);
    support::check_identical(values, alone(ddpm{}, normals(33), count));
  }
}

TEST_CASE("Bad grids, samplers and options are refused before the first step") {
  run_memory<double> m;
  const auto make = [&](const time_grid& times, auto sampler, run_options options = {}) {
    return [&m, times, sampler, options] {
      return stepper(schedule, times, sampler, m.x, m.work, options).stages();
    };
  };
  check_refused(make(full_grid(101), ddim{}), {"t = 101", "[0, 100]"});
  check_refused(make(grid, ddim{.eta = 2}), {"eta = 2", "[0, 1]"});
  check_refused(make(inverted(grid), ddpm{}), {"from.sigma = 0"});
  check_refused(make(inverted(grid), ddim{.eta = 0.5}), {"from.sigma = 0"});
  check_refused(make(grid, ddim{}, {.x0 = x0_clip{-1}}), {"x0_clip.limit = -1"});
  check_refused(make(grid, ddim{}, {.x0 = dynamic_threshold{.ratio = 2}}), {"dynamic_threshold.ratio = 2"});
}
