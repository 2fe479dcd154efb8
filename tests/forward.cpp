#include "diffusion/forward.hpp"

#include <vector>

#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::in_rows;
using support::normals;
using support::roundoff;

namespace {

const std::vector<noise_level> levels{{1, 0}, {0.8, 0.6}, {0, 1}, {1, 80}};

}  // namespace

TEMPLATE_TEST_CASE("q_sample is alpha x0 + sigma eps at one level", "", float, double) {
  auto x0 = normals<TestType>(67, 1);
  const auto eps = normals<TestType>(67, 2);
  for (const noise_level level : levels) {
    std::vector<TestType> x_t(67);
    std::vector<double> want(67);
    for (std::size_t i = 0; i < 67; ++i)
      want[i] = level.alpha * static_cast<double>(x0[i]) + level.sigma * static_cast<double>(eps[i]);
    q_sample(level, x0, eps, std::span<TestType>(x_t));
    support::check_close(x_t, want, 5 * roundoff<TestType> * 6.77 * (level.alpha + level.sigma));
  }
  q_sample({0.8, 0.6}, x0, eps, std::span<TestType>(x0));  // in place
}

TEMPLATE_TEST_CASE("q_sample and targets with a level per row are those of the rows", "", float, double) {
  auto x0 = normals<TestType>(4 * 13, 1);
  auto eps = normals<TestType>(4 * 13, 2);
  std::vector<TestType> together(4 * 13), alone(4 * 13);
  const auto out = in_rows(together, 4);
  q_sample(levels, in_rows(x0, 4), in_rows(eps, 4), out);
  for (std::size_t i = 0; i < 4; ++i)
    q_sample(levels[i], in_rows(x0, 4)[i], in_rows(eps, 4)[i], in_rows(alone, 4)[i]);
  support::check_identical(together, alone);
  training_target(prediction::v, levels, in_rows(x0, 4), in_rows(eps, 4), out);
  for (std::size_t i = 0; i < 4; ++i)
    training_target(prediction::v, levels[i], in_rows(x0, 4)[i], in_rows(eps, 4)[i], in_rows(alone, 4)[i]);
  support::check_identical(together, alone);
}

TEST_CASE("Training targets of arrays are those of numbers, for every kind") {
  const noise_level level{0.8, 0.6};
  const auto x0 = normals(9, 1);
  const auto eps = normals(9, 2);
  for (const auto& [kind_name, kind] : prediction_names) {
    CAPTURE(kind_name);
    const target_weights w = training_target(kind, level);
    std::vector<double> target(9);
    std::vector<double> want(9);
    training_target(kind, level, x0, eps, std::span<double>(target));
    for (std::size_t i = 0; i < 9; ++i) want[i] = w.x0 * x0[i] + w.epsilon * eps[i];
    support::check_close(target, want, 4 * roundoff<> * 6.77 * 2);
  }
}

TEST_CASE("A perfect output of any kind for a drawn x_t gives x0 back") {
  const auto schedule = cosine_schedule(1000);
  const auto x0 = normals(50, 1);
  const auto eps = normals(50, 2);
  std::vector<double> x_t(50), target(50), found(50);
  for (const auto& [kind_name, kind] : prediction_names)
    for (const int t : {1, 500, 999}) {
      CAPTURE(kind_name, t);
      const noise_level level = schedule.level(t);
      q_sample(level, x0, eps, std::span<double>(x_t));
      training_target(kind, level, x0, eps, std::span<double>(target));
      predict_x0(x0_map(kind, level), x0_clamp{}, x_t, target, std::span<double>(found));
      support::check_close(found, x0, 16 * roundoff<> * 6.77 / level.alpha);
    }
}

TEST_CASE("Drawn q_sample returns its noise, addressed by sample and step") {
  std::vector<double> x0(4 * 5, 0.5), eps(20), x_t(20), want(20);
  const philox_normal noise{11};
  q_sample(levels, in_rows(x0, 4), noise, 3, 40, in_rows(eps, 4), in_rows(x_t, 4));
  for (std::size_t i = 0; i < 4; ++i) noise(40 + i, 3, in_rows(want, 4)[i]);
  support::check_identical(eps, want);
  q_sample(levels, in_rows(x0, 4), in_rows(eps, 4), in_rows(want, 4));
  support::check_identical(x_t, want);
}

TEST_CASE("Drawn x_t has mean alpha x0 and deviation sigma") {
  const std::size_t n = 100000;
  std::vector<double> x0(n, 0.5), eps(n), x_t(n);
  const std::vector<noise_level> level{{0.8, 0.6}};
  const philox_normal noise{1};
  q_sample(level, in_rows(x0, 1), noise, 0, 0, in_rows(eps, 1), in_rows(x_t, 1));
  double mean = 0;
  double square = 0;
  for (const double x : x_t) mean += x / n;
  for (const double x : x_t) square += (x - mean) * (x - mean) / n;
  // Five standard errors, one false alarm in 1.7 million; the seed is fixed.
  CHECK(std::abs(mean - 0.4) <= 5 * 0.6 / std::sqrt(double(n)));
  CHECK(std::abs(square - 0.36) <= 5 * 0.36 * std::sqrt(2.0 / n));
}

TEST_CASE("q_sample does not depend on how an executor cuts it") {
  // Cuts into single blocks, from the last to the first.
  const auto backwards = [](std::size_t count, const auto& f) {
    for (std::size_t i = count; i-- > 0;) f(i, i + 1);
  };
  const std::size_t size = 4 * 10'001;
  auto x0 = normals<float>(size, 1);
  const philox_normal noise{7};
  std::vector<float> eps(size), x_t(size), cut_eps(size), cut_x_t(size);
  q_sample(levels, in_rows(x0, 4), noise, 3, 40, in_rows(eps, 4), in_rows(x_t, 4));
  q_sample(levels, in_rows(x0, 4), noise, 3, 40, in_rows(cut_eps, 4), in_rows(cut_x_t, 4), backwards);
  support::check_identical(cut_eps, eps);
  support::check_identical(cut_x_t, x_t);
  q_sample(levels[1], x0, eps, std::span<float>(x_t));
  q_sample(levels[1], x0, eps, std::span<float>(cut_x_t), backwards);
  support::check_identical(cut_x_t, x_t);
}

TEST_CASE("The forward process refuses wrong sizes and levels by name") {
  std::vector<float> twelve(12), eight(8);
  const auto x = [&](std::size_t count) { return in_rows(twelve, count); };
  const noise_level ok{1, 0};
  check_refused([&] { return q_sample(ok, eight, twelve, std::span<float>(twelve)), 0; },
                {"size of x = 8", "12"});
  check_refused(
      [&] {
        return q_sample({1, -1}, twelve, twelve, std::span<float>(twelve)), 0;
      },
      {"level.sigma = -1"});
  check_refused([&] { return q_sample(levels, x(3), x(3), x(3)), 0; }, {"size of levels = 4", "3"});
  check_refused([&] { return q_sample(levels, x(3), x(4), x(4)), 0; }, {"rows of x0 = 3", "4"});
  check_refused([&] { return q_sample(levels, x(4), in_rows(eight, 4), x(4)), 0; }, {"row of eps = 2", "3"});
  const std::vector<noise_level> bad{{1, 0}, {1, 0}, {-1, 1}, {1, 0}};
  check_refused([&] { return q_sample(bad, x(4), x(4), x(4)), 0; }, {"level.alpha = -1"});
  check_refused([&] { return training_target(prediction::score, levels, x(4), x(4), x(4)), 0; },
                {"sigma = 0", "score"});
}
