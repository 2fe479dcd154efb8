// Families noise_schedule_sigmas and training_sigmas: lists of σ, schedules in continuous time, training
// distributions.

#include <cmath>

#include "batch.hpp"
#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/flow.hpp"
#include "diffusion/schedules/shifted_cosine.hpp"
#include "diffusion/schedules/training_sigmas.hpp"
#include "families.hpp"
#include "grids.hpp"
#include "schedules.hpp"
#include "sigma_lists.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using values = std::vector<double>;

/// 2e-15 between implementations, twice that where the ends are computed too, or what the
/// peers' rounding adds.
tolerance of_list(precision p, double rounding) {
  return at_least({p == precision::f64 ? 4e-15 : base_tolerance(p), 0, true}, rounding);
}

/// The grid of options put together here, as the sampler files have them.
sigma_grid grid_of(const json& schedule, const json& timesteps, const std::string& sampler_kind) {
  return read_sigma_grid(record(schedule, "schedule"), record(timesteps, "timesteps"),
                         {.kind = sampler_kind});
}

/// A list by its parameters, `n` or `num_steps` values.
sigma_grid read_plain(const record& file, const std::string& kind) {
  const record params = file.object("params");
  json schedule{{"kind", kind}};
  for (const char* key :
       {"sigma_min", "sigma_max", "rho", "beta_d", "beta_min", "eps_s", "epsilon_s", "C_1", "C_2"})
    if (params.has(key)) schedule[key] = params.number(key);
  if (params.has("M")) schedule["M"] = params.integer("M", 1, max_train_steps);
  if (params.has("discretization")) (void)params.choice("discretization", {kind});
  const int n = params.integer(params.has("n") ? "n" : "num_steps", 1, max_train_steps);
  params.refuse_unknown_keys();
  return grid_of(schedule, {{"spacing", "sigmas"}, {"steps", n}}, "");
}

/// A list by the configuration of a scheduler of diffusers.
sigma_grid read_configured(const record& file) {
  const record config = file.object("config");
  const record schedule = file.object("schedule");
  json timesteps{{"final_sigma", "zero"}, {"sigma_spacing", "default"}, {"spacing", "linspace"}};
  if (config.has("timestep_spacing")) timesteps["spacing"] = config.text("timestep_spacing");
  for (const auto& [key, spacing] : {std::pair("use_karras_sigmas", "karras"),
                                     {"use_exponential_sigmas", "exponential"},
                                     {"use_beta_sigmas", "beta"},
                                     {"use_lu_lambdas", "lu"},
                                     {"use_flow_sigmas", "flow"}})
    if (config.flag(key, false)) timesteps["sigma_spacing"] = spacing;
  for (const char* key : {"flow_shift", "lambda_min_clipped"})
    if (config.has(key)) timesteps[key] = config.number(key);
  timesteps["steps"] = file.integer("steps", 1, max_train_steps);
  config.inform({"beta_schedule", "beta_start", "beta_end"});  // said in `schedule`
  config.refuse_unknown_keys();
  schedule.inform({"beta_start", "beta_end"});  // said for cosine schedules too, which have none
  const bool euler = file.choice("peer_class", {"EulerDiscreteScheduler", "DPMSolverMultistepScheduler"}) ==
                     "EulerDiscreteScheduler";
  return read_sigma_grid(schedule, record(timesteps, "timesteps"),
                         {.kind = euler ? "euler" : "dpm_solver_multistep"});
}

void check_list(const record& file, const sigma_grid& computed, precision p, report& result) {
  const bool has_times = file.has("timesteps");
  const values times = has_times ? file.numbers("timesteps", computed.values.size()) : values();
  const values sigmas = file.numbers("sigmas", computed.sigmas.size());
  file.refuse_unknown_keys();
  result.compare("sigmas", sigmas, computed.sigmas, of_list(p, computed.rounding));
  if (has_times) result.compare("timesteps", times, computed.values, of_fractional_times(p));
}

/// A table between its steps, in ln σ.
void check_interpolated(const record& file, precision p, report& result) {
  const d::continuous_schedule table = d::continuous(read_schedule(file.object("schedule")));
  const int n = file.integer("n", 1, table.steps());
  const auto sigma_at = [&](double index) { return d::noise_to_signal(table.level(index + 1)); };
  const auto index_of = [&](double sigma) { return table.find(sigma).t - 1; };
  const values probe_sigmas = file.numbers("probe_sigma");
  const values probe_times = file.numbers("probe_t");
  const values t_of_sigma = file.numbers("t_of_sigma", probe_sigmas.size());
  const values quantized = file.numbers("t_of_sigma_quantized", probe_sigmas.size());
  const values sigma_of_t = file.numbers("sigma_of_t", probe_times.size());
  const values sigmas = file.numbers("sigmas", static_cast<std::size_t>(n) + 1);
  file.refuse_unknown_keys();
  for (const double t : probe_times)
    if (!(t >= 0 && t <= table.steps() - 1)) file.fail("probe_t", "expected indices of the table");

  const tolerance allowed = of_list(p, peer_rounding(sigma_at(0), table.steps()));
  const values times = n == 1 ? values{table.steps() - 1.0} : d::detail::linspace(table.steps() - 1, 0, n);
  result.compare("sigmas", sigmas, d::with_final(mapped(times, sigma_at)), allowed);
  result.compare("sigma_of_t", sigma_of_t, mapped(probe_times, sigma_at), allowed);
  result.compare("t_of_sigma", t_of_sigma, mapped(probe_sigmas, index_of), of_fractional_times(p));
  // The nearest σ is the nearest time up to the bend of the table, of which these probes keep clear.
  result.compare("t_of_sigma_quantized", quantized,
                 mapped(probe_sigmas, [&](double sigma) { return std::nearbyint(index_of(sigma)); }),
                 of_fractional_times(p));
}

/// The training table of a smalldiffusion schedule and the list it samples with.
void check_smalldiffusion(const record& file, const std::string& kind, precision p, report& result) {
  const record params = file.object("params");
  const int train_steps = params.integer("N", 1, max_train_steps);
  const int n = file.integer("steps", 1, train_steps);
  json schedule{{"train_steps", train_steps}};
  for (const char* key : {"sigma_min", "sigma_max", "beta_start", "beta_end"})
    if (params.has(key)) schedule[key] = params.number(key);
  params.refuse_unknown_keys();
  const std::vector<int> index = file.integers("train_index", 0, train_steps - 1);
  const values expected = file.numbers("train_sigmas", index.size());
  const values sigmas = file.numbers("sigmas", static_cast<std::size_t>(n) + 1);
  file.refuse_unknown_keys();

  if (kind == "flow") {  // σ is s
    const double first = 1.0 / train_steps;
    result.compare("sigmas", sigmas, d::with_final(d::flow_times(n, {.last = first})),
                   {of_list(p, 0).relative, 1});
    values found;
    for (const int i : index) found.push_back((i + 1) * first);
    return result.compare("train_sigmas", expected, found, {of_list(p, 0).relative, 1});
  }
  const bool log_linear = kind == "loglinear";
  if (kind == "ldm") {
    schedule["beta_start"] = schedule.value("beta_start", 0.00085);
    schedule["beta_end"] = schedule.value("beta_end", 0.012);
  }
  schedule["kind"] = log_linear       ? "log_linear"
                     : kind == "ddpm" ? "linear"
                     : kind == "ldm"  ? "scaled_linear"
                                      : "cosine";
  const auto sampled = [&](int steps) {
    return grid_of(schedule, {{"spacing", "trailing"}, {"steps", steps}}, "gam_mu");
  };
  const sigma_grid computed = sampled(n);
  const tolerance allowed = of_list(p, computed.rounding);
  result.compare("sigmas", sigmas, computed.sigmas, allowed);
  // With T steps the list is the table itself.
  const values table = sampled(train_steps).sigmas;
  values found;
  for (const int i : index) found.push_back(table[static_cast<std::size_t>(train_steps - 1 - i)]);
  result.compare("train_sigmas", expected, found, allowed);
}

void check_log_snr(const record& file, precision p, report& result) {
  const values times = file.numbers("t");
  const record tables = file.object("log_snr");
  file.refuse_unknown_keys();
  const auto compare = [&](const char* name, const auto& schedule) {
    const values expected = tables.numbers(name, times.size());
    result.compare(name, expected, mapped(times, [&](double t) { return schedule.log_snr(t); }),
                   as_logarithm(of_table(p)));
  };
  compare("linear", d::linear_log_snr_schedule{});
  compare("cosine", d::cosine_log_snr_schedule{});
  compare("cosine_bounded", d::shifted_cosine_schedule{});
  compare("cosine_shifted_64_32", d::shifted_cosine_schedule{.clean_size = 32, .noisy_size = 32});
  compare("cosine_interpolated_64_16_32", d::shifted_cosine_schedule{.clean_size = 32, .noisy_size = 16});
  tables.refuse_unknown_keys();
}

}  // namespace

void check_noise_schedule_sigmas(const record& file, report& result) {
  const precision p = read_header(file);
  const std::string kind =
      file.choice("kind", {"vp_sampling", "karras", "exponential", "polyexponential", "vp_continuous",
                           "edm_edm", "edm_vp", "edm_ve", "edm_iddpm", "discrete_log_interpolated",
                           "smalldiffusion_loglinear", "smalldiffusion_ddpm", "smalldiffusion_ldm",
                           "smalldiffusion_flow", "smalldiffusion_cosine", "log_snr"});
  const std::string smalldiffusion = "smalldiffusion_";
  if (kind == "log_snr") return check_log_snr(file, p, result);
  if (kind == "discrete_log_interpolated") return check_interpolated(file, p, result);
  if (kind.starts_with(smalldiffusion))
    return check_smalldiffusion(file, kind.substr(smalldiffusion.size()), p, result);
  if (kind == "vp_sampling") return check_list(file, read_configured(file), p, result);
  if (kind == "edm_iddpm") {
    // Recorded with an ᾱ in single precision: the same list in the sampler files of this kind was not, and
    // agrees to 4.4e-13.
    sigma_grid list = read_plain(file, "iddpm");
    list.rounding *= 0x1p29;
    return check_list(file, list, p, result);
  }
  check_list(file, read_plain(file, kind.starts_with("edm_") ? kind.substr(4) : kind), p, result);
}

void check_training_sigmas(const record& file, report& result) {
  (void)file.choice("kind", {"inverse_cdf"});
  const precision p = read_header(file);
  const values uniform = file.numbers("u");
  const values normal = file.numbers("normal", uniform.size());
  const std::vector<record> maps = file.objects("maps");
  file.refuse_unknown_keys();
  for (const record& map : maps) {
    const std::string name =
        map.choice("distribution", {"log_normal", "log_logistic", "log_uniform", "v_diffusion",
                                    "cosine_interpolated", "split_log_normal"});
    const record params = map.object("params");
    const d::sigma_range range{params.number("min_value", 1e-3), params.number("max_value", 1e3)};
    const values expected = map.numbers("sigma", uniform.size());
    map.refuse_unknown_keys();
    values found;
    if (name == "log_normal") {
      // The peer keeps u off 0 and 1.
      const d::log_normal_sigmas sigmas{params.number("loc"), params.number("scale")};
      found = mapped(uniform, [&](double u) { return sigmas(u * (1 - 2e-7) + 1e-7); });
    } else if (name == "split_log_normal") {
      const d::split_log_normal_sigmas sigmas{params.number("loc"), params.number("scale_1"),
                                              params.number("scale_2")};
      for (std::size_t i = 0; i < uniform.size(); ++i)
        found.push_back(sigmas.of_normal(normal[i], uniform[i]));
    } else if (name == "log_logistic") {
      found = mapped(uniform, d::log_logistic_sigmas{params.number("loc"), params.number("scale"), range});
    } else if (name == "log_uniform") {
      found = mapped(uniform, d::log_uniform_sigmas{range});
    } else if (name == "v_diffusion") {
      found = mapped(uniform, d::v_diffusion_sigmas{params.number("sigma_data"), range});
    } else {
      found = mapped(uniform, d::shifted_cosine_sigmas{params.number("image_d"), params.number("noise_d_low"),
                                                       params.number("noise_d_high"),
                                                       params.number("sigma_data"), range});
    }
    params.refuse_unknown_keys();
    result.compare(name, expected, found, of_table(p));
  }
}

}  // namespace golden
