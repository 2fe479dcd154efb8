#include "diffusion/random/normal.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "support/check.hpp"
#include "support/oracle.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

std::vector<double> draw(std::uint64_t seed, std::uint64_t sample, std::uint32_t step, std::size_t size) {
  std::vector<double> z(size);
  philox_normal{seed}(sample, step, std::span<double>(z));
  return z;
}

/// Mean of x^p y^q.
double moment(const std::vector<double>& x, int p, const std::vector<double>& y = {}, int q = 0) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(x[i], p) * (q > 0 ? std::pow(y[i], q) : 1);
  return sum / static_cast<double>(x.size());
}

}  // namespace

TEST_CASE("Noise has the moments of N(0, 1)") {
  // Five standard errors: a correct generator fails one check in 1.7 million; the seed is fixed.
  const std::size_t n = 200000;
  const double standard_error = 1 / std::sqrt(double(n));
  for (const std::uint64_t seed : {0u, 1u, 12345u}) {
    const auto z = draw(seed, 0, 0, n);
    CAPTURE(seed);
    CHECK(std::abs(moment(z, 1)) <= 5 * standard_error);
    CHECK(std::abs(moment(z, 2) - 1) <= 5 * std::sqrt(2.0) * standard_error);
    CHECK(std::abs(moment(z, 3)) <= 5 * std::sqrt(15.0) * standard_error);
    CHECK(std::abs(moment(z, 4) - 3) <= 5 * std::sqrt(96.0) * standard_error);
  }
}

TEST_CASE("Noise is distributed as N(0, 1) along a row and across samples, steps and seeds") {
  // Kolmogorov and Smirnov: P(√n D > 2.7) = 2 exp(-2 · 2.7²) = 9e-7; the seeds are fixed.
  const std::size_t n = 50000;
  const auto distance = [](std::vector<double> z) {
    std::sort(z.begin(), z.end());
    const auto size = static_cast<double>(z.size());
    double worst = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double p = support::normal_cdf(z[i]);
      worst = std::max({worst, p - static_cast<double>(i) / size, static_cast<double>(i + 1) / size - p});
    }
    return worst * std::sqrt(size);
  };
  std::vector<double> samples, steps, seeds;
  for (std::uint32_t i = 0; i < n; ++i) {
    samples.push_back(draw(7, i, 0, 1)[0]);
    steps.push_back(draw(7, 0, i, 2)[1]);
    seeds.push_back(draw(i, 0, 0, 4)[3]);
  }
  CHECK(distance(draw(7, 0, 0, n)) <= 2.7);
  CHECK(distance(samples) <= 2.7);
  CHECK(distance(steps) <= 2.7);
  CHECK(distance(seeds) <= 2.7);
}

TEST_CASE("Neighbouring elements, samples, steps and seeds are uncorrelated, also in their squares") {
  const std::size_t n = 100000;
  const double limit = 5 / std::sqrt(double(n));  // one false alarm in 1.7 million
  const auto z = draw(3, 5, 7, n);
  auto shifted = [&](std::ptrdiff_t lag) {
    std::vector<double> moved = z;
    std::rotate(moved.begin(), moved.begin() + lag, moved.end());
    return moved;
  };
  const std::vector<std::vector<double>> others{shifted(1),       shifted(2),       shifted(3),
                                                shifted(4),       draw(3, 6, 7, n), draw(3, 5, 8, n),
                                                draw(4, 5, 7, n), draw(5, 3, 7, n), draw(3, 7, 5, n)};
  for (const auto& other : others) {
    CHECK(std::abs(moment(z, 1, other, 1)) <= limit);
    // The variance of x²y² - 1 is 8.
    CHECK(std::abs(moment(z, 2, other, 2) - 1) <= std::sqrt(8.0) * limit);
  }
}

TEMPLATE_TEST_CASE("Draws in float are the draws in double to the accuracy of both transforms", "",
                   philox_normal, philox10_normal, fused_philox_normal) {
  std::vector<double> wide(5000);
  std::vector<float> narrow(5000);
  TestType{1}(2, 3, std::span<double>(wide));
  TestType{1}(2, 3, std::span<float>(narrow));
  // 6 ulp of float, each at most 2⁻²³ of the value.
  for (std::size_t i = 0; i < wide.size(); ++i)
    CHECK(std::abs(narrow[i] - wide[i]) <= 6 * 0x1p-23 * std::abs(wide[i]));
}

TEST_CASE("Fused products change the last bits of a draw, and they do not depend on its place either") {
  const std::size_t size = 5000;
  std::vector<double> separate(size), fused(size);
  philox_normal{1}(2, 3, std::span<double>(separate));
  fused_philox_normal{1}(2, 3, std::span<double>(fused));
  // Each is within 6 ulp of the transform's value.
  for (std::size_t i = 0; i < size; ++i)
    CHECK(std::abs(fused[i] - separate[i]) <= 12 * 0x1p-52 * std::abs(separate[i]));
  for (const std::size_t some : {1u, 63u, 65u, 127u, 129u, 1000u}) {
    std::vector<double> z(some);
    fused_philox_normal{1}(2, 3, std::span<double>(z));
    CHECK(std::equal(z.begin(), z.end(), fused.begin()));
  }
}

TEST_CASE("Element and word: block b of a tile makes the elements 2b, 2b + 1, 2b + 64 and 2b + 65") {
  const std::uint64_t sample = 0x9'0000'0005;
  std::vector<double> z(256);
  philox10_normal{42}(sample, 7, std::span<double>(z));
  const addressed_words<10> words(42, sample, 7);
  for (std::uint32_t block = 0; block < 64; ++block) {
    const auto w = words[block];
    const auto even = detail::box_muller<double, scalar_arch>(w[1], w[3]);
    const auto odd = detail::box_muller<double, scalar_arch>(w[0], w[2]);
    const std::size_t place = block / 32 * 128 + block % 32 * 2;
    CHECK(z[place] == even.first);
    CHECK(z[place + 1] == odd.first);
    CHECK(z[place + 64] == even.second);
    CHECK(z[place + 65] == odd.second);
  }
}

TEMPLATE_TEST_CASE("16-bit draws are the float draws, rounded", "", float16, bfloat16) {
  std::vector<float> wide(200);
  std::vector<TestType> narrow(200);
  philox_normal{1}(2, 3, std::span<float>(wide));
  philox_normal{1}(2, 3, std::span<TestType>(narrow));
  for (std::size_t i = 0; i < wide.size(); ++i) CHECK(narrow[i].bits == TestType(wide[i]).bits);
}

TEST_CASE("An element depends on its address alone: not on the size, the order, the batch or the thread") {
  const auto whole = draw(1, 2, 3, 71);
  for (std::size_t size = 1; size <= 70; ++size) {
    const auto some = draw(1, 2, 3, size);
    CHECK(std::equal(some.begin(), some.end(), whole.begin()));
  }
  const std::size_t count = 16;
  const std::size_t size = 37;
  const philox_normal noise{9};
  std::vector<float> together(count * size), alone(count * size), threaded(count * size);
  draw_noise(noise, 4, 100, rows<float>(std::span<float>(together), count));
  for (std::size_t i = count; i-- > 0;) noise(100 + i, 4, rows<float>(std::span<float>(alone), count)[i]);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; i += 4)
    threads.emplace_back([&, i] {
      draw_noise(noise, 4, 100 + i, rows<float>(std::span<float>(threaded).subspan(i * size, 4 * size), 4));
    });
  for (std::thread& thread : threads) thread.join();
  support::check_identical(alone, together);
  support::check_identical(threaded, together);
}

TEMPLATE_TEST_CASE("Given noise is handed out by step and sample", "", float, double) {
  const std::vector<TestType> values{0, 1, 10, 11, 100, 101, 110, 111};  // step, sample, element
  const given_noise<TestType> noise{values, 2};
  std::vector<TestType> z(2);
  noise(1, 0, std::span<TestType>(z));
  support::check_identical(z, std::vector<TestType>{10, 11});
  noise(0, 1, std::span<TestType>(z));
  support::check_identical(z, std::vector<TestType>{100, 101});
  check_refused([&] { return noise(2, 0, std::span<TestType>(z)), 0; }, {"sample = 2", "below 2"});
  check_refused([&] { return noise(0, 2, std::span<TestType>(z)), 0; }, {"step = 2", "8 given values"});
  check_refused([&] { return noise(0, 0xffffffff, std::span<TestType>(z)), 0; }, {"step = 4294967295"});
  check_refused([&] { return noise(0, 0, std::span<TestType>{}), 0; }, {"step = 0"});
  std::vector<TestType> long_row(5);
  check_refused([&] { return noise(1, 0, std::span<TestType>(long_row)), 0; }, {"8 given values"});
}
