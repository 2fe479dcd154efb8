#include "diffusion/random/brownian.hpp"

#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

std::vector<double> draw(const brownian_normal& source, std::uint64_t sample, noise_level from,
                         noise_level to, std::size_t size) {
  std::vector<double> z(size);
  source(sample, from, to, std::span<double>(z));
  return z;
}

double mean_product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / static_cast<double>(a.size());
}

/// Levels whose angles are multiples of 2⁻⁷ of a quarter turn, so that nothing is rounded to the tree's
/// angles.
path_point point_at(int number) {
  const double angle = number * std::numbers::pi / 1024;
  return {double(512 - number), {std::sin(angle), std::cos(angle)}};
}
run_path path_of(int first, int last, int stride) {
  std::vector<path_point> points;
  for (int i = first; i <= last; i += stride) points.push_back(point_at(i));
  return run_path(points);
}

template <class Data>
double end_of(const run_plan& plan, const brownian_noise& noise, std::uint64_t sample, const Data& data) {
  double x = 0;
  noise(sample, 0, std::span<double>(&x, 1));
  return support::run_on(
      plan, x, [&](double at, const run_stage& stage) { return data(at, stage.eval.level); },
      [&](std::size_t k) {
        double z = 0;
        noise(sample, static_cast<std::uint32_t>(k + 1), std::span<double>(&z, 1));
        return z;
      },
      [](std::size_t, double) {});
}

}  // namespace

TEST_CASE("The noise of every interval is N(0, 1), and intervals that do not overlap are independent") {
  // Five standard errors: one false alarm in 1.7 million; the seed is fixed.
  const std::size_t n = 40000;
  const double standard_error = 1 / std::sqrt(double(n));
  const brownian_normal source(3);
  const noise_level levels[] = {{0, 1},   {0.01, 1},   {0.3, 0.9}, {0.9, 0.3},
                                {1, 0.1}, {1, 0.0999}, {1, 1e-4},  {1, 0}};
  std::vector<std::vector<double>> draws;
  for (std::size_t k = 0; k + 1 < std::size(levels); ++k) {
    draws.push_back(draw(source, 0, levels[k], levels[k + 1], n));
    const auto& z = draws.back();
    CAPTURE(k);
    CHECK(std::abs(mean_product(z, std::vector<double>(n, 1))) <= 5 * standard_error);
    CHECK(std::abs(mean_product(z, z) - 1) <= 5 * std::sqrt(2.0) * standard_error);
    for (std::size_t j = 0; j < k; ++j) {
      CAPTURE(j);
      CHECK(std::abs(mean_product(z, draws[j])) <= 5 * standard_error);
    }
  }
}

TEST_CASE("The noise of an interval is what its parts add up to, by the root of their lengths in the SNR") {
  const brownian_normal source(1);
  const std::size_t n = 300;
  for (const auto& [a, b, c] : {std::tuple{0, 1, 512}, {10, 20, 400}, {255, 256, 257}, {256, 400, 511}}) {
    CAPTURE(a, b, c);
    const noise_level la = point_at(a).level;
    const noise_level lb = point_at(b).level;
    const noise_level lc = c == 512 ? noise_level{1, 1e-3} : point_at(c).level;
    const auto whole = draw(source, 2, la, lc, n);
    const auto first = draw(source, 2, la, lb, n);
    const auto second = draw(source, 2, lb, lc, n);
    const double length = snr(lc) - snr(la);
    std::vector<double> sum(n);
    for (std::size_t i = 0; i < n; ++i)
      sum[i] = first[i] * std::sqrt((snr(lb) - snr(la)) / length) +
               second[i] * std::sqrt((snr(lc) - snr(lb)) / length);
    // Up to 24 roundings of a W of size √τ, relative to √length. The angle of σ = 1e-3 is rounded by 5e-8.
    const double tolerance = c == 512 ? 1e-3 : 64 * roundoff<> * std::sqrt(snr(lc) / length) * 5;
    support::check_close(sum, whole, tolerance);
    // Backwards the same with the other sign.
    const auto back = draw(source, 2, lc, la, n);
    for (std::size_t i = 0; i < n; ++i) CHECK(back[i] == -whole[i]);
  }
}

TEST_CASE(
    "Brownian noise depends on seed, sample and element, not on the size of the row; floats are rounded "
    "doubles") {
  const noise_level from{0.2, 0.9};
  const noise_level to{0.5, 0.8};
  const auto z = draw(brownian_normal(7), 5, from, to, 500);
  for (const std::size_t size : {1U, 2U, 127U, 128U, 129U, 300U}) {
    const auto part = draw(brownian_normal(7), 5, from, to, size);
    support::check_identical(part,
                             std::vector<double>(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  std::vector<float> single(500);
  brownian_normal(7)(5, from, to, std::span<float>(single));
  // 24 bridges of size 1, a difference of two W of size 0.7, over √length = 0.6.
  support::check_close(single, z, 1e-5);
  CHECK(draw(brownian_normal(7), 6, from, to, 1)[0] != z[0]);
  CHECK(draw(brownian_normal(8), 5, from, to, 1)[0] != z[0]);
  // Another scale of the same process, as of a variance exploding one.
  support::check_identical(draw(brownian_normal(7), 5, {1, 4.5}, {1, 1.6}, 500), z);
}

TEST_CASE("DDPM with a fixed x0 comes to the same state over every grid") {
  // The posterior's noise is σ_to²/α_to times an increment of W.
  const support::gaussian point{0.4, 0};
  for (const int first : {0, 64})
    for (const std::uint64_t sample : {0u, 1u, 77u}) {
      const run_plan whole = make_plan(path_of(first, 448, 448 - first), ddpm{});
      const double expected = end_of(whole, brownian_noise(5, whole), sample, point);
      for (const int stride : {64, 16, 2}) {
        const run_plan plan = make_plan(path_of(first, 448, stride), ddpm{});
        CAPTURE(first, sample, stride);
        CHECK(end_of(plan, brownian_noise(5, plan), sample, point) == Approx(expected).margin(1e-13));
      }
    }
}

TEST_CASE("The result of a stochastic run converges as its steps are refined") {
  constexpr std::size_t n = 1000;
  const support::mixture data;
  const auto results = [&](int stride) {
    const run_plan plan = make_plan(path_of(32, 480, stride), ddim{.eta = 1});
    const brownian_noise noise(9, plan);
    std::vector<std::vector<double>> z(plan.stages.size() + 1, std::vector<double>(n));
    for (std::uint32_t step = 0; step < z.size(); ++step) noise(0, step, std::span<double>(z[step]));
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i)
      x[i] = support::run_on(
          plan, z[0][i], [&](double at, const run_stage& stage) { return data(at, stage.eval.level); },
          [&](std::size_t k) { return z[k + 1][i]; }, [](std::size_t, double) {});
    return x;
  };
  const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
    return std::sqrt(squares / n);
  };
  const auto coarse = results(8);
  const auto middle = results(4);
  const auto fine = results(2);
  // Exponential Euler for additive noise is of strong order 1.
  CHECK(std::log2(distance(coarse, middle) / distance(middle, fine)) == Approx(1).margin(0.2));
  CHECK(distance(middle, fine) < 0.03);  // fresh noise would give more than the deviation of the data, 0.9
}

TEST_CASE("A run's start is that of philox_normal, and its stages draw for their own intervals") {
  const run_plan plan = make_plan(path_of(0, 448, 64), ddpm{});
  const brownian_noise noise(4, plan);
  std::vector<double> z(9), expected(9);
  noise(2, 0, std::span<double>(z));
  philox_normal{4}(2, 0, std::span<double>(expected));
  support::check_identical(z, expected);
  noise(2, 3, std::span<double>(z));
  support::check_identical(z, draw(brownian_normal(4), 2, point_at(128).level, point_at(192).level, 9));
  static_assert(NoiseSource<const brownian_noise, float> && NoiseSource<const brownian_noise, double>);
}

TEST_CASE("Brownian noise refuses what it cannot resolve") {
  const brownian_normal source(1);
  check_refused([] { return brownian_normal(1, 0); }, {"depth = 0", "[1, 31]"});
  check_refused([] { return brownian_normal(1, 32); }, {"depth = 32", "[1, 31]"});
  std::vector<double> z(1);
  check_refused(
      [&] {
        source(0, {1, 0.5}, {1, 0.5}, std::span<double>(z));
        return 0;
      },
      {"sigma / alpha = 0.5", "depth 24"});
  check_refused(
      [&] {
        source(0, {1, -1}, {1, 0.5}, std::span<double>(z));
        return 0;
      },
      {"sigma = -1"});
  const path_point points[] = {{2, {1, 1e-6}}, {1, {1, 5e-9}}, {0, {1, 1e-9}}};
  const run_plan plan = make_plan(run_path(points), ddpm{});
  check_refused([&] { return brownian_noise(1, plan); }, {"stage 1", "depth 24"});
  const run_plan still = make_plan(run_path(points), ddim{});  // draws nothing
  brownian_noise(1, still)(0, 2, std::span<double>(z));
  CHECK(z[0] == 0);
  check_refused(
      [&] {
        brownian_noise(1, still)(0, 3, std::span<double>(z));
        return 0;
      },
      {"step = 3", "[0, 2]"});
}
