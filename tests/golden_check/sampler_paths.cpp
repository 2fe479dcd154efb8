// The points that a planned sampler passes, and what a file recorded of its steps.

#include <algorithm>
#include <array>
#include <cmath>

#include "diffusion/distilled_grid.hpp"
#include "grids.hpp"
#include "pndm_path.hpp"
#include "sampler.hpp"
#include "schedules.hpp"
#include "sigma_lists.hpp"

namespace golden {

namespace {

namespace d = diffusion;

bool is_one_of(const std::string& kind, std::initializer_list<std::string_view> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// The level of a state of the peer where its own σ has this value.
using level_of_sigma = std::function<d::noise_level(double sigma)>;

d::noise_level ve_level(double sigma) { return {1, sigma}; }
d::noise_level vp_level(double sigma) {
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  return {alpha, sigma * alpha};
}
d::noise_level flow_level(double sigma) { return {1 - sigma, sigma}; }

/// Each σ once: two-stage kinds repeat all but the first and the last.
std::vector<double> without_doubles(const std::vector<double>& sigmas) {
  std::vector<double> once;
  for (std::size_t i = 0; i < sigmas.size(); ++i)
    if (i == 0 || sigmas[i] != sigmas[i - 1]) once.push_back(sigmas[i]);
  return once;
}

d::run_path path_of(const std::vector<d::path_point>& points, const level_of_sigma& level) {
  return d::run_path(std::span<const d::path_point>(points), [level](double noise_to_signal) {
    return d::path_point{noise_to_signal, level(noise_to_signal)};
  });
}

d::run_path path_of_sigmas(const record& file, const std::string& kind, report& result) {
  const precision p = read_header(file);
  const record timesteps = file.object("timesteps");
  const record schedule = file.object("schedule");
  const record options = file.object("sampler");
  const std::vector<double> recorded = file.numbers("sigmas");
  const sigma_grid grid = read_sigma_grid(schedule, timesteps,
                                          {.kind = kind,
                                           .prediction = file.text("prediction"),
                                           .eta = options.number("eta", 1),
                                           .recorded = recorded});
  if (recorded.size() != grid.sigmas.size())
    file.fail("sigmas", std::to_string(recorded.size()) + " recorded, the grid has " +
                            std::to_string(grid.sigmas.size()));
  const int train_steps = schedule.integer("train_steps", 0, max_train_steps, 0);
  // Between its ends a list has the rounding of both.
  double smallest = recorded.front();
  for (const double sigma : recorded)
    if (sigma > 0) smallest = std::min(smallest, sigma);
  // The inversion's beta list starts from its other end: σ = σ_max - q (σ_max - σ_min).
  const bool from_noisiest = kind == "dpm_solver_multistep_inverse" && timesteps.has("sigma_spacing") &&
                             timesteps.text("sigma_spacing") == "beta";
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    tolerance allowed =
        of_sigma(p, recorded[i], smallest, train_steps, schedule.flag("zero_terminal_snr", false));
    if (from_noisiest) allowed.relative += 2 * unit_rounding(p) * recorded.back() / recorded[i];
    result.compare("sigmas[" + std::to_string(i) + "]", recorded[i], grid.sigmas[i], allowed);
  }
  if (timesteps.has("values")) {
    const std::vector<double> values = timesteps.numbers("values");
    tolerance allowed = of_fractional_times(p);
    allowed.relative += grid.times_rounding / std::max(1.0, values.empty() ? 0 : values.front());
    result.compare("timesteps.values", values, grid.values, allowed);
  }

  const bool flow = kind.starts_with("flow_") || file.text("prediction") == "flow";
  const bool vp = is_one_of(kind, {"dpm_solver_multistep", "dpm_solver_multistep_inverse",
                                   "dpm_solver_singlestep", "unipc", "deis", "sa_solver"});
  const bool inverted = flow && schedule.flag("invert_sigmas", false);
  level_of_sigma level = flow ? flow_level : vp ? vp_level : ve_level;
  if (inverted) level = [](double sigma) { return flow_level(1 - sigma); };
  const bool two_stages = is_one_of(kind, {"heun", "dpm2", "dpm2_ancestral", "dpm_solver_sde", "flow_heun"});
  // Having been compared, the recorded list is the one to step along: the open loop is about the steps.
  std::vector<double> sigmas = two_stages ? without_doubles(recorded) : recorded;
  // Diffusers' Euler makes n + 1 of them there, and stops at the last but one.
  if (timesteps.has("interpolation") && timesteps.text("interpolation") == "log_linear" &&
      timesteps.text("sigma_spacing") == "default")
    sigmas.pop_back();
  // The inversion steps from one of its times to the next, of which there may be fewer than σ.
  if (kind == "dpm_solver_multistep_inverse") sigmas.resize(grid.values.size() + 1);
  if (kind == "karras_ve") {  // listed from the cleanest, without the end
    std::reverse(sigmas.begin(), sigmas.end());
    sigmas.push_back(0);
  }
  // EDM's ablation sampler may scale its states, as a variance preserving process.
  if (kind == "edm_ablation" && options.text("scaling") == "vp") level = vp_level;
  std::vector<d::path_point> points;
  for (std::size_t k = 0; k < sigmas.size(); ++k) {
    const bool numbered = vp && k < grid.values.size();
    points.push_back({numbered ? grid.values[k] : sigmas[k], level(sigmas[k])});
  }
  return path_of(points, flow ? level_of_sigma([](double s) { return flow_level(s / (1 + s)); }) : level);
}

/// From time to time of a grid over a discrete schedule, then to its last level.
d::run_path path_of_grid(const d::discrete_schedule<>& schedule, const d::time_grid& grid,
                         bool last_is_clean) {
  std::vector<d::path_point> points;
  for (const auto& step : grid) points.push_back({double(step.from), schedule.level(step.from)});
  const int last = last_is_clean ? 0 : 1;
  points.push_back({double(last), schedule.level(last)});
  return d::run_path(points);
}

/// Diffusers' list of evaluations of PNDM: the second time twice, or a Runge-Kutta start of three steps, of
/// which each has four evaluations in two pairs, half a stride apart.
std::vector<int> pndm_indices(const std::vector<int>& descending, int stride, bool halved) {
  std::vector<int> indices;
  if (!halved) {
    for (std::size_t k = 0; k < descending.size(); ++k)
      indices.insert(indices.end(), k == 1 ? 2 : 1, descending[k]);
    return indices;
  }
  if (descending.size() < 4) throw unsupported("timesteps.steps below 4 with a Runge-Kutta start");
  // The first four points and the middles between them, from the cleanest, each twice but for the ends.
  std::vector<int> doubled;
  for (std::size_t k = 4; k-- > 0;)
    for (const int t : {descending[k], descending[k] + stride / 2}) doubled.insert(doubled.end(), 2, t);
  doubled.erase(doubled.end() - 3, doubled.end());
  doubled.erase(doubled.begin());
  indices.assign(doubled.rbegin(), doubled.rend());
  indices.insert(indices.end(), descending.begin() + 3, descending.end());
  return indices;
}

d::run_path path_of_steps(const record& file, const std::string& kind, report& result) {
  const record timesteps = file.object("timesteps");
  const record schedule = file.object("schedule");
  const record options = file.object("sampler");
  const std::vector<double> values = timesteps.numbers("values");
  const bool last_is_clean = options.flag("final_alpha_one", kind != "pndm");
  if (kind == "lcm" || kind == "tcd") {
    const d::discrete_schedule<> discrete = read_schedule(schedule);
    (void)timesteps.choice("spacing", {"distilled"});
    const int n = timesteps.integer("steps", 1, discrete.steps());
    const d::time_grid grid =
        d::distilled_grid(discrete.steps(), options.integer("original_steps", 1, discrete.steps()), n,
                          timesteps.number("strength", 1));
    const std::vector<int> indices = indices_of(grid);
    result.compare_exactly("timesteps.values", timesteps.integers("values", 0, discrete.steps() - 1),
                           indices);
    // Diffusers' LCM ends with x̂0, whatever set_alpha_to_one says, its TCD at index 0.
    return path_of_grid(discrete, grid, kind == "lcm");
  }
  if (kind == "pndm") {
    const d::discrete_schedule<> discrete = read_schedule(schedule);
    const int n = timesteps.integer("steps", 1, discrete.steps());
    const bool halved = !options.flag("skip_prk_steps");
    const d::time_grid grid = make_grid({.spacing = timesteps.text("spacing"),
                                         .train_steps = discrete.steps(),
                                         .steps = n,
                                         .offset = timesteps.integer("offset", 0, discrete.steps(), 0)},
                                        {});
    const std::vector<int> indices = timesteps.integers("values", 0, discrete.steps() - 1);
    result.compare_exactly("timesteps.values", indices,
                           pndm_indices(indices_of(grid), discrete.steps() / n, halved));
    return pndm_path(discrete, indices, n, halved, last_is_clean);
  }
  if (kind == "cogvideox_dpm") {
    const d::discrete_schedule<> discrete = read_schedule(schedule);
    const d::time_grid grid = read_grid(timesteps, discrete.steps());
    return path_of_strides(discrete, indices_of(grid), last_is_clean);
  }
  if (kind == "consistency_decoder") {  // two fixed times, then clean
    (void)timesteps.choice("spacing", {"fixed"});
    const d::discrete_schedule<> discrete = read_schedule(schedule);
    return path_of_grid(discrete, d::explicit_grid(discrete.steps(), std::vector{1009, 513}), true);
  }
  if (kind == "scm" || kind == "ipndm") {
    (void)schedule.choice("kind", {"trigflow", "ipndm_trig"});
    const double sigma_data = options.number("sigma_data", 0.5);
    const double pi = std::acos(-1.0);
    const int n = timesteps.integer("steps", 1, max_train_steps);
    std::vector<d::path_point> points;
    for (int k = 0; k <= n; ++k) {
      if (kind == "scm") {
        // SANA-Sprint's angles: even steps from the largest to 0, or the given ones.
        const double largest = timesteps.number("max_timesteps", pi / 2);
        double t = k == n ? 0 : largest * (n - k) / n;
        if (timesteps.has("intermediate_timesteps") && k == 1 && n == 2)
          t = timesteps.number("intermediate_timesteps");
        points.push_back({t, {std::max(std::cos(t), 0.0), sigma_data * std::sin(t)}});
      } else {
        const double beta = k == n ? 0 : std::pow(std::sin((double(n - k) / n) * pi / 2), 2);
        const double alpha = std::sqrt(1 - beta * beta);
        points.push_back({std::atan2(beta, alpha) / pi * 2, {alpha, beta}});
      }
    }
    std::vector<double> times;
    for (const auto& point : points) times.push_back(point.t);
    times.resize(values.size());
    result.compare("timesteps.values", values, times, of_fractional_times(read_header(file)));
    return path_of(points, vp_level);
  }
  throw unsupported("sampler.kind \"" + kind + '"');
}

}  // namespace

d::run_path read_path(const record& file, const std::string& kind, report& result) {
  if (file.has("sigmas") && !file.numbers("sigmas").empty()) return path_of_sigmas(file, kind, result);
  return path_of_steps(file, kind, result);
}

std::vector<recorded_ask> read_planned_asks(const record& file, const std::string& kind, shape dims) {
  const bool by_call = file.choice("layout", {"call", "step"}) == "call";
  const std::vector<record> objects = file.objects("steps");
  std::vector<recorded_ask> asks;
  const bool scaled = kind == "edm_ablation" && file.object("sampler").text("scaling") == "vp";
  const auto numbers = [&](const record& from, const char* key) {
    return from.has(key) ? from.numbers(key, dims.size()) : array();
  };
  for (std::size_t k = 0; k < objects.size(); ++k) {
    const record& step = objects[k];
    const std::string path = "steps[" + std::to_string(k) + "]";
    std::vector<array> noises;
    if (step.has("noise")) noises.push_back(step.numbers("noise", dims.size()));
    if (step.has("noises")) {
      const std::size_t count = step.size("noises");
      noises = step.matrix("noises", count, dims.size());
      // Diffusers' CogVideoX-DPM draws twice and forgets the first.
      if (kind == "cogvideox_dpm") noises.erase(noises.begin(), noises.end() - 1);
    }
    const auto add = [&](const record& from, const std::string& name) {
      d::noise_level at{from.number("a"), from.number("s")};
      array x_in = by_call ? array() : numbers(from, "x");
      if (scaled) {  // the model saw the state without its scale
        at = vp_level(at.sigma);
        for (double& x : x_in) x *= at.alpha;
      }
      asks.push_back({.path = name,
                      .step = k,
                      .at = at,
                      .x_in = x_in,
                      .model_output = numbers(from, "model_output"),
                      .x_after = {},
                      .x0 = numbers(from, "x0"),
                      .noises = noises});
    };
    if (by_call) {
      add(step, path);
    } else {
      const std::vector<record> evals = step.objects("evals");
      for (std::size_t i = 0; i < evals.size(); ++i) {
        add(evals[i], path + ".evals[" + std::to_string(i) + "]");
        evals[i].refuse_unknown_keys();
      }
      if (evals.empty()) step.fail("evals", "expected at least one");
    }
    asks.back().x_after = numbers(step, "x");
    step.inform({"t", "sigma", "sigma_next", "sigma_hat", "stage", "order", "model_input", "level_from",
                 "level_to", "denoised", "pred_noised", "c_skip", "c_out", "c_in", "op"});
    step.refuse_unknown_keys();
  }
  if (asks.empty()) file.fail("steps", "expected at least one");
  return asks;
}

}  // namespace golden
