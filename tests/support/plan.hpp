// Runs plans without the library's kernels: on plain doubles, and on symbols.
#pragma once

#include <cmath>
#include <map>
#include <span>
#include <vector>

#include "diffusion/run_plan.hpp"
#include "support/oracle.hpp"

namespace support {

/// The sum that a stage makes of its values and of the memory.
template <class V>
V evaluate(const diffusion::stage_sum& sum, const V& x, const V& x0, const V& epsilon, const V& z,
           const std::vector<V>& memory) {
  V result = sum.now.x * x + sum.now.x0 * x0 + sum.now.epsilon * epsilon + sum.now.noise * z;
  for (const auto& [slot, weight] : sum.past) result = result + weight * memory[slot];
  return result;
}

/// Runs a plan on one value. `network(x, stage)` returns an `expectation` of the same type of value,
/// `noise(k)` the draw of stage k, `on_stage(k, x)` sees the state after every stage. Returns the last state.
template <class V, class Network, class Noise, class OnStage>
V run_on(const diffusion::run_plan& plan, V x, Network network, Noise noise, OnStage on_stage) {
  std::vector<V> memory(plan.slots, V{});
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    const diffusion::run_stage& stage = plan.stages[k];
    V x0{}, epsilon{};
    if (stage.asks) {
      const auto predicted = network(x, stage);
      x0 = predicted.x0;
      epsilon = predicted.epsilon;
    }
    const V z = noise(k);
    const V next = evaluate(stage.next, x, x0, epsilon, z, memory);
    std::vector<V> kept;
    for (const auto& write : stage.keep) kept.push_back(evaluate(write.value, x, x0, epsilon, z, memory));
    for (std::size_t i = 0; i < kept.size(); ++i) memory[stage.keep[i].slot] = kept[i];
    x = next;
    on_stage(k, x);
  }
  return x;
}

/// Without noise, with the perfect network of some data (see oracle.hpp).
template <class Data>
double run_on(const diffusion::run_plan& plan, const Data& data, double x) {
  return run_on(
      plan, x, [&](double at, const diffusion::run_stage& stage) { return data(at, stage.eval.level); },
      [](std::size_t) { return 0.0; }, [](std::size_t, double) {});
}

/// A random value as the sum of data x_0 (known to the network, if not to the sampler), and of independent
/// standard normals: the noise that the start holds, and every draw.
struct random_value {
  double x0 = 0;
  std::map<std::size_t, double> normals;  // 0: of the start; k + 1: the draw of stage k

  double deviation() const {
    double squares = 0;
    for (const auto& [draw, weight] : normals) squares += weight * weight;
    return std::sqrt(squares);
  }
  friend random_value operator*(double w, random_value a) {
    a.x0 *= w;
    for (auto& [draw, weight] : a.normals) weight *= w;
    return a;
  }
  friend random_value operator+(random_value a, const random_value& b) {
    a.x0 += b.x0;
    for (const auto& [draw, weight] : b.normals) a.normals[draw] += weight;
    return a;
  }
};
struct random_prediction {
  random_value x0, epsilon;
};

/// What the state is after every stage if the network knows x_0: x̂0 = x_0, ε̂ = (x - α x_0)/σ. A sampler keeps
/// the marginals if it is α x_0 plus noise of deviation σ wherever a stage arrives.
inline std::vector<random_value> marginals_of(const diffusion::run_plan& plan) {
  const diffusion::noise_level start = plan.stages.front().from.level;
  std::vector<random_value> states;
  run_on(
      plan, random_value{start.alpha, {{0, start.sigma}}},
      [](const random_value& x, const diffusion::run_stage& stage) {
        const auto [a, s] = stage.eval.level;
        return random_prediction{{1, {}}, s > 0 ? (1 / s) * (x + random_value{-a, {}}) : random_value{}};
      },
      [](std::size_t k) {
        return random_value{0, {{k + 1, 1}}};
      },
      [&](std::size_t, const random_value& x) { states.push_back(x); });
  return states;
}

/// The exact mean and variance of a run over Gaussian data with its perfect network, which is affine: the
/// state as mean + Σ weight · normal. `x0` of a random_value serves as the constant part here.
struct moments {
  double mean, variance;
};
inline moments moments_of(const diffusion::run_plan& plan, const gaussian& data, const random_value& start) {
  const random_value end = run_on(
      plan, start,
      [&](const random_value& x, const diffusion::run_stage& stage) {
        const diffusion::noise_level level = stage.eval.level;
        const expectation at_zero = data(0, level);
        const expectation at_one = data(1, level);
        return random_prediction{(at_one.x0 - at_zero.x0) * x + random_value{at_zero.x0, {}},
                                 (at_one.epsilon - at_zero.epsilon) * x + random_value{at_zero.epsilon, {}}};
      },
      [](std::size_t k) {
        return random_value{0, {{k + 1, 1}}};
      },
      [](std::size_t, const random_value&) {});
  return {end.x0, end.deviation() * end.deviation()};
}
/// The same for a start at the data's own distribution at the first level.
inline moments moments_of(const diffusion::run_plan& plan, const gaussian& data) {
  const diffusion::noise_level start = plan.stages.front().from.level;
  return moments_of(plan, data, {data.mean_at(start), {{0, std::sqrt(data.variance_at(start))}}});
}

/// Points evenly spaced in log(α/σ) of a variance preserving process, from noise to data; the last may be
/// clean.
inline std::vector<diffusion::path_point> vp_points(double first_log_snr, double last_log_snr, int n) {
  std::vector<diffusion::path_point> points;
  for (int k = 0; k <= n; ++k) {
    const double log_snr = first_log_snr + (last_log_snr - first_log_snr) * k / n;
    points.push_back({double(n - k), diffusion::vp_level_from_log_snr(log_snr)});
  }
  return points;
}

/// The point of a variance preserving process with a given σ/α, its time being σ/α itself.
inline diffusion::path_point vp_point(double noise_to_signal) {
  const double scale = std::sqrt(1 + noise_to_signal * noise_to_signal);
  return {noise_to_signal, {1 / scale, noise_to_signal / scale}};
}
/// The same of a variance exploding process.
inline diffusion::path_point ve_point(double noise_to_signal) {
  return {noise_to_signal, {1, noise_to_signal}};
}

/// The measured order of a deterministic sampler on a mixture: log2 of the ratio of the largest errors of
/// runs with n and 2n steps, from λ = -3 to λ = 2 in even steps of λ (or in uneven ones, by the bend).
template <class S, class Data>
double error_of(const S& sampler, const Data& data, int n, double bend = 0) {
  std::vector<diffusion::path_point> points;
  for (int k = 0; k <= n; ++k) {
    const double u = double(k) / n;
    points.push_back(vp_point(std::exp(3 - 5 * (u + bend * u * (1 - u)))));
  }
  const auto plan = make_plan(diffusion::run_path(points, vp_point), sampler);
  double worst = 0;
  for (double x = -1.5; x <= 1.5; x += 0.25)
    worst = std::max(worst, std::abs(run_on(plan, data, x) -
                                     probability_flow(data, x, points.front().level, points.back().level)));
  return worst;
}

}  // namespace support
