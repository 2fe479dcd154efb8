// Samplers whose steps depend on what the model says or on data beside the state: adaptive steps, norms of
// scores, inpainting. As for the others, open loop (from the recorded states) and closed loop (from the
// start).

#include "check_special.hpp"

#include <algorithm>
#include <cmath>

#include "diffusion/adaptive.hpp"
#include "diffusion/inpaint.hpp"
#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/predictor_corrector.hpp"
#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/repaint.hpp"
#include "diffusion/samplers/vp_euler_maruyama.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "diffusion/schedules/sigma_lists.hpp"
#include "grids.hpp"
#include "replay.hpp"
#include "sigma_lists.hpp"

namespace golden {

namespace {

namespace d = diffusion;

/// What all of these files have.
struct special_file {
  precision p;
  shape dims;
  model_output_kind model;
  toy_predictor predictor;
  array x_init, x_final;
  double closed_loop_gain;
  std::vector<record> steps;
};

special_file read_special(const record& file, std::string_view layout) {
  (void)file.choice("layout", {layout});
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const model_output_kind model(file);
  const toy_predictor predictor(file.object("predictor"), model, learned_output::none, dims.row_size);
  special_file read{p,
                    dims,
                    model,
                    predictor,
                    file.numbers("x_init", dims.size()),
                    file.numbers("x_final", dims.size()),
                    file.number("closed_loop_gain", 0),
                    file.objects("steps")};
  if (read.steps.empty()) file.fail("steps", "expected at least one");
  return read;
}

/// The noise of one draw, whatever its address.
auto given(const array& noise, const shape& dims) {
  return [&noise, count = dims.count](std::uint64_t sample, std::uint32_t, std::span<double> z) {
    if (noise.empty()) throw malformed("noise: null or missing, but the step draws some");
    const auto row = as_rows(noise, count)[static_cast<std::size_t>(sample)];
    std::copy(row.begin(), row.end(), z.begin());
  };
}

/// A model that checks the recorded output, and returns it.
auto recorded_model(const special_file& file, const std::string& path, d::noise_level at, const array& output,
                    report& result) {
  return d::predicts(file.model.kind(),
                     [&, path, at](d::rows<const double> x, d::path_point, d::rows<double> out) {
                       file.predictor(x, at, out);
                       result.compare(path + ".model_output", output, out.data(), of_model_output(file.p));
                       std::copy(output.begin(), output.end(), out.data().begin());
                     });
}

array numbers_or_none(const record& step, const char* key, std::size_t size) {
  return step.has(key) ? step.numbers(key, size) : array();
}

std::string path_of(std::size_t k) { return "steps[" + std::to_string(k) + "]"; }

}  // namespace

void check_dpm_adaptive(const record& file, report& result) {
  const special_file read = read_special(file, "step");
  const record options = file.object("sampler");
  (void)options.choice("kind", {"dpm_adaptive"});
  const d::dpm_adaptive method{.order = options.integer("order", 2, 3, 3),
                               .rtol = options.number("rtol", 0.05),
                               .atol = options.number("atol", 0.0078),
                               .h_init = options.number("h_init", 0.05),
                               .pcoeff = options.number("pcoeff", 0),
                               .icoeff = options.number("icoeff", 1),
                               .dcoeff = options.number("dcoeff", 0),
                               .accept_safety = options.number("accept_safety", 0.81),
                               .eta = options.number("eta", 0),
                               .s_noise = options.number("s_noise", 1),
                               .batch = d::batch_error::mean};
  options.refuse_unknown_keys();
  const record schedule = file.object("schedule");
  (void)schedule.choice("kind", {"adaptive"});
  const double sigma_min = schedule.number("sigma_min");
  const double sigma_max = schedule.number("sigma_max");
  schedule.refuse_unknown_keys();
  const record timesteps = file.object("timesteps");
  (void)timesteps.choice("spacing", {"adaptive"});
  timesteps.inform({"steps"});
  timesteps.refuse_unknown_keys();
  result.compare("init_noise_sigma", file.number("init_noise_sigma"), sigma_max, {});
  const record info = file.object("info");

  const auto start_run = [&](array& x, d::workspace<double>& work) {
    return d::adaptive_stepper<double, d::sigma_schedule>({}, sigma_max, sigma_min, method,
                                                          as_rows(x, read.dims.count), work);
  };
  // An error is a difference of two states, in units of the tolerance; a step's length is its power 1/order
  // or less.
  const tolerance of_error{1e-12 / std::max(method.atol, 1e-3), 1};
  array x = read.x_init;
  d::workspace<double> work;
  auto run = start_run(x, work);
  std::vector<array> noises;
  for (std::size_t k = 0; k < read.steps.size(); ++k) {
    const record& step = read.steps[k];
    const std::string path = path_of(k);
    const std::vector<record> evaluations = step.objects("evals");
    noises.push_back(numbers_or_none(step, "noise", read.dims.size()));
    std::size_t asked = 0;
    auto model = d::predicts(
        read.model.kind(), [&](d::rows<const double> state, d::path_point at, d::rows<double> out) {
          if (asked == evaluations.size()) throw malformed(path + ".evals: fewer than the sampler makes");
          const record& now = evaluations[asked];
          const std::string here = path + ".evals[" + std::to_string(asked++) + "]";
          const d::noise_level level{now.number("a"), now.number("s")};
          compare_level(here, level, at.level, read.p, 0, result);
          result.compare(here + ".x", now.numbers("x", read.dims.size()), state.data(), of_open_loop(read.p));
          const array output = now.numbers("model_output", read.dims.size());
          now.refuse_unknown_keys();
          recorded_model(read, here, level, output, result)(state, at, out);
        });
    if (run.done()) throw malformed(path + ": the run is done before");
    auto noise = given(noises.back(), read.dims);
    const bool accepted = run.attempt(model, noise);
    if (asked != evaluations.size()) throw malformed(path + ".evals: more than the sampler makes");
    result.compare(path + ".accepted", step.flag("accepted"), accepted, {});
    result.compare(path + ".error", step.number("error"), run.error(), of_error);
    result.compare(path + ".h_next", step.number("h_next"), run.next_step(), of_error);
    result.compare(path + ".sigma", step.number("sigma"), run.noise_to_signal(), of_table(read.p));
    const array recorded = step.numbers("x", read.dims.size());
    result.compare(path + ".x", recorded, x, of_open_loop(read.p));
    step.refuse_unknown_keys();
    x = recorded;
  }
  result.compare("done", 1, run.done(), {});

  array closed = read.x_init;
  d::workspace<double> closed_work;
  auto closed_run = start_run(closed, closed_work);
  auto model =
      d::predicts(read.model.kind(), [&](d::rows<const double> state, d::path_point at, d::rows<double> out) {
        read.predictor(state, at.level, out);
      });
  while (!closed_run.done()) {
    const std::size_t k = closed_run.info().steps;
    if (k == noises.size()) throw malformed("steps: fewer than the sampler makes");
    auto noise = given(noises[k], read.dims);
    closed_run.attempt(model, noise);
  }
  const auto compare_count = [&](const char* key, std::size_t found) {
    result.compare(std::string("info.") + key, info.number(key), static_cast<double>(found), {});
  };
  compare_count("steps", closed_run.info().steps);
  compare_count("nfe", closed_run.info().evaluations);
  compare_count("n_accept", closed_run.info().accepted);
  compare_count("n_reject", closed_run.info().rejected);
  info.refuse_unknown_keys();
  result.compare("x_final in closed loop", read.x_final, closed,
                 of_closed_loop(read.p, read.closed_loop_gain, read.steps.size(), of_error.relative));
  file.refuse_unknown_keys();
}

namespace {

void check_score_sde_ve(const record& file, report& result) {
  const special_file read = read_special(file, "call");
  const record options = file.object("sampler");
  const d::langevin_corrector corrector{.snr = options.number("snr", 0.15),
                                        .steps = options.integer("correct_steps", 0, 1000, 1),
                                        .batch_norms = true};
  (void)options.choice("kind", {"score_sde_ve"});
  options.refuse_unknown_keys();
  const record schedule = file.object("schedule");
  const record timesteps = file.object("timesteps");
  const sigma_grid grid = read_sigma_grid(schedule, timesteps, {.kind = "score_sde_ve"});
  const int n = static_cast<int>(grid.values.size());
  result.compare("timesteps.values", timesteps.numbers("values"), grid.values, of_fractional_times(read.p));
  result.compare("sigmas", file.numbers("sigmas"), grid.sigmas, of_table(read.p));
  const double sigma_max = schedule.number("sigma_max");
  const array steps = d::exponential_sigmas(n, {schedule.number("sigma_min"), sigma_max});
  const array ascending(steps.rbegin(), steps.rend());
  result.compare("discrete_sigmas", file.numbers("discrete_sigmas"), ascending, of_table(read.p));
  result.compare("init_noise_sigma", file.number("init_noise_sigma"), sigma_max, {});
  schedule.refuse_unknown_keys();
  timesteps.inform({"spacing", "steps", "offset"});
  timesteps.refuse_unknown_keys();

  // The peer steps along one list and asks the model at the other, which differ by `sampling_eps`. A score
  // needs no level to be used.
  std::vector<d::path_point> points;
  for (int k = 0; k < n; ++k)
    points.push_back({grid.values[static_cast<std::size_t>(k)], {1, steps[static_cast<std::size_t>(k)]}});
  points.push_back({0, {1, 0}});
  const d::run_path path(points);
  const d::reverse_diffusion predictor{.rederive_epsilon = false, .peer = d::compat::diffusers};
  const std::size_t each = static_cast<std::size_t>(corrector.steps) + 1;
  if (read.steps.size() != each * path.size())
    file.fail("steps", "expected " + std::to_string(each * path.size()));
  array x = read.x_init;
  d::workspace<double> work;
  d::predictor_corrector_run<double> run(path, predictor, corrector, as_rows(x, read.dims.count), work);
  std::vector<array> noises;
  std::vector<d::noise_level> levels;
  for (std::size_t k = 0; k < read.steps.size(); ++k) {
    const record& step = read.steps[k];
    const std::string here = path_of(k);
    const bool corrects = step.choice("op", {"correct", "predict"}) == "correct";
    if (corrects != run.corrects()) step.fail("op", "another was expected");
    result.compare(here + ".t", step.number("t"), grid.values[k / each], of_fractional_times(read.p));
    levels.push_back({step.number("a"), step.number("s")});
    compare_level(here, levels.back(), {1, grid.sigmas[k / each]}, read.p, 0, result);
    noises.push_back(step.numbers("noise", read.dims.size()));
    const array output = step.numbers("model_output", read.dims.size());
    auto model = recorded_model(read, here, levels.back(), output, result);
    auto noise = given(noises.back(), read.dims);
    run.step(model, noise);
    const array recorded = step.numbers("x", read.dims.size());
    result.compare(here + ".x", recorded, x, of_open_loop(read.p));
    if (!corrects) {
      const d::path_step& points_of = path[k / each];
      array mean = recorded;
      d::linear_combination(1, mean, -predictor(points_of.from.level, points_of.to.level).noise,
                            noises.back(), std::span<double>(mean));
      result.compare(here + ".x_mean", step.numbers("x_mean", read.dims.size()), mean, of_open_loop(read.p));
    }
    step.refuse_unknown_keys();
    x = recorded;
  }

  array closed = read.x_init;
  d::predictor_corrector_run<double> closed_run(path, predictor, corrector, as_rows(closed, read.dims.count),
                                                work);
  for (std::size_t k = 0; !closed_run.done(); ++k) {
    auto model =
        d::predicts(read.model.kind(), [&](d::rows<const double> state, d::path_point, d::rows<double> out) {
          read.predictor(state, levels[k], out);
        });
    auto noise = given(noises[k], read.dims);
    closed_run.step(model, noise);
  }
  result.compare("x_final in closed loop", read.x_final, closed,
                 of_closed_loop(read.p, read.closed_loop_gain, read.steps.size(), 0));
  file.refuse_unknown_keys();
}

void check_score_sde_vp(const record& file, report& result) {
  const special_file read = read_special(file, "call");
  const record options = file.object("sampler");
  (void)options.choice("kind", {"score_sde_vp"});
  options.refuse_unknown_keys();
  const record schedule = file.object("schedule");
  (void)schedule.choice("kind", {"vp_sde"});
  const d::vp_euler_maruyama method{.beta_min = schedule.number("beta_min", 0.1),
                                    .beta_max = schedule.number("beta_max", 20),
                                    .peer = d::compat::diffusers};
  const record timesteps = file.object("timesteps");
  (void)timesteps.choice("spacing", {"linspace"});
  if (timesteps.integer("offset", 0, 0, 0) != 0) timesteps.fail("offset", "expected 0");
  const array times = d::detail::linspace(1, schedule.number("sampling_eps", 1e-3),
                                          timesteps.integer("steps", 1, max_train_steps));
  result.compare("timesteps.values", timesteps.numbers("values"), times, of_fractional_times(read.p));
  result.compare("init_noise_sigma", file.number("init_noise_sigma"), 1, {});
  schedule.refuse_unknown_keys();
  timesteps.refuse_unknown_keys();
  std::vector<d::path_point> points;
  for (const double t : times) {
    const double log_alpha = -t * t / 4 * (method.beta_max - method.beta_min) - t / 2 * method.beta_min;
    points.push_back({t, {std::exp(log_alpha), std::sqrt(-std::expm1(2 * log_alpha))}});
  }
  points.push_back({0, {1, 0}});
  replayed_run run{.p = read.p,
                   .dims = read.dims,
                   .plan = method.plan(d::run_path(points)),
                   .transform = d::x0_keep{},
                   .model = read.model,
                   .predictor = read.predictor,
                   .asks = {},
                   .x_init = read.x_init,
                   .x_final = read.x_final,
                   .closed_loop_gain = read.closed_loop_gain,
                   .steps = read.steps.size()};
  for (std::size_t k = 0; k < read.steps.size(); ++k) {
    const record& step = read.steps[k];
    run.asks.push_back({.path = path_of(k),
                        .step = k,
                        .at = {step.number("a"), step.number("s")},
                        .x_in = {},
                        .model_output = step.numbers("model_output", read.dims.size()),
                        .x_after = step.numbers("x", read.dims.size()),
                        .x0 = {},
                        .noises = {step.numbers("noise", read.dims.size())}});
    const recorded_ask& ask = run.asks.back();
    run.asks.back().rounding = x0_rounding(read.p, read.model.kind(), ask.at);
    if (k < times.size()) {
      result.compare(ask.path + ".t", step.number("t"), times[k], of_fractional_times(read.p));
      array mean = ask.x_after;
      d::linear_combination(1, mean, -run.plan.stages[k].next.now.noise, ask.noises[0],
                            std::span<double>(mean));
      result.compare(ask.path + ".x_mean", step.numbers("x_mean", read.dims.size()), mean,
                     of_open_loop(read.p));
    }
    step.refuse_unknown_keys();
  }
  check_open_loop(run, result);
  check_closed_loop(run, result);
  file.refuse_unknown_keys();
}

}  // namespace

void check_score_sde(const record& file, report& result) {
  const std::string kind = file.object("sampler").choice("kind", {"score_sde_ve", "score_sde_vp"});
  return kind == "score_sde_ve" ? check_score_sde_ve(file, result) : check_score_sde_vp(file, result);
}

namespace {

/// The one draw of noise that has the effect of several, one for each training step from an index on.
array combined(const d::discrete_schedule<>& schedule, int first_index, const std::vector<array>& noises) {
  array sum(noises.front().size());
  double deviation = 0;
  int t = time_of_index(first_index);
  for (const array& z : noises) {
    const double beta = schedule.beta(t++);
    d::linear_combination(std::sqrt(1 - beta), sum, std::sqrt(beta), z, std::span<double>(sum));
    deviation = std::hypot(std::sqrt(1 - beta) * deviation, std::sqrt(beta));
  }
  for (double& value : sum) value /= deviation;
  return sum;
}

/// Diffusers adds the noise of as many training steps as a jump has, but starts at the index of the last step
/// down, t, instead of at the one behind the state, t - stride + 1: for a stride of 1 the same.
d::step_coefficients jump_of_diffusers(const d::discrete_schedule<>& schedule, int first_index, int count) {
  double kept = 1;
  for (int i = 0; i < count; ++i) kept *= 1 - schedule.beta(time_of_index(first_index + i));
  return {.x = std::sqrt(kept), .noise = std::sqrt(1 - kept)};
}

}  // namespace

void check_repaint(const record& file, report& result) {
  const special_file read = read_special(file, "call");
  const record options = file.object("sampler");
  (void)options.choice("kind", {"repaint"});
  const d::repaint<d::ddim> method{.sampler = {.eta = options.number("eta", 0), .rederive_epsilon = false},
                                   .jump_length = options.integer("jump_length", 1, max_train_steps, 10),
                                   .jump_n_sample = options.integer("jump_n_sample", 1, 1000, 10)};
  const bool clip = options.flag("clip_sample", true);
  const d::run_options transform{.x0 = clip ? d::x0_transform(d::x0_clip{options.number("clip_range", 1)})
                                            : d::x0_transform(d::x0_keep{})};
  options.refuse_unknown_keys();
  const d::discrete_schedule<> schedule = read_schedule(file.object("schedule"));
  const record timesteps = file.object("timesteps");
  (void)timesteps.choice("spacing", {"repaint"});
  const int n = timesteps.integer("steps", 1, schedule.steps());
  if (timesteps.integer("offset", 0, 0, 0) != 0) timesteps.fail("offset", "expected 0");
  const std::vector<int> indices = timesteps.integers("values", 0, schedule.steps() - 1);
  timesteps.refuse_unknown_keys();
  const array known_x0 = file.numbers("known", read.dims.size());
  const array mask = file.numbers("mask", read.dims.size());
  const d::known_part<double> known{as_rows(known_x0, read.dims.count), as_rows(mask, read.dims.count)};
  result.compare("init_noise_sigma", file.number("init_noise_sigma", 1), 1, {});

  const int stride = schedule.steps() / n;
  d::run_plan plan = d::make_plan(schedule, d::leading_grid(schedule.steps(), n), method);
  // The peer's list has an entry for every step down and up.
  std::vector<int> expected;
  const auto index_after = [&](const d::run_stage& stage, int step) {
    const int first = stage.from.t > 0 ? index_of_time(static_cast<int>(stage.from.t)) + stride : 0;
    return first + step * stride;  // of the level that a step up reaches
  };
  const auto steps_up = [&](const d::run_stage& stage) {
    return (index_of_time(static_cast<int>(stage.to.t)) - index_after(stage, 0)) / stride + 1;
  };
  for (d::run_stage& stage : plan.stages) {
    if (stage.asks) {
      expected.push_back(index_of_time(static_cast<int>(stage.from.t)));
      continue;
    }
    const int count = steps_up(stage);
    for (int i = 0; i < count; ++i) expected.push_back(index_after(stage, i) + stride);
    stage.next.now = jump_of_diffusers(schedule, index_after(stage, 0), count * stride);
  }
  result.compare_exactly("timesteps.values", indices, expected);
  if (expected.size() != read.steps.size()) file.fail("steps", "expected " + std::to_string(expected.size()));

  std::vector<array> noises;  // of every stage
  std::vector<d::noise_level> levels;
  array x = read.x_init;
  d::workspace<double> work;
  d::stepper run(plan, as_rows(x, read.dims.count), work, transform);
  const auto blend = [&](const d::run_stage& stage, const array& noise, array& state) {
    auto same_noise = given(noise, read.dims);
    if (stage.asks)
      d::blend_known(known, stage.to.level, same_noise, 0, 0, as_rows(state, read.dims.count),
                     std::span<double>(work.noise));
  };
  const double rounding_unit = 8 * unit_rounding(read.p);
  double largest_rounding = 0;
  std::size_t k = 0;
  for (const d::run_stage& stage : plan.stages) {
    const double rounding = stage.asks ? rounding_unit / stage.from.level.alpha : 0;
    largest_rounding = std::max(largest_rounding, rounding);
    const tolerance allowed = at_least(of_open_loop(read.p), rounding);
    if (stage.asks) {
      const record& step = read.steps[k];
      const std::string here = path_of(k++);
      (void)step.choice("op", {"denoise"});
      result.compare(here + ".t", step.number("t"), index_of_time(static_cast<int>(stage.from.t)), {});
      levels.push_back({step.number("a"), step.number("s")});
      compare_level(here, levels.back(), stage.from.level, read.p, 0, result);
      const auto compare_end = [&](const char* key, d::noise_level level) {
        const array recorded = step.numbers(key, 2);
        compare_level(here + "." + key, {recorded[0], recorded[1]}, level, read.p, 0, result);
      };
      compare_end("level_from", stage.from.level);
      compare_end("level_to", stage.to.level);
      noises.push_back(step.numbers("noise", read.dims.size()));
      const array output = step.numbers("model_output", read.dims.size());
      auto model = recorded_model(read, here, levels.back(), output, result);
      run.predict(model);
      array x0(x.size());
      run.preview(as_rows(x0, read.dims.count));
      result.compare(here + ".x0", step.numbers("x0", read.dims.size()), x0, allowed);
      auto noise = given(noises.back(), read.dims);
      run.advance(noise);
      blend(stage, noises.back(), x);
      const array recorded = step.numbers("x", read.dims.size());
      result.compare(here + ".x", recorded, x, allowed);
      step.refuse_unknown_keys();
      x = recorded;
      continue;
    }
    levels.push_back({});
    std::vector<array> draws;
    const int first = index_after(stage, 0);
    array recorded;
    std::string here;
    for (int i = 0; i < steps_up(stage); ++i) {
      const record& step = read.steps[k];
      here = path_of(k++);
      (void)step.choice("op", {"renoise"});
      result.compare(here + ".t", step.number("t"), first + i * stride, {});
      for (const array& z : step.matrix("noises", static_cast<std::size_t>(stride), read.dims.size()))
        draws.push_back(z);
      recorded = step.numbers("x", read.dims.size());
      step.refuse_unknown_keys();
    }
    noises.push_back(combined(schedule, first, draws));
    auto noise = given(noises.back(), read.dims);
    auto nothing = [](d::rows<const double>, d::path_point, d::rows<double>) {};
    run.step(nothing, noise);
    result.compare(here + ".x", recorded, x, allowed);
    x = recorded;
  }

  array closed = read.x_init;
  d::stepper closed_run(plan, as_rows(closed, read.dims.count), work, transform);
  for (std::size_t i = 0; !closed_run.done(); ++i) {
    const d::run_stage& stage = plan.stages[i];
    auto model =
        d::predicts(read.model.kind(), [&](d::rows<const double> state, d::path_point, d::rows<double> out) {
          read.predictor(state, levels[i], out);
        });
    auto noise = given(noises[i], read.dims);
    closed_run.step(model, noise);
    blend(stage, noises[i], closed);
  }
  result.compare("x_final in closed loop", read.x_final, closed,
                 of_closed_loop(read.p, read.closed_loop_gain, read.steps.size(), largest_rounding));
  file.refuse_unknown_keys();
}

}  // namespace golden
