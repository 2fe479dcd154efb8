#include "diffusion/adaptive.hpp"

#include <limits>
#include <vector>

#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;

namespace {

const support::perfect_network network{support::mixture{}};
const sigma_schedule sigmas;
constexpr double sigma_max = 20;
constexpr double sigma_min = 0.05;

/// Starts of `count` samples of σ_max.
template <class T = double>
std::vector<T> starts(std::size_t size) {
  std::vector<T> x = normals<T>(size);
  for (T& value : x) value *= T(sigma_max);
  return x;
}

struct result {
  std::vector<double> x;
  adaptive_info info;
};
template <class Schedule = sigma_schedule, class P = support::perfect_network<support::mixture>,
          class N = support::no_noise>
result run(const dpm_adaptive& method, std::vector<double> x, std::size_t count, P predictor = network,
           N noise = {}, const Schedule& schedule = sigmas, double from = sigma_max, double to = sigma_min,
           const run_options& options = {}) {
  workspace<double> work;
  const adaptive_info info = sample_adaptive(schedule, from, to, method, predictor, noise,
                                             rows<double>(std::span<double>(x), count), work, options);
  return {x, info};
}

double worst_error(const dpm_adaptive& method, std::size_t& steps) {
  const auto start = starts(12);
  const auto found = run(method, start, 12);
  double worst = 0;
  for (std::size_t i = 0; i < start.size(); ++i)
    worst = std::max(worst, std::abs(found.x[i] - support::probability_flow(support::mixture{}, start[i],
                                                                            {1, sigma_max}, {1, sigma_min})));
  steps = found.info.steps / 12;
  return worst;
}

}  // namespace

TEST_CASE(
    "An adaptive run errs by less than its tolerance in every step, which costs as many as its order says") {
  for (const int order : {2, 3})
    for (const auto form : {dpm_solver_form::noise, dpm_solver_form::data}) {
      const double atol = order == 2 ? 1e-5 : 1e-7;
      const dpm_adaptive loose{.order = order, .rtol = 0, .atol = atol, .form = form};
      const dpm_adaptive tight{.order = order, .rtol = 0, .atol = atol / std::pow(2, order), .form = form};
      std::size_t loose_steps = 0;
      std::size_t tight_steps = 0;
      const double error = worst_error(loose, loose_steps);
      CAPTURE(order, form == dpm_solver_form::noise, loose_steps, error);
      // The flow to the data contracts, or carries errors on unchanged: at most their sum.
      CHECK(error < atol * static_cast<double>(loose_steps));
      worst_error(tight, tight_steps);
      // An error of order h^p per step: half the length for 2^-p of the tolerance.
      CHECK(std::log2(static_cast<double>(tight_steps) / static_cast<double>(loose_steps)) ==
            Approx(1).margin(0.2));
    }
}

TEST_CASE("An adaptive run counts what it does") {
  std::size_t calls = 0;
  const auto counted = [&](rows<const double> x, const time_point<double>& at, rows<double> out) {
    CHECK(at.level == noise_level{1, at.t});
    CHECK(at.t <= sigma_max * (1 + 1e-15));
    CHECK(at.t >= sigma_min * (1 - 1e-15));
    ++calls;
    network(x, at, out);
  };
  const adaptive_info info =
      run({.order = 2, .rtol = 1e-3, .atol = 1e-3, .h_init = 3}, starts(3), 1, counted).info;
  CHECK(info.evaluations == calls);
  CHECK(info.evaluations == 2 * info.steps);
  CHECK(info.accepted + info.rejected == info.steps);
  CHECK(info.rejected > 0);  // of the first step, which is far too long
}

TEST_CASE("An adaptive run is the same in every process with the same levels of sigma/alpha") {
  const continuous_schedule vp(linear_schedule(1000), interpolation::log_sigma, 0);
  const noise_level from = vp.find(sigma_max).level;
  const noise_level to = vp.find(sigma_min).level;
  auto start = starts(6);
  const auto ve = run({}, start, 2);
  for (double& x : start) x *= from.alpha;
  auto found = run({}, start, 2, network, support::no_noise{}, vp);
  CHECK(found.info.steps == ve.info.steps);
  for (double& x : found.x) x /= to.alpha;
  // The length of a step follows from a small difference of two results, and so is rounded to perhaps six
  // digits; what that changes is a part of 1e-6 of the error, which is below atol per step.
  support::check_close(found.x, ve.x, 1e-6 * 0.0078);
}

TEST_CASE("By default a sample's adaptive run does not depend on its batch") {
  const auto start = starts(5 * 3);
  const philox_normal noise{4};
  for (const double eta : {0.0, 0.7}) {
    const dpm_adaptive method{.eta = eta};
    const auto together = run(method, start, 5, network, noise);
    adaptive_info sum;
    for (std::size_t i = 0; i < 5; ++i) {
      const auto alone =
          run(method, {start.begin() + 3 * std::ptrdiff_t(i), start.begin() + 3 * std::ptrdiff_t(i + 1)}, 1,
              network, noise, sigmas, sigma_max, sigma_min, {.first_sample = i});
      support::check_identical(alone.x, std::span(together.x).subspan(3 * i, 3));
      sum.steps += alone.info.steps;
    }
    CHECK(together.info.steps == sum.steps);
  }
}

TEST_CASE("One step size for a batch depends on its samples, and the worst decides more than the mean") {
  const auto start = starts(8 * 2);
  const auto steps_of = [&](batch_error batch, std::size_t count) {
    return run({.rtol = 1e-3, .atol = 1e-3, .batch = batch},
               {start.begin(), start.begin() + 2 * std::ptrdiff_t(count)}, count)
        .info.steps;
  };
  CHECK(steps_of(batch_error::mean, 1) == steps_of(batch_error::each, 1));
  CHECK(steps_of(batch_error::worst, 1) == steps_of(batch_error::each, 1));
  CHECK(steps_of(batch_error::worst, 8) > steps_of(batch_error::mean, 8));
  CHECK(steps_of(batch_error::each, 8) > 4 * steps_of(batch_error::worst, 8));  // counted per sample
}

TEMPLATE_TEST_CASE("An adaptive run that is saved and restored at any attempt is bit-identical", "", float,
                   double) {
  using T = TestType;
  const philox_normal noise{5};
  for (const auto batch : {batch_error::each, batch_error::mean})
    for (const double eta : {0.0, 0.5}) {
      const dpm_adaptive method{.order = 3, .rtol = 0.01, .h_init = 2, .eta = eta, .batch = batch};
      auto whole = starts<T>(2 * 7);
      workspace<T> work;
      sample_adaptive(sigmas, sigma_max, sigma_min, method, network, noise, rows<T>(std::span<T>(whole), 2),
                      work);

      auto x = starts<T>(2 * 7);
      adaptive_stepper<T, sigma_schedule> run(sigmas, sigma_max, sigma_min, method,
                                              rows<T>(std::span<T>(x), 2), work);
      while (!run.done()) {
        const auto state = run.save();
        std::vector<T> y(14, T(77));
        workspace<T> other;
        adaptive_stepper<T, sigma_schedule> continued(sigmas, sigma_max, sigma_min, method,
                                                      rows<T>(std::span<T>(y), 2), other);
        continued.restore(state);
        while (!continued.done()) continued.attempt(network, noise);
        support::check_identical(y, whole);
        run.attempt(network, noise);
      }
      support::check_identical(x, whole);
      CHECK(run.noise_to_signal() == Approx(sigma_min));
    }
}

TEST_CASE("An adaptive run with noise draws from the data's distribution") {
  const support::gaussian data{0.4, 0.6};
  const std::size_t n = 40'000;
  auto start = starts(n);
  for (double& x : start) x += data.mean;
  const philox_normal noise{8};
  for (const double eta : {0.5, 1.0}) {
    const auto found = run({.order = 3, .rtol = 0.01, .atol = 1e-3, .eta = eta, .batch = batch_error::mean},
                           start, 1, support::perfect_network{data}, noise);
    double mean = 0;
    double squares = 0;
    for (const double x : found.x) mean += x / double(n);
    for (const double x : found.x) squares += (x - mean) * (x - mean) / double(n);
    CAPTURE(eta, found.info.steps);
    // Four standard errors, and 1 % for the steps.
    CHECK(mean == Approx(data.mean).margin(0.01 + 4 * data.deviation / std::sqrt(double(n))));
    CHECK(squares == Approx(data.variance_at({1, sigma_min})).epsilon(0.01 + 4 * std::sqrt(2 / double(n))));
  }
}

TEST_CASE("An adaptive run to the noise and back comes home") {
  const std::vector<double> start{-1.4, -0.9, -0.2, 0.5, 0.9, 1.6};
  const dpm_adaptive method{.rtol = 0, .atol = 1e-7};
  const auto noise = run(method, start, 6, network, support::no_noise{}, sigmas, sigma_min, sigma_max).x;
  const auto home = run(method, noise, 6).x;
  // Errors of 1e-7 per step, and backwards the flow contracts: at most 1000 of them.
  support::check_close(home, start, 1e-4);
}

TEST_CASE("Attempts do not allocate") {
  auto x = normals(4 * 37);
  workspace<double> work;
  const philox_normal noise;
  const rows<double> view(std::span<double>(x), 4);
  const continuous_schedule vp(linear_schedule(1000), interpolation::log_sigma, 0);
  for (const x0_transform& transform :
       {x0_transform{x0_keep{}}, x0_transform{dynamic_threshold{.ratio = 0.9}}}) {
    adaptive_stepper<double, continuous_schedule> run(vp, sigma_max, sigma_min, {.eta = 0.5}, view, work,
                                                      {.x0 = transform});
    const std::size_t before = support::allocations;
    while (!run.done()) run.attempt(network, noise);
    CHECK(support::allocations - before == 0);
    CHECK(run.info().accepted > 10);
  }
}

TEST_CASE("Adaptive runs that cannot be are refused, and those that get nowhere end") {
  const auto start = starts(4);
  const auto refuse = [&](const dpm_adaptive& method, double from, double to,
                          std::initializer_list<std::string_view> parts) {
    check_refused([&] { return run(method, start, 2, network, support::no_noise{}, sigmas, from, to); },
                  parts);
  };
  refuse({}, 0, 1, {"from = 0", "(0, inf)"});
  refuse({}, 1, 0, {"to = 0", "(0, inf)"});
  refuse({}, std::numeric_limits<double>::infinity(), 1, {"from = inf"});
  refuse({}, 1, 1, {"to = 1"});
  refuse({.eta = 1}, 1, 2, {"eta = 1", "inversion"});
  refuse({.order = 4}, 2, 1, {"order = 4"});
  refuse({.max_steps = 3}, 20, 0.05, {"steps = 4", "max_steps"});
  const auto broken = [](rows<const double>, const auto&, rows<double> out) {
    for (double& value : out.data()) value = std::numeric_limits<double>::quiet_NaN();
  };
  check_refused([&] { return run({}, start, 2, broken); }, {"error of a step = nan", "network"});
  workspace<double> work;
  auto x = start;
  adaptive_stepper<double, sigma_schedule> done(sigmas, 2, 1, {}, rows<double>(std::span<double>(x), 2),
                                                work);
  const support::no_noise none;
  while (!done.done()) done.attempt(network, none);
  check_refused([&] { return done.attempt(network, none); }, {"done"});
  auto state = done.save();
  state.x.pop_back();
  check_refused([&] { return done.restore(state), 0; }, {"size of state.x = 3", "4"});
}
