#include "diffusion/random/batch_noise.hpp"

#include <algorithm>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "diffusion/random/numpy.hpp"
#include "diffusion/random/torch_cpu.hpp"
#include "diffusion/random/torch_cuda.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/schedules/linear.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_identical;
using support::check_refused;

namespace {

constexpr std::size_t count = 3;
constexpr std::size_t row_size = 7;  // no multiple of a block, and an odd batch

template <class T, class Generator>
std::vector<std::vector<T>> batches(Generator generator, std::size_t steps) {
  std::vector<std::vector<T>> all(steps, std::vector<T>(count * row_size));
  for (auto& batch : all) generator.randn(batch);
  return all;
}

template <class T, class Noise>
std::vector<T> row(Noise& noise, std::uint64_t sample, std::uint32_t step) {
  std::vector<T> z(row_size);
  noise(sample, step, std::span<T>(z));
  return z;
}

template <class T, class Generator>
void check_all(const Generator& generator) {
  const auto expected = batches<T>(generator, 5);
  batch_noise<Generator, T> noise(generator, count, row_size);
  const auto check = [&](std::size_t sample, std::uint32_t step) {
    CAPTURE(sample, step);
    const auto from = expected[step].begin() + static_cast<std::ptrdiff_t>(sample * row_size);
    check_identical(row<T>(noise, sample, step), std::vector<T>(from, from + row_size));
  };
  for (std::uint32_t step = 0; step < 5; ++step)
    for (std::size_t sample = 0; sample < count; ++sample) check(sample, step);
  // Back, again, forwards over steps that were passed, in any order of the samples.
  for (const std::uint32_t step : {1U, 1U, 4U, 0U, 3U, 2U})
    for (const std::size_t sample : {2U, 0U, 1U, 1U}) check(sample, step);
}

}  // namespace

TEST_CASE("Noise by batches is what whole batches drawn by hand give, in any order of steps and samples") {
  check_all<float>(torch_cpu_generator(1));
  check_all<double>(torch_cpu_generator(1));
  check_all<float>(torch_cuda_generator(1, {108, 2048}));
  check_all<double>(torch_cuda_generator(1, {1, 256}));
  check_all<double>(numpy_random_state(1));
}

TEST_CASE("A generator that was used before goes on from where it was") {
  torch_cpu_generator used(1);
  std::vector<float> drawn(3);
  used.randn(drawn);
  check_all<float>(used);
}

TEST_CASE("A run with noise by batches is the run with the same noise given as an array") {
  const auto schedule = linear_schedule(10);
  const auto grid = leading_grid(10, 10);
  std::vector<float> given;
  for (const auto& batch : batches<float>(torch_cpu_generator(3), 11))
    given.insert(given.end(), batch.begin(), batch.end());
  batch_noise<torch_cpu_generator, float> noise(torch_cpu_generator(3), count, row_size);
  std::vector<float> x(count * row_size);
  draw_noise(noise, 0, 0, rows<float>(std::span<float>(x), count));
  const support::perfect_network network{support::gaussian{0.5, 0.3}};
  check_identical(support::run(schedule, grid, ddpm{}, network, noise, x, count),
                  support::run(schedule, grid, ddpm{}, network, given_noise<float>{given, count}, x, count));
}

TEST_CASE("Going forward, noise by batches draws every batch once, when its step is first asked for") {
  struct counting_generator {
    std::size_t* draws;
    void randn(std::span<double> z) {
      std::fill(z.begin(), z.end(), 0.0);
      ++*draws;
    }
  };
  std::size_t draws = 0;
  batch_noise<counting_generator, double> noise({&draws}, count, row_size);
  CHECK(draws == 0);
  for (const std::uint32_t step : {0U, 0U, 1U, 4U, 4U})
    for (const std::size_t sample : {1U, 0U, 2U}) {
      row<double>(noise, sample, step);
      CHECK(draws == step + 1);
    }
  row<double>(noise, 0, 1);
  CHECK(draws == 5 + 2);
}

TEST_CASE("Noise by batches refuses empty batches, unknown samples and rows of another size") {
  using noise_type = batch_noise<torch_cpu_generator, double>;
  STATIC_REQUIRE(NoiseSource<noise_type, double>);
  STATIC_REQUIRE(NormalGenerator<numpy_random_state, double>);
  STATIC_REQUIRE(!NormalGenerator<numpy_random_state, float>);
  STATIC_REQUIRE(!NormalGenerator<numpy_philox, double>);
  check_refused([] { return noise_type(torch_cpu_generator(1), 0, 2); }, {"count = 0", "at least 1"});
  check_refused([] { return noise_type(torch_cpu_generator(1), 2, 0); }, {"row_size = 0", "at least 1"});
  noise_type noise(torch_cpu_generator(1), 2, 4);
  std::vector<double> z(4);
  check_refused([&] { return noise(2, 0, std::span(z)), 0; }, {"sample = 2", "below 2"});
  check_refused([&] { return noise(0, 0, std::span(z).first(3)), 0; }, {"size of z = 3", "4"});
}
