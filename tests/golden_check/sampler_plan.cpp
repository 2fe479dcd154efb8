#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "grids.hpp"
#include "sampler.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;

stepwise_plan plan_continuous(const record& timesteps, const continuous_schedule& schedule) {
  (void)timesteps.choice("spacing", {"linspace"});
  const int n = timesteps.integer("steps", 1, max_train_steps);
  timesteps.inform({"offset", "values"});
  timesteps.refuse_unknown_keys();
  stepwise_plan plan;
  for (int k = 0; k <= n; ++k) plan.values.push_back(double(n - k) / n);
  for (std::size_t k = 0; k + 1 < plan.values.size(); ++k) {
    const d::noise_level from = schedule(plan.values[k]);
    plan.t.push_back(plan.values[k]);
    plan.steps.push_back({from, schedule(plan.values[k + 1]), from, 0});
  }
  return plan;
}

stepwise_plan plan_discrete(const d::discrete_schedule<>& schedule, const d::time_grid& grid,
                            const sampler_options& options, bool respaced) {
  const int stride = schedule.steps() / static_cast<int>(grid.size());
  const d::noise_level before_first = schedule.level(options.first_level_is_clean ? 0 : 1);
  const auto level_or_end = [&](int t) { return t >= 1 ? schedule.level(t) : before_first; };
  stepwise_plan plan;
  for (const auto& [from, next, eval] : grid) {
    const d::noise_level level = schedule.level(from);
    const d::noise_level cleaner = level_or_end(options.steps_by_stride ? from - stride : next);
    const double rounding = respaced ? respacing_rounding(level, schedule.level(next)) : 0;
    plan.t.push_back(index_of_time(from));
    // The inversion of diffusers comes to a time from one stride before it, and asks the model there.
    plan.steps.push_back(options.kind == "ddim_inverse" ? step_levels{cleaner, level, level, rounding}
                                                        : step_levels{level, cleaner, level, rounding});
  }
  if (options.last_step_returns_x0) plan.steps.back().to = {1, 0};
  if (options.kind == "ddim_inverse" || options.kind == "ddim_reverse") {
    std::reverse(plan.t.begin(), plan.t.end());
    std::reverse(plan.steps.begin(), plan.steps.end());
  }
  if (options.kind == "ddim_reverse") {
    // Towards noise: from every time to the next one, from the last to pure noise.
    for (std::size_t k = 0; k + 1 < plan.steps.size(); ++k) plan.steps[k].to = plan.steps[k + 1].from;
    plan.steps.back().to = {0, 1};
  }
  plan.values = plan.t;
  return plan;
}

/// [a, s] as a noise level.
d::noise_level read_level(const record& step, const std::string& key) {
  const std::vector<double> pair = step.numbers(key, 2);
  return {pair[0], pair[1]};
}

}  // namespace

stepwise_plan read_stepwise_plan(const record& file, const sampler_options& options) {
  const record schedule = file.object("schedule");
  const record timesteps = file.object("timesteps");
  if (options.kind == "ddpm_continuous" || options.kind == "ddpm_cosine_continuous")
    return plan_continuous(timesteps, read_continuous_schedule(schedule));
  const d::discrete_schedule<> discrete = read_schedule(schedule);
  return plan_discrete(discrete, read_grid(timesteps, discrete.steps()), options,
                       timesteps.text("spacing") == "respaced");
}

diffusion::run_plan plan_of(const stepwise_plan& steps, const sampler_options& options,
                            diffusion::prediction kind, bool last_step_drew_noise) {
  d::run_plan plan;
  plan.learned_variance = options.learned != learned_output::none;
  std::visit(
      [&](const auto& method) {
        for (std::size_t k = 0; k < steps.steps.size(); ++k) {
          const auto& [from, to, at, rounding] = steps.steps[k];
          // Diffusers' DDIM inversion asks the network at the noisier end of a step, but reads its output as
          // if it had been asked at the other. The library does not, so there it is told that it was. For ε
          // both are the same.
          const d::noise_level told = kind == d::prediction::epsilon ? at : from;
          plan.stages.push_back({.from = {steps.t[k], from},
                                 .to = {0, to},
                                 .eval = {steps.t[k], told},
                                 .next = {method(from, to), {}},
                                 .keep = {}});
          if constexpr (std::is_same_v<std::decay_t<decltype(method)>, d::ddpm_learned>)
            plan.stages.back().variance = method.variance_of(from, to);
        }
        d::run_stage& last = plan.stages.back();
        if (options.last == last_noise::never) last.next.now.noise = 0;
        if (options.last == last_noise::where_drawn && last_step_drew_noise && last.to.level.sigma == 0) {
          // Diffusers' DDPM adds noise on every step from t > 0, also on one to clean data, with β̃ = 0
          // clamped to 1e-20. The library does not, unless it is told that the data are not quite clean.
          const auto& [from, to, at, rounding] = steps.steps.back();
          if constexpr (std::is_same_v<std::decay_t<decltype(method)>, d::ddpm>)
            last.next.now.noise = std::sqrt(method.variance == d::fixed_variance::transition
                                                ? d::transition_variance(from, to)
                                                : std::max(d::posterior_variance(from, to), 1e-20));
          last.to.level.sigma = std::numeric_limits<double>::min();
        }
      },
      options.method);
  return plan;
}

std::vector<recorded_ask> read_stepwise_asks(const record& file, const sampler_options& options,
                                             const stepwise_plan& plan, shape dims, precision p,
                                             report& result) {
  const int record_every = file.integer("record_every", 1, max_train_steps, 1);
  const std::vector<record> objects = file.objects("steps");
  if (objects.size() != plan.steps.size())
    file.fail("steps", std::to_string(objects.size()) + " recorded, the grid has " +
                           std::to_string(plan.steps.size()));
  const std::vector<double> values = file.object("timesteps").numbers("values");
  result.compare("timesteps.values", values, plan.values, of_fractional_times(precision::f64));

  std::vector<recorded_ask> asks;
  for (std::size_t k = 0; k < objects.size(); ++k) {
    const record& step = objects[k];
    const auto numbers = [&](const char* key, std::size_t size) {
      return step.has(key) ? step.numbers(key, size) : std::vector<double>();
    };
    const std::size_t output_size = dims.size() * (options.learned == learned_output::none ? 1 : 2);
    const auto& [from, to, at, rounding] = plan.steps[k];
    recorded_ask read{"steps[" + std::to_string(k) + "]",
                      k,
                      {step.number("a"), step.number("s")},
                      numbers("x_in", dims.size()),
                      numbers("model_output", output_size),
                      numbers("x", dims.size()),
                      numbers("x0", dims.size()),
                      {},
                      {},
                      rounding};
    if (step.has("noise")) read.noises.push_back(step.numbers("noise", dims.size()));
    if (record_every == 1 && (read.x_after.empty() || read.model_output.empty()))
      step.fail("x", "missing, or model_output is, but record_every is 1");
    if (read.x_after.empty() != read.model_output.empty())
      step.fail("model_output", "recorded without x, or x without it");
    if (!read.x_after.empty() && read.x_in.empty() && k > 0 && asks[k - 1].x_after.empty())
      step.fail("x_in", "missing, and the state before is not recorded either");

    const auto same = [&](const std::string& key, double computed, tolerance allowed) {
      result.compare(read.path + "." + key, step.number(key), computed, allowed);
    };
    same("t", plan.t[k], of_fractional_times(precision::f64));
    compare_level(read.path + ".level_from", read_level(step, "level_from"), from, p, rounding, result);
    compare_level(read.path + ".level_to", read_level(step, "level_to"), to, p, rounding, result);
    compare_level(read.path + ".(a, s)", read.at, at, p, rounding, result);
    if (step.has("index")) {
      const std::size_t index = options.kind == "ddim_reverse" ? k : objects.size() - 1 - k;
      same("index", static_cast<double>(index), {});
    }
    if (options.kind == "unclip" && step.has("prev_t"))
      same("prev_t", k + 1 < plan.t.size() ? plan.t[k + 1] : plan.t[k] - 1, {});
    const bool continuous = plan.values.size() > plan.t.size();
    if (continuous && step.has("t_next"))
      same("t_next", plan.values[k + 1], of_fractional_times(precision::f64));
    if (step.has("log_snr")) same("log_snr", 2 * d::half_log_snr(from), as_logarithm(of_table(p)));
    if (step.has("log_snr_next")) same("log_snr_next", 2 * d::half_log_snr(to), as_logarithm(of_table(p)));
    step.inform({"model_input"});
    step.refuse_unknown_keys();
    asks.push_back(std::move(read));
  }
  return asks;
}

}  // namespace golden
