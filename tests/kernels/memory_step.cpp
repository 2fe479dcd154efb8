#include "diffusion/kernels/memory_step.hpp"

#include <vector>

#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::normals;
using support::roundoff;

namespace {

const noise_level from{0.6, 0.8};
const step_plan plan{
    x0_map(prediction::epsilon, from), epsilon_map(prediction::epsilon, from), {1.5, 1 / 1.5}, {}};

/// A sum in double, as the documentation has it.
template <class T>
double plain_sum(const memory_sum<T>& sum, std::span<const double> past, double x, double output, double z) {
  const double x0 = std::clamp(plan.x0(x, output), -1.5, 1.5) / 1.5;
  double value =
      sum.now.x * x + sum.now.x0 * x0 + sum.now.epsilon * plan.epsilon(x, output) + sum.now.noise * z;
  for (std::size_t j = 0; j < past.size(); ++j) value += sum.past[j] * past[j];
  return value;
}

/// Three sums over `count` vectors of memory, of which two go where vectors that are read lie.
template <class T>
void check_sums(std::size_t count, std::size_t size, bool with_noise) {
  CAPTURE(count, size, with_noise);
  const auto x = normals<T>(size, 1);
  const auto output = normals<T>(size, 2);
  const auto z = normals<T>(size, 3);
  std::vector<std::vector<T>> vectors;
  for (std::size_t j = 0; j < count; ++j) vectors.push_back(normals<T>(size, 10 + j));
  auto found = x;
  std::vector<T> other(size);

  step_memory<T> memory{.past_count = count, .sum_count = 3};
  for (std::size_t j = 0; j < count; ++j) memory.past[j] = vectors[j].data();
  const double noise = with_noise ? 0.3 : 0;
  memory.sums[0] = {{.x = 0.7, .x0 = 0.4, .epsilon = 0.2, .noise = noise}, {}, found.data()};
  memory.sums[1] = {{.x0 = 1}, {}, count > 0 ? vectors[count - 1].data() : other.data()};
  memory.sums[2] = {{.x = -0.5, .noise = 2 * noise}, {}, count > 1 ? vectors[0].data() : nullptr};
  if (count < 2) memory.sum_count = 2;
  for (std::size_t j = 0; j < count; ++j) {
    memory.sums[0].past[j] = 0.5 - 0.1 * static_cast<double>(j);
    memory.sums[2].past[j] = 0.1 * static_cast<double>(j + 1);
  }
  std::vector<std::vector<double>> want(3);
  for (std::size_t i = 0; i < size; ++i) {
    std::vector<double> past;
    for (const auto& vector : vectors) past.push_back(static_cast<double>(vector[i]));
    for (std::size_t s = 0; s < 3; ++s)
      want[s].push_back(plain_sum(memory.sums[s], past, static_cast<double>(x[i]),
                                  static_cast<double>(output[i]), static_cast<double>(z[i])));
  }
  const auto original = x;
  apply_step(plan, memory, output, with_noise ? std::span<const T>(z) : std::span<const T>(),
             std::span<const T>(original));
  // At most 4 + 16 products of values up to 6.77, each rounded, and 16 roundings of sums; x̂0 has 8 more over
  // α.
  const double tolerance = 64 * roundoff<T> * 6.77;
  support::check_close(found, want[0], tolerance);
  support::check_close(count > 0 ? vectors[count - 1] : other, want[1], tolerance);
  if (count > 1) support::check_close(vectors[0], want[2], tolerance);
}

}  // namespace

TEMPLATE_TEST_CASE("A step reads its memory, and leaves sums there, before it is overwritten", "", float,
                   double) {
  for (std::size_t count = 0; count <= max_past; ++count)
    for (const std::size_t size : {1u, 3u, 8u, 37u, 70u})
      for (const bool with_noise : {false, true}) check_sums<TestType>(count, size, with_noise);
}

TEMPLATE_TEST_CASE("The sums that most stages have are the same sums, with or without one for later", "",
                   float, double) {
  const std::size_t size = 37;
  const auto x = normals<TestType>(size, 1);
  const auto output = normals<TestType>(size, 2);
  const auto z = normals<TestType>(size, 3);
  for (std::size_t count = 0; count <= 5; ++count)
    for (const double noise : {0.0, 0.3})
      for (const step_coefficients kept : {step_coefficients{}, {.x0 = 1}, {.x = 0.5, .x0 = -2}}) {
        CAPTURE(count, noise, kept.x, kept.x0);
        std::vector<std::vector<TestType>> vectors;
        for (std::size_t j = 0; j < count; ++j) vectors.push_back(normals<TestType>(size, 10 + j));
        std::vector<TestType> found(size), slot(size);
        step_memory<TestType> memory{.past_count = count, .sum_count = kept.x0 == 0 ? 1u : 2u};
        memory.sums[0] = {{.x = 0.7, .x0 = 0.4, .noise = noise}, {}, found.data()};
        memory.sums[1] = {kept, {}, slot.data()};
        for (std::size_t j = 0; j < count; ++j) {
          memory.past[j] = vectors[j].data();
          memory.sums[0].past[j] = 0.5 - 0.2 * static_cast<double>(j);
        }
        apply_step(plan, memory, output,
                   noise != 0 ? std::span<const TestType>(z) : std::span<const TestType>(),
                   std::span<const TestType>(x));
        std::vector<double> want, want_slot;
        for (std::size_t i = 0; i < size; ++i) {
          std::vector<double> past;
          for (const auto& vector : vectors) past.push_back(static_cast<double>(vector[i]));
          const auto sum = [&](std::size_t s) {
            return plain_sum(memory.sums[s], past, static_cast<double>(x[i]), static_cast<double>(output[i]),
                             static_cast<double>(z[i]));
          };
          want.push_back(sum(0));
          want_slot.push_back(memory.sum_count == 2 ? sum(1) : 0);
        }
        const double tolerance = 64 * roundoff<TestType> * 6.77;
        support::check_close(found, want, tolerance);
        support::check_close(slot, want_slot, tolerance);
      }
}

TEST_CASE("A step with memory is the same for every executor and block") {
  const std::size_t size = 100'000;
  const auto x = normals<float>(size, 1);
  const auto output = normals<float>(size, 2);
  const auto past = normals<float>(size, 3);
  const auto halves = [](std::size_t count, auto f) {
    f(count / 2, count);
    f(std::size_t{0}, count / 2);
  };
  std::vector<float> one(size), other(size);
  step_memory<float> memory{.past = {past.data()}, .past_count = 1, .sum_count = 1};
  memory.sums[0] = {{.x = 0.5, .x0 = 0.5}, {0.25}, one.data()};
  apply_step(plan, memory, output, {}, std::span<const float>(x));
  memory.sums[0].out = other.data();
  apply_step(plan, memory, output, {}, std::span<const float>(x), halves);
  support::check_identical(one, other);
}
