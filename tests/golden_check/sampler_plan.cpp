#include <algorithm>

#include "grids.hpp"
#include "sampler.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;

run_plan plan_continuous(const record& timesteps, const continuous_schedule& schedule) {
  (void)timesteps.choice("spacing", {"linspace"});
  const int n = timesteps.integer("steps", 1, max_train_steps);
  timesteps.inform({"offset", "values"});
  timesteps.refuse_unknown_keys();
  run_plan plan;
  for (int k = 0; k <= n; ++k) plan.values.push_back(double(n - k) / n);
  for (std::size_t k = 0; k + 1 < plan.values.size(); ++k) {
    const d::noise_level from = schedule(plan.values[k]);
    plan.t.push_back(plan.values[k]);
    plan.steps.push_back({from, schedule(plan.values[k + 1]), from, 0});
  }
  return plan;
}

run_plan plan_discrete(const d::discrete_schedule<>& schedule, const d::time_grid& grid,
                       const sampler_options& options, bool respaced) {
  const int stride = schedule.steps() / static_cast<int>(grid.size());
  const d::noise_level before_first = schedule.level(options.first_level_is_clean ? 0 : 1);
  const auto level_or_end = [&](int t) { return t >= 1 ? schedule.level(t) : before_first; };
  run_plan plan;
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

void compare_level(const std::string& what, d::noise_level recorded, d::noise_level computed, precision p,
                   double rounding, report& result) {
  const tolerance allowed = at_least(of_table(p), std::max(rounding, level_rounding(p, computed)));
  result.compare(what + ".alpha", recorded.alpha, computed.alpha, allowed);
  result.compare(what + ".sigma", recorded.sigma, computed.sigma, allowed);
}

}  // namespace

run_plan read_run_plan(const record& file, const sampler_options& options) {
  const record schedule = file.object("schedule");
  const record timesteps = file.object("timesteps");
  if (options.kind == "ddpm_continuous" || options.kind == "ddpm_cosine_continuous")
    return plan_continuous(timesteps, read_continuous_schedule(schedule));
  const d::discrete_schedule<> discrete = read_schedule(schedule);
  return plan_discrete(discrete, read_grid(timesteps, discrete.steps()), options,
                       timesteps.text("spacing") == "respaced");
}

std::vector<recorded_step> read_steps(const record& file, const sampler_options& options,
                                      const run_plan& plan, shape dims, precision p, report& result) {
  const int record_every = file.integer("record_every", 1, max_train_steps, 1);
  const std::vector<record> objects = file.objects("steps");
  if (objects.size() != plan.steps.size())
    file.fail("steps", std::to_string(objects.size()) + " recorded, the grid has " +
                           std::to_string(plan.steps.size()));
  const std::vector<double> values = file.object("timesteps").numbers("values");
  result.compare("timesteps.values", values, plan.values, of_table(precision::f64));

  std::vector<recorded_step> steps;
  for (std::size_t k = 0; k < objects.size(); ++k) {
    const record& step = objects[k];
    const auto numbers = [&](const char* key, std::size_t size) {
      return step.has(key) ? step.numbers(key, size) : std::vector<double>();
    };
    const std::size_t output_size = dims.size() * (options.learned == learned_output::none ? 1 : 2);
    recorded_step read{{step.number("a"), step.number("s")},
                       numbers("x_in", dims.size()),
                       numbers("model_output", output_size),
                       numbers("noise", dims.size()),
                       numbers("x", dims.size()),
                       numbers("x0", dims.size())};
    if (record_every == 1 && (read.x.empty() || read.model_output.empty()))
      step.fail("x", "missing, or model_output is, but record_every is 1");
    if (read.x.empty() != read.model_output.empty())
      step.fail("model_output", "recorded without x, or x without it");

    const std::string path = "steps[" + std::to_string(k) + "]";
    const auto same = [&](const std::string& key, double computed, tolerance allowed) {
      result.compare(path + "." + key, step.number(key), computed, allowed);
    };
    same("t", plan.t[k], of_table(precision::f64));
    const auto& [from, to, at, rounding] = plan.steps[k];
    compare_level(path + ".level_from", read_level(step, "level_from"), from, p, rounding, result);
    compare_level(path + ".level_to", read_level(step, "level_to"), to, p, rounding, result);
    compare_level(path + ".(a, s)", read.at, at, p, rounding, result);
    if (step.has("index")) {
      const std::size_t index = options.kind == "ddim_reverse" ? k : objects.size() - 1 - k;
      same("index", static_cast<double>(index), {});
    }
    if (options.kind == "unclip" && step.has("prev_t"))
      same("prev_t", k + 1 < plan.t.size() ? plan.t[k + 1] : plan.t[k] - 1, {});
    const bool continuous = plan.values.size() > plan.t.size();
    if (continuous && step.has("t_next")) same("t_next", plan.values[k + 1], of_table(precision::f64));
    if (step.has("log_snr")) same("log_snr", 2 * d::half_log_snr(from), as_logarithm(of_table(p)));
    if (step.has("log_snr_next")) same("log_snr_next", 2 * d::half_log_snr(to), as_logarithm(of_table(p)));
    step.inform({"model_input"});
    step.refuse_unknown_keys();
    steps.push_back(std::move(read));
  }
  return steps;
}

}  // namespace golden
