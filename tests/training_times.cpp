#include "diffusion/training_times.hpp"

#include <algorithm>
#include <vector>

#include "diffusion/random/philox.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

/// Of step t, rising; never 0.
double loss_of(int t) { return 0.1 * t * t; }

/// With a full history of loss_of.
loss_aware_times trained(int steps, double uniform_share = 0.001) {
  loss_aware_times times(steps, 4, uniform_share);
  for (int k = 0; k < 4; ++k)
    for (int t = 1; t <= steps; ++t) times.update(std::vector{t}, std::vector{loss_of(t)});
  return times;
}

}  // namespace

TEST_CASE("Random words become numbers inside (0, 1), evenly") {
  CHECK(unit_uniform(0) == 0x1p-33);
  CHECK(unit_uniform(0xffffffff) == 1 - 0x1p-33);
  CHECK(unit_uniform(0x80000000) == 0.5 + 0x1p-33);
}

TEST_CASE("Stratified values meet every part once, low discrepancy ones are evenly spaced") {
  const addressed_words words(3, 5, 0);
  for (const std::size_t count : {1U, 7U, 64U}) {
    CAPTURE(count);
    std::vector<double> spaced;
    for (std::size_t i = 0; i < count; ++i) {
      const double u = unit_uniform(words[static_cast<std::uint32_t>(i)][0]);
      CHECK(static_cast<std::size_t>(stratified(u, i, count) * static_cast<double>(count)) == i);
      spaced.push_back(low_discrepancy(0.7, i, count));
    }
    std::sort(spaced.begin(), spaced.end());
    CHECK(spaced.front() >= 0);
    CHECK(spaced.back() < 1);
    for (std::size_t i = 1; i < count; ++i)
      CHECK(std::abs(spaced[i] - spaced[i - 1] - 1.0 / static_cast<double>(count)) <= 4 * roundoff<>);
  }
  CHECK(stratified(0.25, 3, 4) == 0.8125);
  CHECK(low_discrepancy(0.25, 3, 4) == 0);
  CHECK(low_discrepancy(0.125, 3, 4) == 0.875);
}

TEST_CASE("Any row of a batch of low discrepancy is uniform by itself") {
  // Over u = (k + ½)/n every row takes the values of a grid of as many points.
  const std::size_t n = 32, count = 8;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> values;
    for (std::size_t k = 0; k < n; ++k)
      values.push_back(low_discrepancy((static_cast<double>(k) + 0.5) / n, i, count));
    std::sort(values.begin(), values.end());
    for (std::size_t k = 0; k < n; ++k) CHECK(values[k] == (static_cast<double>(k) + 0.5) / n);
  }
}

TEST_CASE("Uniform times take every step for the same share of u") {
  for (const int steps : {1, 2, 1000}) {
    CAPTURE(steps);
    for (int t = 1; t <= steps; ++t) CHECK(uniform_time((t - 0.5) / steps, steps) == t);
    CHECK(uniform_time(0, steps) == 1);
    CHECK(uniform_time(1, steps) == steps);
  }
  CHECK(uniform_time(0.4999, 2) == 1);
  CHECK(uniform_time(0.5, 2) == 2);
}

TEST_CASE("Loss-aware times are uniform until every step has its history") {
  loss_aware_times times(3, 2);
  const auto check_uniform = [&] {
    for (int t = 1; t <= 3; ++t) CHECK(times.probability(t) == 1.0 / 3);
    for (const double u : {0.1, 0.5, 0.9}) {
      CHECK(times.draw(u).t == uniform_time(u, 3));
      CHECK(std::abs(times.draw(u).weight - 1) <= 2 * roundoff<>);
    }
  };
  check_uniform();
  times.update(std::vector{1, 1, 2, 2, 3, 1}, std::vector{1.0, 2.0, 3.0, 4.0, 5.0, 6.0});
  check_uniform();
  times.update(std::vector{3}, std::vector{7.0});
  // Root mean squares of {2, 6}, {3, 4} and {5, 7}: the oldest loss of step 1 is gone.
  const double roots[3]{std::sqrt(20), std::sqrt(12.5), std::sqrt(37)};
  for (int t = 1; t <= 3; ++t) {
    const double share = roots[t - 1] / (roots[0] + roots[1] + roots[2]);
    CHECK(times.probability(t) == Approx(0.999 * share + 0.001 / 3).epsilon(16 * roundoff<>));
  }
}

TEST_CASE("Steps are drawn with their probabilities") {
  const auto times = trained(20, 0.01);
  const int n = 100000;
  std::vector<int> drawn(20);
  for (int k = 0; k < n; ++k) ++drawn[static_cast<std::size_t>(times.draw((k + 0.5) / n).t - 1)];
  // A grid of n values of u meets an interval of length p between p n - 1 and p n + 1 times.
  for (int t = 1; t <= 20; ++t) {
    CAPTURE(t);
    CHECK(std::abs(drawn[static_cast<std::size_t>(t - 1)] - n * times.probability(t)) <= 1);
  }
  CHECK(times.draw(0).t == 1);
  CHECK(times.draw(1).t == 20);
}

TEST_CASE("Weighted draws of loss-aware times have the mean over all steps") {
  const int steps = 20;
  const auto times = trained(steps, 0.01);
  // Σ p_t w_t f_t over the steps as drawn.
  double expectation = 0, mean = 0, total = 0;
  double above = 0;
  for (int t = 1; t <= steps; ++t) {
    const weighted_time drawn = times.draw(above + times.probability(t) / 2);
    above += times.probability(t);
    CHECK(drawn.t == t);
    const double f = std::sin(t) + 2;
    expectation += times.probability(t) * drawn.weight * f;
    mean += f / steps;
    total += times.probability(t);
  }
  CHECK(expectation == Approx(mean).epsilon(64 * roundoff<>));
  CHECK(total == Approx(1).epsilon(64 * roundoff<>));
}

TEST_CASE("Drawing by losses takes nearly all variance out of them") {
  // Without the uniform share every weighted loss would be the same number.
  const int steps = 20;
  const auto variance = [&](const auto& probability) {
    double mean = 0, square = 0;
    for (int t = 1; t <= steps; ++t) {
      const double p = probability(t), weighted = loss_of(t) / (steps * p);
      mean += p * weighted;
      square += p * weighted * weighted;
    }
    return square / (mean * mean) - 1;
  };
  const auto times = trained(steps);
  CHECK(variance([&](int) { return 1.0 / steps; }) > 0.7);
  CHECK(variance([&](int t) { return times.probability(t); }) < 0.001);
}

TEST_CASE("Loss-aware times continue from a saved history, and losses of 0 are uniform") {
  loss_aware_times times(3, 2, 0.1);
  times.update(std::vector{1, 2, 3, 1, 2}, std::vector{1.0, 2.0, 3.0, 4.0, 5.0});
  loss_aware_times again(times.history(), 0.1);
  for (auto* both : {&times, &again}) both->update(std::vector{3, 2}, std::vector{0.5, 0.25});
  for (int t = 1; t <= 3; ++t) CHECK(again.probability(t) == times.probability(t));
  CHECK(again.probability(1) != again.probability(2));
  CHECK(again.history().losses == times.history().losses);
  CHECK(again.history().losses == std::vector{1.0, 4.0, 5.0, 0.25, 3.0, 0.5});
  times.update(std::vector{1, 1, 2, 2, 3, 3}, std::vector<double>(6));
  for (int t = 1; t <= 3; ++t) CHECK(times.probability(t) == 1.0 / 3);
}

TEST_CASE("Times refuse what is out of range") {
  check_refused([] { return stratified(1, 0, 4); }, {"u = 1", "[0, 1)"});
  check_refused([] { return stratified(0.5, 4, 4); }, {"i = 4", "below the count 4"});
  check_refused([] { return low_discrepancy(-0.1, 0, 4); }, {"u = -0.1", "[0, 1)"});
  check_refused([] { return uniform_time(1.5, 4); }, {"u = 1.5", "[0, 1]"});
  check_refused([] { return uniform_time(0.5, 0); }, {"steps = 0", "at least 1"});
  check_refused([] { return loss_aware_times(0); }, {"steps = 0", "at least 1"});
  check_refused([] { return loss_aware_times(5, 0); }, {"kept = 0", "at least 1"});
  check_refused([] { return loss_aware_times(5, 2, 0); }, {"uniform_share = 0", "(0, 1]"});
  loss_aware_times times(3, 2);
  const auto update = [&](std::vector<int> t, std::vector<double> losses) {
    return times.update(t, losses), 0;
  };
  check_refused([&] { return update({0}, {1}); }, {"t = 0", "[1, 3]"});
  check_refused([&] { return update({4}, {1}); }, {"t = 4", "[1, 3]"});
  check_refused([&] { return update({1, 2}, {1}); }, {"size of losses = 1", "2"});
  check_refused([&] { return update({1, 2}, {1, std::nan("")}); }, {"loss = nan", "1e100"});
  CHECK(times.history().counts == std::vector<std::size_t>(3));  // all or nothing
  check_refused([&] { return times.probability(0); }, {"t = 0", "[1, 3]"});
  check_refused([&] { return times.draw(2); }, {"u = 2", "[0, 1]"});
  check_refused(
      [] {
        return loss_aware_times(loss_history{2, {1, 2, 3}, {1, 2}});
      },
      {"size of losses = 3", "4"});
  check_refused([] { return loss_aware_times(loss_history{2, {1, 2}, {3}}); }, {"count = 3", "[0, 2]"});
  check_refused([] { return loss_aware_times(loss_history{1, {HUGE_VAL}, {1}}); }, {"loss = inf", "1e100"});
}
