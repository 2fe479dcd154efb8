// Family p_mean_variance: one ancestral step of every row from its own time, in all its parts.

#include <algorithm>
#include <cmath>

#include "batch.hpp"
#include "diffusion/kernels/step.hpp"
#include "diffusion/posterior.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using d::prediction;
using schedule = d::discrete_schedule<>;

/// log Σ of the step from t as a function of the network's second output, which the fixed variances ignore.
/// At t = 1, where β̃ = 0, guided-diffusion reports that of t = 2 in its place; the step itself adds no noise.
d::variance_map variance_of(const std::string& variance, const schedule& s, int t) {
  const double low = d::posterior_log_variance(s, t);
  const double high = std::log(s.beta(t));
  if (variance == "fixed_small") return {.offset = low, .slope = 0};
  if (variance == "fixed_large") return {.offset = t == 1 ? low : high, .slope = 0};
  if (variance == "learned_log") return d::ddpm_learned{d::learned_variance::log_value}.variance_of({}, {});
  if (t > 1) return d::ddpm_learned{d::learned_variance::log_range}.variance_of(s.level(t), s.level(t - 1));
  return {.offset = (low + high) / 2, .slope = (high - low) / 2};
}

/// x̂0 from a network that predicts the mean of the step: mean = posterior.x x + posterior.x0 x̂0.
d::prediction_map x0_map_of_previous_x(const d::step_coefficients& posterior) {
  return {-posterior.x, 1, 1 / posterior.x0};
}

}  // namespace

void check_p_mean_variance(const record& file, report& result) {
  (void)file.choice("kind", {"p_mean_variance"});
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const schedule s = read_schedule(file.object("schedule"));
  const std::string predicts = file.choice("prediction", {"epsilon", "sample", "v", "previous_x"});
  const std::string variance =
      file.choice("variance", {"fixed_small", "fixed_large", "learned_log", "learned_range"});
  const bool learned = variance == "learned_log" || variance == "learned_range";
  const d::x0_clamp clamp = file.flag("clip_denoised") ? d::x0_clamp{.limit = 1} : d::x0_clamp{};
  const std::vector<int> times = read_times(file, dims.count, s.steps());
  const array x = file.numbers("x", dims.size());
  const array output = file.numbers("model_output", dims.size() * (learned ? 2 : 1));
  const array mean = file.numbers("mean", dims.size());
  const array variance_values = file.numbers("variance_values", dims.size());
  const array log_variance = file.numbers("log_variance", dims.size());
  const array x0 = file.numbers("x0", dims.size());
  const bool samples = file.has("noise");
  const array noise = samples ? file.numbers("noise", dims.size()) : array(dims.size());
  const array sample = samples ? file.numbers("sample", dims.size()) : array();
  file.refuse_unknown_keys();

  const prediction kind = predicts == "epsilon" ? prediction::epsilon
                          : predicts == "v"     ? prediction::v
                                                : prediction::x0;
  array x0_found(dims.size()), mean_found(x), std_found(dims.size()), sample_found;
  double smallest_alpha = 1;
  for (std::size_t i = 0; i < dims.count; ++i) {
    const d::noise_level from = s.level(times[i]);
    smallest_alpha = std::min(smallest_alpha, from.alpha);
    d::step_coefficients step = d::posterior(from, s.level(times[i] - 1));
    step.noise = 0;
    const d::prediction_map map =
        predicts == "previous_x" ? x0_map_of_previous_x(step) : d::x0_map(kind, from);
    const auto row_output = as_rows(output, dims.count)[i].first(dims.row_size);
    const auto row_variance = as_rows(output, dims.count)[i].last(dims.row_size);
    const auto row_mean = as_rows(mean_found, dims.count)[i];
    d::predict_x0(map, clamp, row_mean, row_output, as_rows(x0_found, dims.count)[i]);
    if (predicts == "previous_x")
      std::copy(row_output.begin(), row_output.end(), row_mean.begin());
    else
      d::apply_step({map, {}, clamp, step}, row_output, std::span<const double>(), row_mean);
    // √Σ is the noise that a draw of 1 adds to 0.
    d::add_learned_noise(variance_of(variance, s, times[i]), row_variance, array(dims.row_size, 1.0),
                         as_rows(std_found, dims.count)[i]);
  }
  sample_found = mean_found;
  for (std::size_t i = 0; i < dims.count; ++i)
    if (times[i] > 1)
      d::add_learned_noise(variance_of(variance, s, times[i]),
                           as_rows(output, dims.count)[i].last(dims.row_size), as_rows(noise, dims.count)[i],
                           as_rows(sample_found, dims.count)[i]);

  array variance_found, log_found;
  for (const double std : std_found) {
    variance_found.push_back(std * std);
    log_found.push_back(2 * std::log(std));
  }
  // Fixed small at t = 1: the variance is β̃ = 0 itself, only its logarithm is replaced.
  if (variance == "fixed_small")
    for (std::size_t i = 0; i < dims.count; ++i)
      std::fill_n(variance_found.begin() + static_cast<std::ptrdiff_t>(i * dims.row_size), dims.row_size,
                  d::posterior_variance(s.level(times[i]), s.level(times[i] - 1)));
  const tolerance x0_tolerance = at_least(of_state(p), x0_rounding(kind, smallest_alpha));
  result.compare("x0", x0, x0_found, x0_tolerance);
  result.compare("mean", mean, mean_found, x0_tolerance);
  result.compare("variance_values", variance_values, variance_found, of_table(p));
  result.compare("log_variance", log_variance, log_found, as_logarithm(of_table(p)));
  if (samples) result.compare("sample", sample, sample_found, x0_tolerance);
}

}  // namespace golden
