#include "diffusion/predictor_corrector.hpp"

#include <limits>
#include <vector>

#include "diffusion/sample.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/plan.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;

namespace {

const auto schedule = cosine_schedule(100);
const time_grid grid = trailing_grid(100, 8);
const support::perfect_network network{support::mixture{}};
const philox_normal noise{3};

template <class T = double, class S = reverse_diffusion, class P = support::perfect_network<support::mixture>>
std::vector<T> run(const langevin_corrector& corrector, std::vector<T> x, std::size_t count,
                   const run_options& options = {}, const S& sampler = {}, P predictor = network) {
  workspace<T> work;
  sample_predictor_corrector(schedule, grid, sampler, corrector, predictor, noise,
                             rows<T>(std::span<T>(x), count), work, options);
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("Without corrections the predictor-corrector run is that of the sampler", "", float,
                   double) {
  using T = TestType;
  auto plain = normals<T>(33);
  workspace<T> work;
  sample(schedule, grid, ddpm{}, network, noise, rows<T>(std::span<T>(plain), 3), work);
  support::check_identical(run<T, ddpm>({.steps = 0}, normals<T>(33), 3), plain);
}

TEST_CASE("A correction is Langevin dynamics with a step of the signal-to-noise ratio that was asked for") {
  const auto start = normals(22);
  auto x = start;
  workspace<double> work;
  const run_path path(schedule, grid);
  predictor_corrector_run<double, int> run(path, reverse_diffusion{}, {.snr = 0.2},
                                           rows<double>(std::span<double>(x), 2), work);
  const philox_normal same = noise;
  // Norms of each row for itself, eq. of algorithm 5.
  std::vector<double> want;
  const auto& [from, to, eval] = path[0];
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<double> z(11), score(11);
    same(i, 1, std::span<double>(z));
    double z_squares = 0;
    double score_squares = 0;
    for (std::size_t j = 0; j < 11; ++j) {
      score[j] = -support::mixture{}(start[11 * i + j], from.level).epsilon / from.level.sigma;
      z_squares += z[j] * z[j];
      score_squares += score[j] * score[j];
    }
    const double kept = from.level.alpha / to.level.alpha;
    const double size = 2 * kept * kept * 0.2 * 0.2 * z_squares / score_squares;
    for (std::size_t j = 0; j < 11; ++j)
      want.push_back(start[11 * i + j] + size * score[j] + std::sqrt(2 * size) * z[j]);
  }
  CHECK(run.corrects());
  run.step(network, noise);
  support::check_close(x, want, 1e-13);
  CHECK_FALSE(run.corrects());
  CHECK(run.stages() == 16);
}

TEMPLATE_TEST_CASE(
    "By default a corrected sample does not depend on its batch; with norms of the batch it does", "", float,
    double) {
  using T = TestType;
  const auto start = normals<T>(4 * 13);
  const auto together = run<T>({.steps = 2}, start, 4);
  const auto coupled = run<T>({.steps = 2, .batch_norms = true}, start, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<T> own(start.begin() + std::ptrdiff_t(13 * i),
                             start.begin() + std::ptrdiff_t(13 * (i + 1)));
    const auto alone = run<T>({.steps = 2}, own, 1, {.first_sample = i});
    support::check_identical(alone, std::span(together).subspan(13 * i, 13));
    support::check_identical(run<T>({.steps = 2, .batch_norms = true}, own, 1, {.first_sample = i}), alone);
  }
  CHECK(coupled != together);
}

TEST_CASE("A large sample has the distribution that follows from the expected norms") {
  const support::gaussian data{0.5, 0.4};
  const std::size_t n = 40'000;
  const double snr = 0.15;
  auto x = normals(n);
  const noise_level first = schedule.level(grid[0].from);
  for (double& value : x) value = data.mean_at(first) + std::sqrt(data.variance_at(first)) * value;
  const auto found =
      run<double, ddpm>({.snr = snr}, x, 1, {}, {}, support::perfect_network{data, prediction::v});
  double mean = 0;
  double squares = 0;
  for (const double value : found) mean += value / double(n);
  for (const double value : found) squares += (value - mean) * (value - mean) / double(n);

  double want_mean = data.mean_at(first);
  double want_variance = data.variance_at(first);
  for (const auto& [from, to, eval] : run_path(schedule, grid)) {
    const noise_level at = from.level;
    const double v = data.variance_at(at);  // the score is (mean - x)/v
    const double distance = want_mean - data.mean_at(at);
    const double kept = snr * at.alpha / to.level.alpha;
    const double size = 2 * kept * kept * v * v / (want_variance + distance * distance);
    want_mean -= size / v * distance;
    want_variance = (1 - size / v) * (1 - size / v) * want_variance + 2 * size;
    const step_coefficients c = ddpm{}(at, to.level);
    const double slope = data(1, at).x0 - data(0, at).x0;
    want_mean = c.x * want_mean + c.x0 * (data(0, at).x0 + slope * want_mean);
    want_variance = (c.x + c.x0 * slope) * (c.x + c.x0 * slope) * want_variance + c.noise * c.noise;
  }
  // Four standard errors.
  CHECK(mean == Approx(want_mean).margin(4 * std::sqrt(want_variance / double(n))));
  CHECK(squares == Approx(want_variance).epsilon(4 * std::sqrt(2 / double(n))));
}

TEST_CASE("A limit of x0 that is not reached changes nothing in a correction") {
  // x̂0 and back costs 10 roundings of numbers below 7, divided by σ ≥ 0.1, in 16 stages of a slope up to 10.
  support::check_close(run({}, normals(33), 3, {.x0 = x0_clip{100}}), run({}, normals(33), 3),
                       16 * 10 * 10 * 10 * 7 * support::roundoff<> / schedule.level(100).alpha);
  CHECK(run({}, normals(33), 3, {.x0 = x0_clip{0.5}}) != run({}, normals(33), 3));
}

TEST_CASE("A correction takes the score of the thresholded x0, and its norm") {
  const auto start = normals(11);
  auto x = start;
  workspace<double> work;
  const std::vector<int> times{50, 25};
  const run_path path(schedule, explicit_grid(100, times));
  predictor_corrector_run<double, int> run(path, reverse_diffusion{}, {.snr = 0.2},
                                           rows<double>(std::span<double>(x), 1), work,
                                           {.x0 = dynamic_threshold{.ratio = 1, .max = 100}});
  const auto& [from, to, eval] = path[0];
  std::vector<double> z(11), score(11);
  const philox_normal same = noise;
  same(0, 1, std::span<double>(z));
  double largest = 1;
  for (const double value : start)
    largest = std::max(largest, std::abs(support::mixture{}(value, from.level).x0));
  REQUIRE(largest > 1.01);
  double z_squares = 0;
  double score_squares = 0;
  for (std::size_t j = 0; j < 11; ++j) {
    const double x0_hat = support::mixture{}(start[j], from.level).x0 / largest;
    score[j] = (from.level.alpha * x0_hat - start[j]) / (from.level.sigma * from.level.sigma);
    z_squares += z[j] * z[j];
    score_squares += score[j] * score[j];
  }
  const double kept = from.level.alpha / to.level.alpha;
  const double size = 2 * kept * kept * 0.2 * 0.2 * z_squares / score_squares;
  run.step(network, noise);
  for (std::size_t j = 0; j < 11; ++j)
    CHECK(x[j] == Approx(start[j] + size * score[j] + std::sqrt(2 * size) * z[j]).margin(1e-12));
}

TEST_CASE("A correction of 16-bit elements is that of their values in double, rounded") {
  const auto ones = [](auto, const auto&, auto out) {
    for (auto& value : out.data()) value = std::remove_cvref_t<decltype(value)>(1.0);
  };
  const auto corrected = [&]<class T>(std::vector<T> x) {
    for (std::size_t j = 0; j < x.size(); ++j) x[j] = T(0.25 * static_cast<double>(j));
    workspace<T> work;
    predictor_corrector_run<T, int> run(run_path(schedule, grid), reverse_diffusion{}, {},
                                        rows<T>(std::span<T>(x), 1), work);
    run.step(ones, noise);
    return x;
  };
  const auto exact = corrected(std::vector<double>(11));
  const auto x = corrected(std::vector<bfloat16>(11));
  // The result and each normal are rounded to 8 bits; the norm of the normals shares in the latter.
  for (std::size_t j = 0; j < x.size(); ++j)
    CHECK(static_cast<float>(x[j]) == Approx(exact[j]).margin(0x1p-8 * (std::abs(exact[j]) + 8)));
}

TEST_CASE("A predictor-corrector run that is saved and restored at any stage is bit-identical") {
  const auto whole = run({.steps = 2}, normals(33), 3);
  auto x = normals(33);
  workspace<double> work;
  const run_path path(schedule, grid);
  const auto make = [&](std::vector<double>& values, workspace<double>& memory) {
    return predictor_corrector_run<double, int>(path, reverse_diffusion{}, {.steps = 2},
                                                rows<double>(std::span<double>(values), 3), memory);
  };
  auto run_to_end = make(x, work);
  while (!run_to_end.done()) {
    const auto state = run_to_end.save();
    std::vector<double> y(33, 77);
    workspace<double> other;
    auto continued = make(y, other);
    continued.restore(state);
    while (!continued.done()) continued.step(network, noise);
    support::check_identical(y, whole);
    run_to_end.step(network, noise);
  }
  support::check_identical(x, whole);
}

TEST_CASE("No stage of a predictor-corrector run allocates") {
  for (const x0_transform& transform :
       {x0_transform{x0_keep{}}, x0_transform{dynamic_threshold{.ratio = 0.9}}}) {
    auto x = normals(33);
    workspace<double> work;
    predictor_corrector_run<double, int> run(run_path(schedule, grid), reverse_diffusion{}, {},
                                             rows<double>(std::span<double>(x), 3), work, {.x0 = transform});
    const std::size_t before = support::allocations;
    while (!run.done()) run.step(network, noise);
    CHECK(support::allocations - before == 0);
  }
}

TEST_CASE("Bad correctors, and networks without a score, are refused") {
  check_refused([] { return run({.snr = 0}, normals(33), 3); }, {"snr = 0", "(0, inf)"});
  check_refused([] { return run({.steps = -1}, normals(33), 3); }, {"steps = -1", "at least 0"});
  const auto silent = [](rows<const double>, const auto&, rows<double> out) {
    for (double& value : out.data()) value = 0;
  };
  check_refused([&] { return run({}, normals(33), 3, {}, reverse_diffusion{}, silent); },
                {"norm of the score = 0"});
  workspace<double> work;
  auto x = normals(33);
  predictor_corrector_run<double, int> stages(run_path(schedule, grid), ddpm{}, {},
                                              rows<double>(std::span<double>(x), 3), work);
  check_refused([&] { return stages.advance(noise), 0; }, {"stage = 0", "predict()"});
  check_refused([&] { return stages.restore({17, x, {}}), 0; }, {"state.stage = 17", "[0, 16]"});
}
