// Families posterior and parameterization: single formulas on batches with one level per row.

#include <cmath>
#include <numbers>

#include "batch.hpp"
#include "diffusion/kernels/step.hpp"
#include "diffusion/posterior.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using d::prediction;

/// convert() of the library, element by element.
array converted(prediction from, prediction to, const std::vector<d::noise_level>& levels, const array& x_t,
                const array& output) {
  array values(x_t.size());
  const std::size_t row_size = x_t.size() / levels.size();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = d::convert(from, to, levels[i / row_size], x_t[i], output[i]);
  return values;
}

void check_conversions(const record& file, report& result) {
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const d::discrete_schedule<> schedule = read_schedule(file.object("schedule"));
  const std::vector<d::noise_level> at = levels_at(schedule, read_times(file, dims.count, schedule.steps()));
  const auto read = [&](const char* key) { return file.numbers(key, dims.size()); };
  const array x_t = read("x_t"), x0 = read("x0"), eps = read("eps"), v = read("v"), score = read("score");
  const array x0_from_eps = read("x0_from_eps"), eps_from_x0 = read("eps_from_x0");
  const array x0_from_v = read("x0_from_v"), eps_from_v = read("eps_from_v");
  file.refuse_unknown_keys();

  double smallest_alpha = 1;
  double smallest_sigma = 1;
  for (const d::noise_level& level : at) {
    smallest_alpha = std::min(smallest_alpha, level.alpha);
    smallest_sigma = std::min(smallest_sigma, level.sigma);
  }
  const tolerance of_prediction = of_state(p);
  result.compare("x_t", x_t, noised(at, x0, eps), of_prediction);
  result.compare("v", v, target_of(prediction::v, at, x0, eps), of_prediction);
  result.compare("score", score, target_of(prediction::score, at, x0, eps), of_prediction);
  result.compare("x0_from_eps", x0_from_eps, converted(prediction::epsilon, prediction::x0, at, x_t, eps),
                 at_least(of_prediction,
                          x0_rounding(p, prediction::epsilon,
                                      diffusion::vp_level_from_alpha_bar(smallest_alpha * smallest_alpha))));
  result.compare("eps_from_x0", eps_from_x0, converted(prediction::x0, prediction::epsilon, at, x_t, x0),
                 at_least(of_prediction, epsilon_rounding(p, smallest_sigma)));
  result.compare("x0_from_v", x0_from_v, converted(prediction::v, prediction::x0, at, x_t, v), of_prediction);
  result.compare("eps_from_v", eps_from_v, converted(prediction::v, prediction::epsilon, at, x_t, v),
                 of_prediction);
}

/// k-diffusion's wrapper of a v-predicting network in σ space. Its state is x = x_vp / α, so the network sees
/// c_in x = α x, and c_skip x + c_out v is x̂0.
void check_v_denoiser(const record& file, report& result) {
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const array sigma = file.numbers("sigma", dims.count);
  const array c_skip = file.numbers("c_skip", dims.count);
  const array c_out = file.numbers("c_out", dims.count);
  const array c_in = file.numbers("c_in", dims.count);
  const array t = file.numbers("t", dims.count);
  const array sigma_from_t = file.numbers("sigma_from_t", dims.count);
  array x = file.numbers("x", dims.size());
  const array output = file.numbers("model_output", dims.size());
  const array denoised = file.numbers("denoised", dims.size());
  file.refuse_unknown_keys();

  array skip, out, in, time, back, x0(dims.size());
  for (std::size_t i = 0; i < dims.count; ++i) {
    const d::noise_level level = d::vp_level_from_log_snr(-2 * std::log(sigma[i]));
    const d::prediction_map map = d::x0_map(prediction::v, level);
    skip.push_back(map.scale * map.x * level.alpha);
    out.push_back(map.scale * map.model);
    in.push_back(level.alpha);
    time.push_back(std::atan2(level.sigma, level.alpha) / (std::numbers::pi / 2));
    back.push_back(std::tan(t[i] * std::numbers::pi / 2));
    const auto x_vp = as_rows(x, dims.count)[i];
    for (double& element : x_vp) element *= level.alpha;
    d::predict_x0(map, {}, x_vp, as_rows(output, dims.count)[i], as_rows(x0, dims.count)[i]);
  }
  result.compare("c_skip", c_skip, skip, of_table(p));
  result.compare("c_out", c_out, out, of_table(p));
  result.compare("c_in", c_in, in, of_table(p));
  result.compare("t", t, time, of_table(p));
  result.compare("sigma_from_t", sigma_from_t, back, of_table(p));
  result.compare("denoised", denoised, x0, of_state(p));
}

}  // namespace

void check_posterior(const record& file, report& result) {
  (void)file.choice("kind", {"q_posterior"});
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const d::discrete_schedule<> schedule = read_schedule(file.object("schedule"));
  const std::vector<int> times = read_times(file, dims.count, schedule.steps());
  const array x0 = file.numbers("x0", dims.size());
  array x = file.numbers("x_t", dims.size());
  const array mean = file.numbers("mean", dims.size());
  const array variance = file.numbers("variance", dims.size());
  const array log_variance = file.numbers("log_variance_clipped", dims.size());
  file.refuse_unknown_keys();

  const auto level = [&](int t) { return schedule.level(t); };
  for (std::size_t i = 0; i < dims.count; ++i) {
    d::step_coefficients step = d::posterior(level(times[i]), level(times[i] - 1));
    step.noise = 0;
    d::apply_step({d::x0_map(prediction::x0, level(times[i])), {}, {}, step}, as_rows(x0, dims.count)[i],
                  std::span<const double>(), as_rows(x, dims.count)[i]);
  }
  result.compare("mean", mean, x, of_state(p));
  result.compare(
      "variance", variance,
      repeated(dims,
               [&](std::size_t i) { return d::posterior_variance(level(times[i]), level(times[i] - 1)); }),
      of_table(p));
  result.compare("log_variance_clipped", log_variance,
                 repeated(dims, [&](std::size_t i) { return d::posterior_log_variance(schedule, times[i]); }),
                 as_logarithm(of_table(p)));
}

void check_parameterization(const record& file, report& result) {
  const std::string kind = file.choice("kind", {"vp_discrete", "v_denoiser"});
  if (kind == "vp_discrete") return check_conversions(file, result);
  check_v_denoiser(file, result);
}

}  // namespace golden
