// Family p_mean_variance: one ancestral step of every row from its own time, in all its parts.

#include <algorithm>
#include <cmath>

#include "batch.hpp"
#include "diffusion/kernels/learned_noise.hpp"
#include "diffusion/kernels/step.hpp"
#include "diffusion/posterior.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using d::prediction;
using schedule = d::discrete_schedule<>;

struct variance_case {
  shape dims;
  schedule trained;
  std::string predicts, variance;
  d::x0_clamp clamp;
  std::vector<int> times;
  array x, output, noise;

  [[nodiscard]] bool learned() const { return variance == "learned_log" || variance == "learned_range"; }
  [[nodiscard]] prediction kind() const {
    return predicts == "epsilon" ? prediction::epsilon : predicts == "v" ? prediction::v : prediction::x0;
  }
  [[nodiscard]] d::noise_level from(std::size_t i) const { return trained.level(times[i]); }
  [[nodiscard]] d::noise_level to(std::size_t i) const { return trained.level(times[i] - 1); }
  [[nodiscard]] std::span<const double> mean_output(std::size_t i) const {
    return as_rows(output, dims.count)[i].first(dims.row_size);
  }
  [[nodiscard]] std::span<const double> variance_output(std::size_t i) const {
    return as_rows(output, dims.count)[i].last(dims.row_size);
  }
};

variance_case read_case(const record& file) {
  const shape dims = read_shape(file);
  variance_case c{dims,
                  read_schedule(file.object("schedule")),
                  file.choice("prediction", {"epsilon", "sample", "v", "previous_x"}),
                  file.choice("variance", {"fixed_small", "fixed_large", "learned_log", "learned_range"}),
                  file.flag("clip_denoised") ? d::x0_clamp{.limit = 1} : d::x0_clamp{},
                  {},
                  file.numbers("x", dims.size()),
                  {},
                  file.has("noise") ? file.numbers("noise", dims.size()) : array()};
  c.times = read_times(file, dims.count, c.trained.steps());
  c.output = file.numbers("model_output", dims.size() * (c.learned() ? 2 : 1));
  return c;
}

/// log Σ of row i as a function of the network's second output, which the fixed variances ignore. At t = 1,
/// where β̃ = 0, guided-diffusion reports that of t = 2 in its place; the step itself adds no noise.
d::variance_map variance_of(const variance_case& c, std::size_t i) {
  const double low = d::posterior_log_variance(c.trained, c.times[i]);
  const double high = std::log(c.trained.beta(c.times[i]));
  if (c.variance == "fixed_small") return {.offset = low, .slope = 0};
  if (c.variance == "fixed_large") return {.offset = c.times[i] == 1 ? low : high, .slope = 0};
  if (c.variance == "learned_log")
    return d::ddpm_learned{d::learned_variance::log_value}.variance_of(c.from(i), c.to(i));
  if (c.times[i] == 1) return {.offset = (low + high) / 2, .slope = (high - low) / 2};
  return d::ddpm_learned{d::learned_variance::log_range}.variance_of(c.from(i), c.to(i));
}

struct computed_step {
  array x0, mean, deviation, sample;
};

computed_step compute(const variance_case& c) {
  computed_step result{array(c.x.size()), c.x, array(c.x.size()), {}};
  for (std::size_t i = 0; i < c.dims.count; ++i) {
    d::step_coefficients step = d::posterior(c.from(i), c.to(i));
    step.noise = 0;
    const auto mean = as_rows(result.mean, c.dims.count)[i];
    const auto x0 = as_rows(result.x0, c.dims.count)[i];
    if (c.predicts == "previous_x") {
      // The network predicts the mean itself: mean = posterior.x x + posterior.x0 x̂0.
      d::predict_x0({-step.x, 1, 1 / step.x0}, c.clamp, mean, c.mean_output(i), x0);
      std::copy(c.mean_output(i).begin(), c.mean_output(i).end(), mean.begin());
    } else {
      const d::prediction_map map = d::x0_map(c.kind(), c.from(i));
      d::predict_x0(map, c.clamp, mean, c.mean_output(i), x0);
      d::apply_step({map, {}, c.clamp, step}, c.mean_output(i), std::span<const double>(), mean);
    }
    // √Σ is what a draw of 1 adds to 0.
    d::add_learned_noise(variance_of(c, i), c.variance_output(i), array(c.dims.row_size, 1.0),
                         as_rows(result.deviation, c.dims.count)[i]);
  }
  result.sample = result.mean;
  for (std::size_t i = 0; i < c.dims.count && !c.noise.empty(); ++i)
    if (c.times[i] > 1)
      d::add_learned_noise(variance_of(c, i), c.variance_output(i), as_rows(c.noise, c.dims.count)[i],
                           as_rows(result.sample, c.dims.count)[i]);
  return result;
}

}  // namespace

void check_p_mean_variance(const record& file, report& result) {
  (void)file.choice("kind", {"p_mean_variance"});
  const precision p = read_header(file);
  const variance_case c = read_case(file);
  const array mean = file.numbers("mean", c.dims.size());
  const array variance = file.numbers("variance_values", c.dims.size());
  const array log_variance = file.numbers("log_variance", c.dims.size());
  const array x0 = file.numbers("x0", c.dims.size());
  const array sample = c.noise.empty() ? array() : file.numbers("sample", c.dims.size());
  file.refuse_unknown_keys();

  const computed_step computed = compute(c);
  array computed_variance, computed_log;
  for (std::size_t k = 0; k < c.dims.size(); ++k) {
    const double deviation = computed.deviation[k];
    const std::size_t i = k / c.dims.row_size;
    // Only the logarithm of fixed_small is replaced at t = 1, the variance stays β̃ = 0.
    computed_variance.push_back(c.variance == "fixed_small" ? d::posterior_variance(c.from(i), c.to(i))
                                                            : deviation * deviation);
    computed_log.push_back(2 * std::log(deviation));
  }
  double smallest_alpha = 1;
  for (std::size_t i = 0; i < c.dims.count; ++i) smallest_alpha = std::min(smallest_alpha, c.from(i).alpha);
  const tolerance of_mean = at_least(
      of_state(p), x0_rounding(p, c.kind(), d::vp_level_from_alpha_bar(smallest_alpha * smallest_alpha)));
  result.compare("x0", x0, computed.x0, of_mean);
  result.compare("mean", mean, computed.mean, of_mean);
  result.compare("variance_values", variance, computed_variance, of_table(p));
  result.compare("log_variance", log_variance, computed_log, as_logarithm(of_table(p)));
  if (!sample.empty()) result.compare("sample", sample, computed.sample, of_mean);
}

}  // namespace golden
