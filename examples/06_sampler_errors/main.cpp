// How far the samplers of the library are from the truth after so many evaluations of a perfect network, as
// CSV. run.sh draws it.
//
// Deterministic samplers run from quantiles of a mixture's noised distribution; the exact probability flow
// leads from each to the same quantile at the end of the run, since in one dimension paths do not cross. The
// error is the root mean square over the quantiles.
//
// Stochastic samplers run over normally distributed elements of deviations 1, 1/4, 1/16, 1/64, as the
// principal components of pictures have such. There the network is affine, and the state is a constant plus a
// weight for each of the independent normals that a run draws: runs with one draw of 1 and others of 0 give
// the weights, and these the mean and the deviation at the end, without sampling error. The error is the
// Wasserstein-2 distance to the data's distribution, as root mean square over the elements. (That of the
// deterministic ones is the same distance, as long as they keep the order of points.)
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "data.hpp"
#include "samplers.hpp"

using namespace diffusion;

struct measurement {
  double evaluations, error;
};

std::size_t evaluations_of(const run_plan& plan) {
  std::size_t count = 0;
  for (const run_stage& stage : plan.stages) count += stage.asks;
  return count;
}

/// The quantiles of a run's ends.
struct quantiles {
  std::vector<double> start, end;

  quantiles(const mixture& data, noise_level from, noise_level to) {
    const int n = 512;
    for (int i = 0; i < n; ++i) {
      start.push_back(data.quantile((i + 0.5) / n, from));
      end.push_back(data.quantile((i + 0.5) / n, to));
    }
  }
  double error_of(const std::vector<double>& x) const {
    double squares = 0;
    for (std::size_t i = 0; i < x.size(); ++i) squares += (x[i] - end[i]) * (x[i] - end[i]);
    return std::sqrt(squares / static_cast<double>(x.size()));
  }
};

double deterministic_error(const run_plan& plan, const mixture& data) {
  const quantiles exact(data, plan.stages.front().from.level, plan.stages.back().to.level);
  std::vector<double> x = exact.start;
  workspace<double> work;
  sample(plan, perfect_network{{data}}, philox_normal{0}, rows<double>(x, x.size()), work);
  return exact.error_of(x);
}

measurement adaptive_error(const mixture& data, double tolerance) {
  const quantiles exact(data, {1, range.max}, {1, range.min});
  std::vector<double> x = exact.start;
  workspace<double> work;
  const adaptive_info info = sample_adaptive(
      sigma_schedule{}, range.max, range.min, dpm_adaptive{.rtol = tolerance, .atol = tolerance},
      perfect_network{{data}}, philox_normal{0}, rows<double>(x, x.size()), work);
  return {static_cast<double>(info.evaluations) / static_cast<double>(x.size()), exact.error_of(x)};
}

double stochastic_error(const run_plan& plan, const std::vector<normal>& data) {
  const noise_level from = plan.stages.front().from.level;
  const noise_level to = plan.stages.back().to.level;
  // Row 0 starts in the middle and draws nothing, row 1 starts one deviation away, row k + 1 draws once, in
  // stage k.
  const std::size_t count = plan.stages.size() + 2;
  std::vector<double> values(count * data.size());
  const rows<double> x(values, count);
  perfect_network network;
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (std::size_t row = 0; row < count; ++row) x[row][i] = from.alpha * data[i].mean;
    x[1][i] += std::sqrt(data[i].variance_at(from));
    network.elements.push_back({{data[i]}});
  }
  const auto one_draw = [](std::uint64_t row, std::uint32_t stage, std::span<double> z) {
    std::fill(z.begin(), z.end(), row == stage + 1 ? 1.0 : 0.0);
  };
  workspace<double> work;
  sample(plan, network, one_draw, x, work);
  double squares = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    double variance = 0;
    for (std::size_t row = 1; row < count; ++row) variance += (x[row][i] - x[0][i]) * (x[row][i] - x[0][i]);
    const double mean_error = x[0][i] - to.alpha * data[i].mean;
    const double deviation_error = std::sqrt(variance) - std::sqrt(data[i].variance_at(to));
    squares += mean_error * mean_error + deviation_error * deviation_error;
  }
  return std::sqrt(squares / static_cast<double>(data.size()));
}

/// Runs with as many steps as each number of evaluations allows.
template <class ErrorOf>
std::vector<measurement> measure(const planner& plan_of, ErrorOf error_of) {
  std::vector<measurement> measured;
  for (const int allowed : {4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 512, 768, 1024}) {
    int steps = 1;
    for (int too_many = allowed + 1; too_many - steps > 1;) {
      const int n = (steps + too_many) / 2;
      (evaluations_of(plan_of(n)) > static_cast<std::size_t>(allowed) ? too_many : steps) = n;
    }
    const run_plan plan = plan_of(steps);
    const auto evaluations = static_cast<double>(evaluations_of(plan));
    if (evaluations > allowed || (!measured.empty() && evaluations <= measured.back().evaluations)) continue;
    measured.push_back({evaluations, error_of(plan)});
  }
  return measured;
}

/// -d log error / d log evaluations, fitted from about 500 evaluations on.
double order_of(const std::vector<measurement>& measured) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const auto& [evaluations, error] : measured) {
    if (evaluations < 500) continue;
    const double a = std::log(evaluations), b = std::log(error);
    n += 1, x += a, y += b, xx += a * a, xy += a * b;
  }
  return -(n * xy - x * y) / (n * xx - x * x);
}

int main() {
  const mixture two_modes{{{0.3, -1.0, 0.3}, {0.7, 0.8, 0.5}}};
  std::vector<normal> components;
  for (int i = 0; i < 4; ++i) components.push_back({1, 0.5, std::ldexp(1, -2 * i)});
  std::puts("panel,family,sampler,order,evaluations,error");
  const auto print = [](const char* panel, const compared& sampler,
                        const std::vector<measurement>& measured) {
    for (const auto& [evaluations, error] : measured)
      std::printf("%s,\"%s\",\"%s\",%.2f,%g,%.4g\n", panel, sampler.family.c_str(), sampler.name.c_str(),
                  order_of(measured), evaluations, error);
  };
  for (const compared& sampler : deterministic_samplers())
    print("deterministic", sampler,
          measure(sampler.plan, [&](const run_plan& plan) { return deterministic_error(plan, two_modes); }));
  std::vector<measurement> adaptive;
  for (double tolerance = 1; tolerance > 1e-8; tolerance /= 4)
    adaptive.push_back(adaptive_error(two_modes, tolerance));
  print("deterministic", {"several evaluations per step", "dpm_adaptive", {}}, adaptive);
  for (const compared& sampler : stochastic_samplers())
    print("stochastic", sampler,
          measure(sampler.plan, [&](const run_plan& plan) { return stochastic_error(plan, components); }));
}
