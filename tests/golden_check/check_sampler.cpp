// Family sampler: every stage by itself from the recorded state (open loop), and the whole run from its start
// with the toy predictor (closed loop). Both go through the library's stepper.

#include <algorithm>
#include <cmath>

#include "check_special.hpp"
#include "methods.hpp"
#include "sampler.hpp"

namespace golden {

namespace {

namespace d = diffusion;

d::x0_transform read_transform(const record& options) {
  const bool clip = options.flag("clip_sample", false) || options.flag("clip_denoised", false);
  const double range = options.number("clip_range", 1);
  const bool threshold = options.flag("thresholding", false);
  const double ratio = options.number("threshold_ratio", 0.995);
  const double max = options.number("threshold_max", 1);
  if (threshold) return d::dynamic_threshold{.ratio = ratio, .max = max};  // instead of clipping
  if (clip) return d::x0_clip{range};
  return d::x0_keep{};
}

d::run_plan read_plan(const record& file, const record& options, const std::string& kind, report& result) {
  const d::run_path path = read_path(file, kind, result);
  const record schedule = file.object("schedule");
  const method_context context{.peer = file.text("peer"),
                               .prediction = file.text("prediction"),
                               .steps = file.object("timesteps").integer("steps", 1, max_train_steps),
                               .train_steps = schedule.integer("train_steps", 0, max_train_steps, 0)};
  for (method_reader* reader :
       {&read_sigma_method, &read_dpm_solver_method, &read_multistep_method, &read_consistency_method})
    if (const std::optional<planner> found = reader(kind, options, file, context)) return (*found)(path);
  throw unsupported("sampler.kind \"" + kind + '"');
}

/// What rounding alone may do to x̂0 and to the state in the stage of a file's evaluation.
double rounding_of(const replayed_run& file, d::noise_level from) {
  return x0_rounding(file.p, file.model.kind(), from);
}

/// Of a method with memory: the last five points of its path are those that it may look at.
double rounding_of_history(const replayed_run& run, const d::run_stage& stage) {
  double weights = 0;
  for (const d::memory_term& term : stage.next.past) weights += std::abs(term.weight);
  std::vector<double> logs;
  for (const d::run_stage& earlier : run.plan.stages) {
    if (earlier.from.level.alpha > 0 && earlier.from.level.sigma > 0)
      logs.push_back(d::half_log_snr(earlier.from.level));
    if (&earlier == &stage) break;
  }
  double largest = 0;
  double gap = HUGE_VAL;
  for (std::size_t i = logs.size() - std::min<std::size_t>(logs.size(), 5); i + 1 < logs.size(); ++i) {
    largest = std::max({largest, std::abs(logs[i]), std::abs(logs[i + 1])});
    if (logs[i + 1] != logs[i]) gap = std::min(gap, std::abs(logs[i + 1] - logs[i]));
  }
  return history_rounding(run.p, weights, stage.next.past.size(), largest, gap);
}

/// Where a step asks a second time, at a smaller σ, the peers take its slope from the state there, with the
/// rounding of that at the start of the step, and divide by the smaller σ.
double lift_of(d::noise_level from, d::noise_level at) {
  if (from.alpha == 0 || at.alpha == 0 || at.sigma == 0) return 1;
  return std::max(1.0, d::noise_to_signal(from) / d::noise_to_signal(at));
}

/// The rounding of planned steps, which may have several evaluations.
void add_step_rounding(replayed_run& run, const std::string& kind, double eta) {
  std::size_t k = 0;
  bool begins = true;
  d::noise_level from;
  for (const d::run_stage& stage : run.plan.stages) {
    if (begins) from = stage.from.level;
    begins = stage.arrives;
    const d::noise_level to = stage.to.level;
    if (!stage.asks || k == run.asks.size()) continue;
    recorded_ask& ask = run.asks[k++];
    ask.rounding = std::max(rounding_of(run, ask.at), step_rounding(run.p, from, to) * lift_of(from, ask.at));
    ask.rounding = std::max(ask.rounding, rounding_of_history(run, stage));
    if (stage.next.now.noise != 0) ask.rounding = std::max(ask.rounding, noise_rounding(run.p, from, to));
    // Its steps add to t = σ², where t_from + (t_to - t_from) has the rounding of t_from.
    if (kind == "edm_ablation" && to.sigma > 0)
      ask.rounding = std::max(ask.rounding, 8 * unit_rounding(run.p) * std::pow(from.sigma / to.sigma, 2));
    if (kind == "dpm2_ancestral" && to.sigma > 0 && to.sigma < from.sigma)
      ask.rounding = std::max(ask.rounding, down_rounding(run.p, from.sigma, to.sigma, eta));
  }
}

/// EDM's ablation sampler takes √(σ̂² - σ²) after a round trip from σ to t and back. Where that ends a few
/// last bits above σ, it adds noise that its file does not record, √(2 · 16 · 2⁻⁵³) σ at most: the difference
/// between the end of one step and the start of the next.
void add_unrecorded_noise(replayed_run& run) {
  const double limit = std::sqrt(32 * unit_rounding(run.p));
  for (std::size_t k = 1; k < run.asks.size(); ++k) {
    recorded_ask& ask = run.asks[k];
    if (run.asks[k - 1].x_after.empty() || ask.x_in.empty()) continue;
    array difference(ask.x_in.size());
    double largest = 0;
    for (std::size_t i = 0; i < difference.size(); ++i) {
      difference[i] = ask.x_in[i] - run.asks[k - 1].x_after[i];
      largest = std::max(largest, std::abs(difference[i]));
    }
    if (largest <= limit * 6 * run.plan.stages[k].from.level.sigma) ask.unrecorded = difference;
  }
}

replayed_run read_run(const record& file, const std::string& kind, report& result) {
  const record options = file.object("sampler");
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const model_output_kind model(file);
  const std::optional<sampler_options> stepwise = read_sampler_options(file, options);
  const learned_output learned = stepwise ? stepwise->learned : learned_output::none;
  replayed_run run{.p = p,
                   .dims = dims,
                   .plan = {},
                   .transform = read_transform(options),
                   .model = model,
                   .predictor = toy_predictor(file.object("predictor"), model, learned, dims.row_size),
                   .asks = {},
                   .x_init = file.numbers("x_init", dims.size()),
                   .x_final = file.numbers("x_final", dims.size()),
                   .closed_loop_gain = file.number("closed_loop_gain", 0),
                   .steps = file.objects("steps").size()};
  if (stepwise) {
    const stepwise_plan steps = read_stepwise_plan(file, *stepwise);
    run.asks = read_stepwise_asks(file, *stepwise, steps, dims, p, result);
    run.plan = plan_of(steps, *stepwise, model.kind(), !run.asks.back().noises.empty());
    for (std::size_t k = 0; k < run.asks.size(); ++k) {
      double& rounding = run.asks[k].rounding;
      rounding = std::max(rounding, rounding_of(run, steps.steps[k].from));
      if (const auto* ddim = std::get_if<d::ddim>(&stepwise->method)) {
        const auto& step = steps.steps[k];
        rounding = std::max(rounding, ddim_rounding(p, step.to.sigma, (*ddim)(step.from, step.to).noise));
      }
    }
    run.compares_levels = false;  // done above, for inversion as the peer has them
    result.compare("init_noise_sigma", file.number("init_noise_sigma", 1), 1, {});  // α² + σ² = 1
  } else {
    run.plan = read_plan(file, options, kind, result);
    run.asks = read_planned_asks(file, kind, dims);
    add_step_rounding(run, kind, options.number("eta", 1));
    // Of denoising-diffusion-pytorch, whose network's output is x̂0, recorded after clipping.
    if (options.flag("clip_denoised", false) && file.text("peer").starts_with("denoising-diffusion-pytorch@"))
      run.output_limit = 1;
    if (options.flag("clip_final", false)) run.final_limit = 1;
    if (kind == "edm_ablation") add_unrecorded_noise(run);
    // Where churn is added after the evaluation, the peer's x̂0 is one of a state that the model has not seen.
    run.compares_x0 = options.flag("churn_before_eval", true);
  }
  options.refuse_unknown_keys();
  file.inform({"layout", "init_noise_sigma", "order_list", "sigmas_interpol", "sigmas_up", "sigmas_down",
               "discrete_sigmas", "info", "latents", "record_every", "sigmas", "timesteps", "schedule"});
  file.refuse_unknown_keys();
  return run;
}

}  // namespace

void check_sampler(const record& file, report& result) {
  const std::string kind = file.object("sampler").text("kind");
  if (kind == "dpm_adaptive") return check_dpm_adaptive(file, result);
  if (kind == "repaint") return check_repaint(file, result);
  if (kind == "score_sde_ve" || kind == "score_sde_vp") return check_score_sde(file, result);
  const replayed_run run = read_run(file, kind, result);
  check_open_loop(run, result);
  check_closed_loop(run, result);
}

}  // namespace golden
