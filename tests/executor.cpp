#include "diffusion/executor.hpp"

#include <thread>
#include <vector>

#include "diffusion/forward.hpp"
#include "diffusion/sample.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"

using namespace diffusion;

namespace {

/// Every executor has to give what `serial` gives.
template <class Check>
void for_each_executor(Check check) {
  check([](std::size_t count, const auto& f) {  // single blocks, backwards
    for (std::size_t i = count; i-- > 0;) f(i, i + 1);
  });
  check([](std::size_t count, const auto& f) {  // three threads
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 3; ++i)
      threads.emplace_back([=] {
        if (count * i / 3 < count * (i + 1) / 3) f(count * i / 3, count * (i + 1) / 3);
      });
    for (std::thread& thread : threads) thread.join();
  });
#ifdef _OPENMP
  for (const int threads : {0, 1, 2, 3, 7}) check(openmp(threads));
#endif
}

template <class T, class E>
std::vector<T> sampled(std::size_t count, std::size_t size, const E& executor) {
  const auto schedule = cosine_schedule(50);
  const support::perfect_network network{support::mixture{}};
  std::vector<T> values(count * size);
  rows<T> x(std::span<T>(values), count);
  workspace<T> work;
  const philox_normal noise{3};
  draw_noise(noise, 0, 0, x);
  sample(schedule, trailing_grid(50, 3), ddpm{}, network, noise, x, work, {.x0 = dynamic_threshold{0.9, 2}},
         executor);
  return values;
}

}  // namespace

TEST_CASE("Noise, forward process and runs are bit-identical with every executor") {
  const std::size_t size = 3 * detail::long_block_size + 77;
  std::vector<float> z(size), mixed(size);
  philox_normal{5}.row(1, 2).fill(std::span<float>(z));
  linear_combination(0.6, z, 0.8, z, std::span<float>(mixed));
  const std::vector<noise_level> levels{{0.6, 0.8}, {0.8, 0.6}};
  const std::vector<float> two_rows(2 * size, 0.5F);
  const rows<const float> pair(std::span<const float>(two_rows), 2);
  std::vector<float> target(2 * size), learned(size, 1.0F);
  training_target(prediction::v, levels, pair, pair, rows<float>(std::span<float>(target), 2));
  const variance_map variance{.offset = -1, .slope = 0.5};
  add_learned_noise(variance, z, z, std::span<float>(learned));
  const auto run = sampled<double>(2, size, serial{});
  const auto small = sampled<double>(400, 33, serial{});
  for_each_executor([&](const auto& executor) {
    std::vector<float> other(size);
    philox_normal{5}.row(1, 2).fill(std::span<float>(other), executor);
    support::check_identical(other, z);
    linear_combination(0.6, z, 0.8, z, std::span<float>(other), executor);
    support::check_identical(other, mixed);
    std::vector<float> other_target(2 * size), other_learned(size, 1.0F);
    training_target(prediction::v, levels, pair, pair, rows<float>(std::span<float>(other_target), 2),
                    executor);
    support::check_identical(other_target, target);
    add_learned_noise(variance, z, z, std::span<float>(other_learned), executor);
    support::check_identical(other_learned, learned);
    support::check_identical(sampled<double>(2, size, executor), run);
    support::check_identical(sampled<double>(400, 33, executor), small);
  });
}

#ifdef _OPENMP
TEST_CASE("A negative number of threads is refused") {
  support::check_refused([] { return openmp(-1), 0; }, {"threads = -1", "0"});
}
#endif
