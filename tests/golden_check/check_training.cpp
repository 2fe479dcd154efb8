// Families loss_weight, preconditioning and timestep_sampler: what training takes from the library.

#include <limits>

#include "batch.hpp"
#include "diffusion/loss_weight.hpp"
#include "diffusion/preconditioning.hpp"
#include "diffusion/schedules/training_sigmas.hpp"
#include "diffusion/training_times.hpp"
#include "families.hpp"
#include "grids.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using values = std::vector<double>;

void check_min_snr(const record& file, precision p, report& result) {
  const auto schedule = read_schedule(file.object("schedule"));
  const std::string prediction = file.choice("prediction", {"epsilon", "sample", "v"});
  const double gamma = file.number("gamma", std::numeric_limits<double>::infinity());
  const std::vector<int> indices = file.integers("index", 0, schedule.steps() - 1);
  const values weights = file.numbers("weight", indices.size());
  file.refuse_unknown_keys();
  if (!(gamma > 0)) file.fail("gamma", "expected a positive number, or null for no limit");

  const auto kind = prediction == "epsilon"  ? d::prediction::epsilon
                    : prediction == "sample" ? d::prediction::x0
                                             : d::prediction::v;
  values found;
  for (const int index : indices) {
    const d::noise_level level = schedule.level(time_of_index(index));
    found.push_back(d::output_weight(kind, level, d::min_snr_weights(level, gamma)));
  }
  result.compare("weight", weights, found, of_table(p));
}

/// Weights of the squared error of a denoiser, and the draws that gave their σ.
void check_edm_family(const record& file, const std::string& kind, precision p, report& result) {
  file.object("params").refuse_unknown_keys();  // the peer ran with its defaults, which are ours
  (void)file.choice("draw", {kind == "edm" ? "normal" : "uniform"});
  const values sigmas = file.numbers("sigma");
  const values draws = file.numbers("draws", sigmas.size());
  const values weights = file.numbers("weight", sigmas.size());
  file.refuse_unknown_keys();
  if (kind == "vp") {  // uniform times from 1 to 1e-5
    const d::vp_sigma_options process;
    result.compare(
        "time", mapped(draws, [](double u) { return 1 + u * (1e-5 - 1); }),
        mapped(sigmas,
               [&](double sigma) { return d::detail::vp_time(sigma, process.beta_d, process.beta_min); }),
        of_fractional_times(p));
  } else {
    result.compare("sigma", sigmas,
                   mapped(draws,
                          [&](double draw) {
                            return kind == "edm" ? d::log_normal_sigmas{}.of_normal(draw)
                                                 : d::log_uniform_sigmas{{.min = 0.02, .max = 100}}(draw);
                          }),
                   of_sigmas(p));
  }
  result.compare("weight", weights,
                 mapped(sigmas,
                        [&](double sigma) {
                          const d::noise_level level{1, sigma};
                          return (kind == "edm" ? d::edm_weights(level)
                                                : d::simple_weights(d::prediction::epsilon, level))
                              .x0;
                        }),
                 of_table(p));
}

/// diffusers' weights for flows: sigma_sqrt of the error of x̂0, where it is that of no weights for velocity;
/// cosmap, as in the paper, of the error of velocity.
void check_sd3(const record& file, precision p, report& result) {
  const values sigmas = file.numbers("sigma");
  const record weights = file.object("weight");
  const values sigma_sqrt = weights.numbers("sigma_sqrt", sigmas.size());
  const values cosmap = weights.numbers("cosmap", sigmas.size());
  const values none = weights.numbers("none", sigmas.size());
  weights.refuse_unknown_keys();
  file.refuse_unknown_keys();
  const auto compare = [&](const char* what, const values& expected, const auto& weight) {
    result.compare(what, expected,
                   mapped(sigmas,
                          [&](double s) {
                            return weight(d::noise_level{1 - s, s});
                          }),
                   of_table(p));
  };
  const auto simple = [](d::noise_level level) { return d::simple_weights(d::prediction::velocity, level); };
  compare("sigma_sqrt", sigma_sqrt, [&](d::noise_level level) { return simple(level).x0; });
  compare("cosmap", cosmap, [&](d::noise_level level) {
    return d::output_weight(d::prediction::velocity, level, d::cosmap_weights(level));
  });
  compare("none", none, [&](d::noise_level level) {
    return d::output_weight(d::prediction::velocity, level, simple(level));
  });
}

}  // namespace

void check_loss_weight(const record& file, report& result) {
  const std::string kind = file.choice("kind", {"min_snr", "edm", "vp", "ve", "sd3"});
  const precision p = read_header(file);
  if (kind == "min_snr") return check_min_snr(file, p, result);
  if (kind == "sd3") return check_sd3(file, p, result);
  check_edm_family(file, kind, p, result);
}

void check_preconditioning(const record& file, report& result) {
  const std::string kind = file.choice("kind", {"edm", "vp", "ve", "iddpm"});
  const precision p = read_header(file);
  const record params = file.object("params");
  const double sigma_data = kind == "edm" ? params.number("sigma_data") : 1;
  params.refuse_unknown_keys();
  const values sigmas = file.numbers("sigma");
  const auto compare = [&](const auto& coefficients) {
    const auto column = [&](const char* key, double d::preconditioning::*member) {
      const values expected = file.numbers(key, sigmas.size());
      result.compare(key, expected, mapped(sigmas, [&](double sigma) { return coefficients(sigma).*member; }),
                     of_table(p));
    };
    column("c_skip", &d::preconditioning::c_skip);
    column("c_out", &d::preconditioning::c_out);
    column("c_in", &d::preconditioning::c_in);
    column("c_noise", &d::preconditioning::c_noise);
  };
  if (kind == "edm") {
    compare(d::edm_preconditioning{sigma_data});
  } else if (kind == "vp") {
    compare(d::vp_preconditioning{});
  } else if (kind == "ve") {
    compare(d::ve_preconditioning{});
  } else {
    const d::iddpm_preconditioning coefficients;
    const values table = d::iddpm_sigma_table();
    const std::vector<int> index = file.integers("u_index", 0, static_cast<int>(table.size()) - 1);
    const values u = file.numbers("u", index.size());
    const values requested = file.numbers("requested_sigma", sigmas.size());
    values found;
    for (const int j : index) found.push_back(table[static_cast<std::size_t>(j)]);
    result.compare("u", u, found, of_table(p));
    result.compare("sigma", sigmas,
                   mapped(requested, [&](double sigma) { return coefficients.round(sigma); }), of_table(p));
    compare(coefficients);
  }
  file.refuse_unknown_keys();
}

void check_timestep_sampler(const record& file, report& result) {
  (void)file.choice("kind", {"loss_second_moment"});
  const precision p = read_header(file);
  const int steps = file.integer("num_timesteps", 1, max_train_steps);
  const int kept = file.integer("history_per_term", 1, 1000);
  const double share = file.number("uniform_prob");
  const std::vector<record> updates = file.objects("updates");
  file.refuse_unknown_keys();
  if (static_cast<std::int64_t>(steps) * kept > max_train_steps)
    file.fail("num_timesteps", "the history is too large");

  d::loss_aware_times times(steps, static_cast<std::size_t>(kept), share);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const record& update = updates[i];
    times.update(std::vector{time_of_index(update.integer("t", 0, steps - 1))},
                 std::vector{update.number("loss")});
    if (update.has("weights")) {
      // The peer's sum to 1 or are all 1.
      values weights = update.numbers("weights", static_cast<std::size_t>(steps));
      double sum = 0;
      for (const double w : weights) sum += w;
      values found;
      for (int t = 1; t <= steps; ++t) found.push_back(sum * times.probability(t));
      result.compare("updates[" + std::to_string(i) + "].weights", weights, found, of_table(p));
    }
    update.refuse_unknown_keys();
  }
}

}  // namespace golden
