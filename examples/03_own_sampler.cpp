// Samplers of your own. The probability flow in y = x/α over ς = σ/α is dy/dς = ε (Karras et al. 2022): first
// by Euler's method, a function of the two ends of a step; then by Adams and Bashforth's, which also
// remembers.
#include <cmath>
#include <cstdio>
#include <diffusion/ddpm.hpp>
#include <diffusion/schedules/continuous.hpp>
#include <diffusion/trace.hpp>

using namespace diffusion;

struct own_euler {
  step_coefficients operator()(noise_level from, noise_level to) const {
    const double h = noise_to_signal(to) - noise_to_signal(from);
    return {.x = to.alpha / from.alpha, .epsilon = to.alpha * h};
  }
};
static_assert(Sampler<own_euler>);

struct own_adams_bashforth {
  run_plan plan(const run_path& path) const {
    path.require_chained();
    trace run(path);
    traced x = run.x();
    traced last;  // ε of the step before: the run keeps it in memory for as long as it is used
    double last_h = 0;
    for (const auto& [from, to, eval] : path) {
      const double h = noise_to_signal(to.level) - noise_to_signal(from.level);
      const traced slope = run.ask(x, from).epsilon;
      const traced y = (1 / from.level.alpha) * x;
      const double bend = last_h != 0 ? h / (2 * last_h) : 0;
      x = to.level.alpha * (y + h * (slope + bend * (slope - last)));
      run.arrive(x, to);
      last = slope;
      last_h = h;
    }
    return run.finish();
  }
};
static_assert(PlannedSampler<own_adams_bashforth>);

// The largest error after n steps on N(0.5, 0.2²), whose network and flow are known: y - 0.5 ∝ √(0.2² + ς²).
template <class S>
double error(const S& sampler, int n) {
  std::vector<double> sigmas;
  for (int k = 0; k <= n; ++k) sigmas.push_back(10 * std::pow(0.01, double(k) / n));
  const run_plan plan = make_plan(run_path(continuous(linear_schedule(1000)), sigmas), sampler);
  std::vector<double> values{plan.stages[0].from.level.sigma};
  const auto network = [](rows<const double> x, time_point<double> at, rows<double> out) {
    const auto [alpha, sigma] = at.level;
    const double variance = alpha * alpha * 0.04 + sigma * sigma;
    out.data()[0] = (x.data()[0] - alpha * 0.5) * sigma / variance;
  };
  const auto [alpha, sigma] = plan.stages[0].from.level;
  const double start = values[0] / alpha - 0.5;
  workspace<double> work;
  sample(plan, network, philox_normal{}, rows<double>(values, 1), work);
  const double exact = 0.5 + start * std::sqrt((0.04 + 0.01) / (0.04 + 100));
  return std::abs(values[0] / plan.stages.back().to.level.alpha - exact);
}

int main() {
  std::printf("steps   Euler     Adams-Bashforth\n");
  for (const int n : {40, 80, 160, 320})
    std::printf("%5d   %.6f  %.6f\n", n, error(own_euler{}, n), error(own_adams_bashforth{}, n));
}
