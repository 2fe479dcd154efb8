// Family forward: x_t from x_0, with one level per row.

#include <cmath>

#include "batch.hpp"

namespace golden {

namespace {

namespace d = diffusion;

struct forward_case {
  shape dims;
  precision p;
  array x0, noise, x_t;
};

forward_case read_forward(const record& file) {
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  return {dims, p, file.numbers("x0", dims.size()), file.numbers("noise", dims.size()),
          file.numbers("x_t", dims.size())};
}

array numbers_if_any(const record& file, const char* key, std::size_t size) {
  return file.has(key) ? file.numbers(key, size) : array();
}

void check_discrete(const record& file, const forward_case& c, report& result) {
  const d::discrete_schedule<> schedule = read_schedule(file.object("schedule"));
  const std::vector<d::noise_level> at =
      levels_at(schedule, read_times(file, c.dims.count, schedule.steps()));
  const array v = numbers_if_any(file, "v", c.dims.size());
  const array mean = numbers_if_any(file, "mean", c.dims.size());
  const array variance = numbers_if_any(file, "variance", c.dims.size());
  const array log_variance = numbers_if_any(file, "log_variance", c.dims.size());
  file.refuse_unknown_keys();

  result.compare("x_t", c.x_t, noised(at, c.x0, c.noise), of_state(c.p));
  if (!v.empty()) result.compare("v", v, target_of(d::prediction::v, at, c.x0, c.noise), of_state(c.p));
  if (!mean.empty()) result.compare("mean", mean, noised(at, c.x0, array(c.x0.size(), 0.0)), of_state(c.p));
  if (!variance.empty())
    result.compare("variance", variance,
                   repeated(c.dims, [&](std::size_t i) { return at[i].sigma * at[i].sigma; }), of_table(c.p));
  if (!log_variance.empty())
    result.compare("log_variance", log_variance,
                   repeated(c.dims, [&](std::size_t i) { return 2 * std::log(at[i].sigma); }),
                   as_logarithm(of_table(c.p)));
}

// σ is an input of these two kinds: how the peer chose it (spacing, shift) is another family's matter, so the
// options that chose it are only checked for being known.

void read_sigma_options(const record& timesteps) {
  timesteps.inform({"spacing", "steps", "offset", "values"});
  if (timesteps.has("sigma_spacing"))
    (void)timesteps.choice("sigma_spacing", {"default", "karras", "exponential", "lu", "beta", "flow"});
  timesteps.refuse_unknown_keys();
}

void check_sigma_space(const record& file, const forward_case& c, report& result) {
  (void)read_schedule(file.object("schedule"));
  read_sigma_options(file.object("timesteps"));
  const array sigma = file.numbers("sigma", c.dims.count);
  file.inform({"t", "step_index"});
  file.refuse_unknown_keys();
  std::vector<d::noise_level> at;
  for (const double s : sigma) at.push_back({1, s});
  result.compare("x_t", c.x_t, noised(at, c.x0, c.noise), of_state(c.p));
}

void check_flow(const record& file, const forward_case& c, report& result) {
  const record schedule = file.object("schedule");
  (void)schedule.choice("kind", {"flow"});
  const int train_steps = schedule.integer("train_steps", 1, max_train_steps);
  if (schedule.flag("invert_sigmas", false)) throw unsupported("schedule.invert_sigmas true");
  schedule.inform({"shift"});
  schedule.refuse_unknown_keys();
  read_sigma_options(file.object("timesteps"));
  const array sigma = file.numbers("sigma", c.dims.count);
  const array t = file.numbers("t", c.dims.count);
  file.inform({"step_index"});
  file.refuse_unknown_keys();

  std::vector<d::noise_level> at;
  array scaled;
  for (const double s : sigma) {
    at.push_back({1 - s, s});
    scaled.push_back(s * train_steps);
  }
  result.compare("t", t, scaled, of_table(c.p));
  result.compare("x_t", c.x_t, noised(at, c.x0, c.noise), of_state(c.p));
}

void check_continuous(const record& file, const forward_case& c, report& result) {
  const continuous_schedule schedule = read_continuous_schedule(file.object("schedule"));
  const array times = file.numbers("t", c.dims.count);
  const array log_snr = file.numbers("log_snr", c.dims.count);
  file.refuse_unknown_keys();

  std::vector<d::noise_level> at;
  array computed;
  for (const double t : times) {
    at.push_back(schedule(t));
    computed.push_back(2 * d::half_log_snr(at.back()));
  }
  result.compare("log_snr", log_snr, computed, as_logarithm(of_table(c.p)));
  result.compare("x_t", c.x_t, noised(at, c.x0, c.noise), of_state(c.p));
}

}  // namespace

void check_forward(const record& file, report& result) {
  const std::string kind = file.choice(
      "kind", {"vp_discrete", "vp_discrete_velocity", "sigma_space", "flow", "continuous_log_snr"});
  const forward_case c = read_forward(file);
  if (kind == "sigma_space") return check_sigma_space(file, c, result);
  if (kind == "flow") return check_flow(file, c, result);
  if (kind == "continuous_log_snr") return check_continuous(file, c, result);
  check_discrete(file, c, result);
}

}  // namespace golden
