#include <cmath>
#include <limits>

#include "diffusion/samplers/dpm2.hpp"
#include "diffusion/samplers/dpm2_ancestral.hpp"
#include "diffusion/samplers/edm_ablation.hpp"
#include "diffusion/samplers/euler.hpp"
#include "diffusion/samplers/euler_ancestral.hpp"
#include "diffusion/samplers/gam_mu.hpp"
#include "diffusion/samplers/heun.hpp"
#include "diffusion/samplers/lms.hpp"
#include "methods.hpp"
#include "sigma_lists.hpp"

namespace golden {
namespace {

template <diffusion::AnySampler S>
planner plans(S sampler) {
  return [sampler](const diffusion::run_path& path) { return diffusion::make_plan(path, sampler); };
}

diffusion::edm_churn read_churn(const record& options) {
  return {.churn = options.number("s_churn", 0),
          .tmin = options.number("s_tmin", 0),
          .tmax = options.number("s_tmax", std::numeric_limits<double>::infinity()),
          .noise = options.number("s_noise", 1)};
}

/// Churn of a peer whose two-stage methods ask the network after it, if they have any.
diffusion::edm_churn read_early_churn(const record& options) {
  const diffusion::edm_churn churn = read_churn(options);
  if (!options.flag("churn_before_eval", true) && churn.churn > 0)
    throw unsupported("churn after the evaluation, for this kind");
  return churn;
}

planner read_euler(const std::string& kind, const record& options, const record& file,
                   const std::string& prediction) {
  diffusion::euler method{.churn = read_churn(options)};
  const record timesteps = file.object("timesteps");
  if (timesteps.has("interpolation") && timesteps.text("interpolation") == "log_linear" &&
      timesteps.text("sigma_spacing") == "default") {
    // Diffusers shares the churn among the n + 1 σ of its list, of which it steps from n.
    const double n = timesteps.integer("steps", 1, 1'000'000);
    method.churn.churn *= n / (n + 1);
  }
  if (kind == "edm_euler") method.sigma_data = options.number("sigma_data");
  if (options.flag("churn_before_eval")) return plans(method);
  method.peer = diffusion::compat::diffusers;
  if (prediction == "sample")
    method.network = diffusion::prediction::x0;
  else if (prediction == "v")
    method.network = diffusion::prediction::v;
  else if (prediction != "epsilon" && kind == "euler")
    throw unsupported("churn after the evaluation with prediction " + prediction);
  return plans(method);
}

/// β_d and β_min that reach σ_max at t = 1 and σ_min at t = ε_s (Karras et al. 2022, table 1).
void read_vp_time(const record& schedule, diffusion::edm_ablation& method) {
  const double start = schedule.number("epsilon_s");
  const auto [min, max] = edm_range(schedule);
  const double low = std::log1p(min * min);
  const double high = std::log1p(max * max);
  method.beta_d = 2 * (low / start - high) / (start - 1);
  method.beta_min = high - method.beta_d / 2;
}

planner read_edm_ablation(const record& options, const record& file) {
  diffusion::edm_ablation method{.alpha = options.number("alpha"), .churn = read_churn(options)};
  if (options.choice("solver", {"euler", "heun"}) == "euler") method.solver = diffusion::edm_solver::euler;
  const std::string schedule = options.choice("schedule", {"linear", "vp", "ve"});
  if (schedule == "ve") method.schedule = diffusion::edm_schedule::ve;
  if (schedule == "vp") {
    method.schedule = diffusion::edm_schedule::vp;
    read_vp_time(file.object("schedule"), method);
  }
  if (options.choice("scaling", {"none", "vp"}) == "vp") method.scaling = diffusion::edm_scaling::vp;
  options.inform({"discretization"});  // of the path
  return plans(method);
}

/// diffusers' name for Heun's method with churn.
planner read_karras_ve(const record& options) {
  return plans(diffusion::heun{.churn = {.churn = options.number("s_churn"),
                                         .tmin = options.number("s_min"),
                                         .tmax = options.number("s_max"),
                                         .noise = options.number("s_noise")}});
}

}  // namespace

std::optional<planner> read_sigma_method(const std::string& kind, const record& options, const record& file,
                                         const method_context& context) {
  if (kind == "euler" || kind == "edm_euler") return read_euler(kind, options, file, context.prediction);
  if (kind == "euler_ancestral")
    return plans(diffusion::euler_ancestral{options.number("eta"), options.number("s_noise")});
  if (kind == "heun") return plans(diffusion::heun{.churn = read_early_churn(options)});
  if (kind == "dpm2") return plans(diffusion::dpm2{.churn = read_early_churn(options)});
  if (kind == "dpm2_ancestral")
    return plans(diffusion::dpm2_ancestral{options.number("eta"), options.number("s_noise")});
  if (kind == "lms") return plans(diffusion::lms{.order = options.integer("order", 1, 100)});
  if (kind == "edm_ablation") return read_edm_ablation(options, file);
  if (kind == "gam_mu")
    return plans(diffusion::gam_mu{.gam = options.number("gam"), .mu = options.number("mu")});
  if (kind == "karras_ve") return read_karras_ve(options);
  return std::nullopt;
}

}  // namespace golden
