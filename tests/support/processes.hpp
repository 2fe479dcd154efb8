// The same run in several processes: samplers that solve in x/α as a function of σ/α do the same in all.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/run_path.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

namespace support {

using point_of = std::function<diffusion::path_point(double noise_to_signal)>;

/// Variance exploding, variance preserving, rectified flow.
inline std::vector<std::pair<std::string, point_of>> all_processes() {
  return {{"VE", ve_point},
          {"VP", vp_point},
          {"flow", [](double s) {
             return diffusion::path_point{s / (1 + s), {1 / (1 + s), s / (1 + s)}};
           }}};
}

/// The path where σ/α has the given values; the last may be 0.
inline diffusion::run_path path_of(const std::vector<double>& noise_to_signal, const point_of& point) {
  std::vector<diffusion::path_point> points;
  for (const double s : noise_to_signal) points.push_back(point(s));
  return diffusion::run_path(points, point);
}

/// n steps, evenly in log σ/α from e³ to e⁻², and one more to clean data where asked for.
inline std::vector<double> log_sigmas(int n, bool to_clean = false) {
  std::vector<double> values;
  for (int k = 0; k <= n; ++k) values.push_back(std::exp(3 - 5.0 * k / n));
  if (to_clean) values.push_back(0);
  return values;
}

/// Fails unless x/α at the end of a run, with the draws cos(k), is the same in every process.
template <class S>
void check_same_in_every_process(const S& sampler, const std::vector<double>& noise_to_signal) {
  const mixture data;
  std::vector<double> ends;
  for (const auto& [name, point] : all_processes()) {
    const auto plan = make_plan(path_of(noise_to_signal, point), sampler);
    const diffusion::noise_level first = plan.stages.front().from.level;
    const double x = run_on(
        plan, first.alpha * 0.7 * noise_to_signal.front(),
        [&](double at, const diffusion::run_stage& stage) { return data(at, stage.eval.level); },
        [](std::size_t k) { return std::cos(double(k)); }, [](std::size_t, double) {});
    ends.push_back(x / plan.stages.back().to.level.alpha);
  }
  // Per step a few roundings of numbers up to σ/α of the start, which shrink with the state.
  const double tolerance = 64 * roundoff<> * double(noise_to_signal.size()) * noise_to_signal.front();
  check_close(ends, std::vector<double>(ends.size(), ends.front()), tolerance);
}

/// Fails unless every coefficient of the plan is finite.
inline void check_finite(const diffusion::run_plan& plan) {
  const auto finite = [](const diffusion::stage_sum& sum) {
    bool all = std::isfinite(sum.now.x) && std::isfinite(sum.now.x0) && std::isfinite(sum.now.epsilon) &&
               std::isfinite(sum.now.noise);
    for (const auto& term : sum.past) all = all && std::isfinite(term.weight);
    return all;
  };
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    CAPTURE(k);
    CHECK(finite(plan.stages[k].next));
    for (const auto& write : plan.stages[k].keep) CHECK(finite(write.value));
  }
}

/// Fails unless a state of α x_0 plus noise of deviation σ stays one wherever a stage arrives, for a network
/// that knows x_0.
inline void check_keeps_marginals(const diffusion::run_plan& plan) {
  const auto states = marginals_of(plan);
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    if (!plan.stages[k].arrives) continue;
    CAPTURE(k);
    const auto [alpha, sigma] = plan.stages[k].to.level;
    const double tolerance = 64 * roundoff<> * double(k + 1) * std::max(1.0, plan.stages[0].from.level.sigma);
    CHECK(std::abs(states[k].x0 - alpha) <= tolerance);
    CHECK(std::abs(states[k].deviation() - sigma) <= tolerance);
  }
}

/// The relative error of the variance after a run of n steps over Gaussian data.
template <class S>
double variance_error(const S& sampler, int n, const gaussian& data = {0.5, 0.3}) {
  const auto plan = make_plan(path_of(log_sigmas(n), vp_point), sampler);
  const auto end = moments_of(plan, data);
  return end.variance / data.variance_at(plan.stages.back().to.level) - 1;
}

}  // namespace support
