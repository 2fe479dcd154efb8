#include "diffusion/denoise.hpp"

#include <numeric>

#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/flow.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/gaussian_mixture.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;
using support::normals;

namespace {

const sigma_schedule ve;
const continuous_schedule vp = continuous(linear_schedule(1000));
const flow_schedule rectified;

/// One row of draws of the data with noise of deviation ς.
template <class T = double>
std::vector<T> noisy(const support::gaussian& data, std::size_t size, double sigma, std::uint64_t seed = 1) {
  const auto x0 = normals(size, 2 * seed);
  const auto n = normals(size, 2 * seed + 1);
  std::vector<T> y(size);
  for (std::size_t i = 0; i < size; ++i)
    y[i] = static_cast<T>(data.mean + data.deviation * x0[i] + sigma * n[i]);
  return y;
}

template <class T = double, class Schedule, class P>
std::vector<double> estimate(const Schedule& schedule, P predictor, const std::vector<T>& y,
                             std::size_t count = 1, const noise_level_options& options = {},
                             sigma_range range = {0.01, 100}) {
  return estimate_noise_level(schedule, range, predictor, rows<const T>(std::span<const T>(y), count),
                              options);
}

}  // namespace

TEMPLATE_TEST_CASE("A denoiser gives the mean of the data behind a noisy value, in every process", "", float,
                   double) {
  using T = TestType;
  const support::mixture data;
  const auto values = normals(22);
  const std::vector<T> y(values.begin(), values.end());
  const double sigma = 0.6;
  // The mean of x_0 under p(x_0) N(y; x_0, ς²), by the trapezoidal rule, whose error is below roundoff.
  std::vector<double> expected;
  for (const T value : y) {
    double sum = 0;
    double total = 0;
    for (double x0 = -6; x0 <= 6; x0 += 1.0 / 128) {
      double density = 0;
      for (const auto& [weight, normal] : data.components)
        density +=
            weight / normal.deviation * std::exp(-std::pow((x0 - normal.mean) / normal.deviation, 2) / 2);
      density *= std::exp(-std::pow((double(value) - x0) / sigma, 2) / 2);
      sum += density * x0;
      total += density;
    }
    expected.push_back(sum / total);
  }
  const auto check = [&](const auto& schedule, prediction kind) {
    auto network = predicts(kind, support::perfect_network{data, kind});
    std::vector<T> x0(22);
    workspace<T> work;
    denoise(schedule, sigma, network, rows<const T>(y, 2), rows<T>(x0, 2), work);
    CAPTURE(std::string(name(kind)));
    // A few roundings of numbers up to 3, divided by α ≥ 0.6.
    check_close(x0, expected, 64 * support::roundoff<T>);
  };
  for (const auto& [kind_name, kind] : prediction_names) {
    check(ve, kind);
    check(vp, kind);
    check(rectified, kind);
  }
}

TEST_CASE("A denoiser transforms what it finds, allocates only at first, and may write over its input") {
  const support::perfect_network network{support::mixture{}};
  auto y = normals(22);
  workspace<double> work;
  std::vector<double> free(22), clipped(22);
  denoise(vp, 0.6, network, rows<const double>(y, 2), rows<double>(free, 2), work);
  const std::size_t before = support::allocations;
  denoise(vp, 0.6, network, rows<const double>(y, 2), rows<double>(clipped, 2), work, x0_clip{0.5});
  CHECK(support::allocations - before == 0);
  CHECK(clipped != free);
  for (double& value : free) value = std::clamp(value, -0.5, 0.5);
  support::check_identical(clipped, free);
  denoise(vp, 0.6, network, rows<const double>(y, 2), rows<double>(y, 2), work, dynamic_threshold{0.0});
  for (double& value : y) CHECK(std::abs(value) <= 1);
}

TEST_CASE("The noise level of Gaussian data is the one that their variance tells, to the tolerance") {
  // Known mean m and deviation s: y has the variance s² + ς², most likely Σ(y - m)²/d.
  const support::gaussian data{0.5, 0.3};
  for (const double sigma : {0.1, 0.5, 3.0}) {
    const auto y = noisy(data, 1000, sigma);
    double squares = 0;
    for (const double value : y) squares += (value - 0.5) * (value - 0.5) / 1000;
    const double expected = std::sqrt(squares - 0.09);
    const noise_level_options options{.tolerance = 1e-6};
    CAPTURE(sigma);
    for (const auto& [kind_name, kind] : prediction_names) {
      CAPTURE(std::string(kind_name));
      auto network = predicts(kind, support::perfect_network{data, kind});
      // Half the tolerance of bisection, and the differences of a linear function: 1e-16/h = 2e-11.
      check_close(estimate(vp, network, y, 1, options), std::vector{expected}, 0, 0.51e-6);
      check_close(estimate(ve, network, y, 1, options), std::vector{expected}, 0, 0.51e-6);
      check_close(estimate(rectified, network, y, 1, options), std::vector{expected}, 0, 0.51e-6);
    }
  }
}

TEMPLATE_TEST_CASE("Estimated noise levels are unbiased and as accurate as the likelihood allows", "", float,
                   double) {
  using T = TestType;
  // Elements of a mixture, independent, so that one probe is exact: their Fisher information about log ς is
  // the variance of ε̂² - ς ∂ε̂/∂y, measured here over the same data.
  const support::mixture data;
  const support::perfect_network network{data};
  constexpr std::size_t d = 784;
  constexpr std::size_t n = 100;
  const auto coin = normals(n * d, 5);
  const auto z = normals(n * d, 6);
  const auto e = normals(n * d, 7);
  for (const double sigma : {0.2, 1.0}) {
    std::vector<T> y;
    double information = 0;
    for (std::size_t i = 0; i < n * d; ++i) {
      const auto& normal = data.components[support::normal_cdf(coin[i]) < 0.3 ? 0 : 1].normal;
      y.push_back(static_cast<T>(normal.mean + normal.deviation * z[i] + sigma * e[i]));
      const auto epsilon = [&](double at) { return data(at, {1, sigma}).epsilon; };
      const double at = double(y.back());
      const double score =
          epsilon(at) * epsilon(at) - sigma * (epsilon(at + 1e-4) - epsilon(at - 1e-4)) / 2e-4;
      information += score * score / n;  // of a row
    }
    double mean = 0;
    double squares = 0;
    for (const double found : estimate<T>(vp, network, y, n)) {
      const double error = std::log(found / sigma) * std::sqrt(information);
      mean += error / n;
      squares += error * error / n;
    }
    // Four standard errors of n standard normals; the bias of the estimate is of order 1/d beside 1/√d.
    CAPTURE(sigma, information / d);
    CHECK(std::abs(mean) <= 4 / std::sqrt(double(n)) + 10 / std::sqrt(double(d)));
    CHECK(squares == Approx(1).margin(4 * std::sqrt(2.0 / n)));
  }
}

TEST_CASE("Probes tell the noise level where the Jacobian is not diagonal") {
  // Two dimensions that belong together, 300 times the same mixture seen in one row would be diagonal again:
  // so one mixture in 64 dimensions, with means far apart.
  constexpr std::size_t d = 64;
  const auto m = normals(2 * d, 21);
  const support::gaussian_mixture data{
      {{0.5, 0.1, {m.begin(), m.begin() + d}}, {0.5, 0.2, {m.begin() + d, m.end()}}}};
  const support::mixture_network network{data};
  const double sigma = 0.7;
  std::vector<double> y;
  const auto z = normals(40 * d, 22);
  const auto n = normals(40 * d, 23);
  for (std::size_t i = 0; i < z.size(); ++i)
    y.push_back(m[i % (2 * d)] + (i / d % 2 == 0 ? 0.1 : 0.2) * z[i] + sigma * n[i]);
  double mean = 0;
  for (const double found : estimate(vp, network, y, 40, {.divergence = {.probes = 4}}))
    mean += std::log(found / sigma) / 40;
  // One row is good to 1/√(2d), with the 0.2² of the data beside 0.7² about 8 % worse.
  CHECK(std::abs(mean) <= 4 * 1.08 / std::sqrt(2.0 * d * 40) + 1.0 / d);
}

TEST_CASE("A noise level does not depend on the batch") {
  const support::gaussian_mixture data{
      {{0.4, 0.5, std::vector<double>(9, 0.3)}, {0.6, 0.2, std::vector<double>(9, -0.4)}}};
  const support::mixture_network network{data};
  const auto y = normals(36);
  const auto together = estimate(vp, network, y, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<double> own(y.begin() + std::ptrdiff_t(9 * i), y.begin() + std::ptrdiff_t(9 * (i + 1)));
    CHECK(estimate(vp, network, own, 1, {.first_sample = i})[0] == together[i]);
  }
}

TEST_CASE("Less or more noise than the range allows gives its end") {
  const support::gaussian data{0.5, 0.3};
  const support::perfect_network network{data};
  CHECK(estimate(ve, network, noisy(data, 1000, 0.5), 1, {}, {1, 10})[0] == 1);
  CHECK(estimate(ve, network, noisy(data, 1000, 0.5), 1, {}, {0.01, 0.2})[0] == 0.2);
  CHECK(estimate(ve, network, std::vector<double>(1000, 0.5))[0] == 0.01);
  CHECK(estimate(ve, network, noisy(data, 1000, 0.5), 1, {}, {0.4, 0.4})[0] == 0.4);
}

TEST_CASE("Bad noise levels, ranges and options are refused, and networks that fail") {
  const support::perfect_network network{support::gaussian{}};
  std::vector<double> y(4, 1.0);
  workspace<double> work;
  const auto run = [&](double sigma, std::size_t count, const x0_transform& transform = x0_keep{}) {
    std::vector<double> x0(4);
    denoise(ve, sigma, network, rows<const double>(y, count), rows<double>(x0, 2), work, transform);
    return 0;
  };
  check_refused([&] { return run(0, 2); }, {"noise_to_signal = 0", "(0, inf)"});
  check_refused([&] { return run(1, 4); }, {"number of rows of y = 4"});
  check_refused([&] { return run(1, 2, x0_clip{0}); }, {"x0_clip.limit = 0"});
  check_refused([&] { return estimate(ve, network, y, 1, {}, {0, 1}); }, {"sigma_range.min = 0"});
  check_refused([&] { return estimate(ve, network, y, 1, {.tolerance = 0}); }, {"tolerance = 0", "(0, inf)"});
  check_refused([&] { return estimate(ve, network, y, 1, {.divergence = {.probes = 0}}); }, {"probes = 0"});
  y[2] = std::nan("");
  check_refused([&] { return estimate(ve, network, y, 1); },
                {"slope of the likelihood = nan", "finite: the network's output is not"});
}
