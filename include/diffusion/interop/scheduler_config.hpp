#pragma once

#include <array>

#include "diffusion/interop/config_flows.hpp"
#include "diffusion/interop/config_times.hpp"

namespace diffusion {

namespace detail {

struct scheduler_class {
  std::string_view name;
  void (*read)(config_parts&);
};
inline constexpr std::array<scheduler_class, 21> scheduler_classes{{
    {"DDPMScheduler", [](config_parts& c) { read_ddpm(c); }},
    {"DDIMScheduler", [](config_parts& c) { read_ddim(c); }},
    {"DDIMInverseScheduler", [](config_parts& c) { read_ddim_inverse(c); }},
    {"PNDMScheduler", [](config_parts& c) { read_pndm(c); }},
    {"LMSDiscreteScheduler", [](config_parts& c) { read_sigma_class(c, lms{}, usual_betas); }},
    {"EulerDiscreteScheduler", [](config_parts& c) { read_euler(c); }},
    {"EulerAncestralDiscreteScheduler", [](config_parts& c) { read_euler_ancestral(c); }},
    {"HeunDiscreteScheduler", [](config_parts& c) { read_heun(c); }},
    {"KDPM2DiscreteScheduler", [](config_parts& c) { read_sigma_class(c, dpm2{}, latent_betas); }},
    {"KDPM2AncestralDiscreteScheduler",
     [](config_parts& c) { read_sigma_class(c, dpm2_ancestral{}, latent_betas); }},
    {"DPMSolverSDEScheduler", [](config_parts& c) { read_dpm_sde(c); }},
    {"DPMSolverMultistepScheduler", [](config_parts& c) { read_dpm_multistep(c); }},
    {"DPMSolverSinglestepScheduler", [](config_parts& c) { read_dpm_singlestep(c); }},
    {"UniPCMultistepScheduler", [](config_parts& c) { read_unipc(c); }},
    {"DEISMultistepScheduler", [](config_parts& c) { read_deis(c); }},
    {"LCMScheduler", [](config_parts& c) { read_distilled(c, false); }},
    {"TCDScheduler", [](config_parts& c) { read_distilled(c, true); }},
    {"EDMEulerScheduler", [](config_parts& c) { read_edm(c, true); }},
    {"EDMDPMSolverMultistepScheduler", [](config_parts& c) { read_edm(c, false); }},
    {"FlowMatchEulerDiscreteScheduler", [](config_parts& c) { read_flow_matching(c, false); }},
    {"FlowMatchHeunDiscreteScheduler", [](config_parts& c) { read_flow_matching(c, true); }},
}};

/// Saved configurations carry keys of the classes that they were made from. Such a key is all right where
/// its value asks for nothing; a request that this class does not fulfil is refused.
inline void account_for_rest(config_parts& c) {
  for (const std::string& key : c.fields.left_over()) {
    const auto is_one_of = [&](std::initializer_list<std::string_view> keys) {
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    if (is_one_of({"clip_sample", "thresholding", "rescale_betas_zero_snr", "use_karras_sigmas",
                   "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas",
                   "use_dynamic_shifting", "invert_sigmas", "stochastic_sampling"})) {
      if (c.fields.flag(key, false)) c.fields.refuse(key, text("false: not of ", c.result.class_name));
    } else if (is_one_of({"sigma_min", "sigma_max", "shift_terminal", "trained_betas", "solver_p"})) {
      if (c.fields.ask(key)) c.fields.refuse(key, text("null: not of ", c.result.class_name));
    } else if (key == "interpolation_type") {
      (void)c.fields.choice(key, {"linear"});
    } else if (key == "timestep_type") {
      (void)c.fields.choice(key, {"discrete"});
    } else if (key == "prediction_type") {
      (void)c.fields.choice(key, {"flow_prediction"});
    } else if (key == "lambda_min_clipped") {
      constexpr double infinity = std::numeric_limits<double>::infinity();
      (void)c.fields.number(key, -infinity, -infinity, -infinity);
    } else if (key == "variance_type") {
      if (c.fields.ask(key)) (void)c.fields.choice(key, {"fixed_small", "fixed_small_log", "fixed_large"});
    } else if (!is_one_of({"beta_start",
                           "beta_end",
                           "beta_schedule",
                           "num_train_timesteps",
                           "timestep_spacing",
                           "steps_offset",
                           "set_alpha_to_one",
                           "skip_prk_steps",
                           "clip_sample_range",
                           "dynamic_thresholding_ratio",
                           "sample_max_value",
                           "solver_order",
                           "algorithm_type",
                           "solver_type",
                           "lower_order_final",
                           "euler_at_final",
                           "final_sigmas_type",
                           "predict_x0",
                           "disable_corrector",
                           "original_inference_steps",
                           "timestep_scaling",
                           "flow_shift",
                           "shift",
                           "time_shift_type",
                           "base_shift",
                           "max_shift",
                           "base_image_seq_len",
                           "max_image_seq_len",
                           "sigma_data",
                           "sigma_schedule",
                           "rho",
                           "noise_sampler_seed"})) {
      c.fields.refuse(key, text("no such key in ", c.result.class_name));
    }
    c.result.unused_keys.push_back(key);
  }
}

inline configured_scheduler read_config(nlohmann::json object, compat peer) {
  if (peer != compat::none && peer != compat::diffusers)
    invalid("peer", static_cast<int>(peer), "compat::none, compat::diffusers");
  config_parts c{json_fields(std::move(object)), peer};
  if (!c.fields.given("_class_name")) c.fields.refuse("_class_name", "the name of a scheduler class");
  std::vector<std::string_view> names;
  for (const scheduler_class& known : scheduler_classes) names.push_back(known.name);
  c.result.peer = peer;
  c.result.class_name = c.fields.choice("_class_name", names);
  for (const scheduler_class& known : scheduler_classes)
    if (known.name == c.result.class_name) known.read(c);
  account_for_rest(c);
  return std::move(c.result);
}

}  // namespace detail

/// Reads a scheduler_config.json as it is published with models. Every key is honoured or refused by
/// std::invalid_argument with its value and what is accepted; keys that begin with an underscore, but for
/// _class_name, say nothing. Runs follow the rules of this library; compat::diffusers reproduces diffusers,
/// also where that departs from the mathematics (docs/scheduler_names.md lists the differences).
[[nodiscard]] inline configured_scheduler read_scheduler_config(std::string_view text,
                                                                compat peer = compat::none) {
  return detail::read_config(detail::parse_object(text), peer);
}
/// The same for an object that is parsed already.
template <std::same_as<nlohmann::json> Json>
[[nodiscard]] configured_scheduler read_scheduler_config(const Json& object, compat peer = compat::none) {
  if (!object.is_object()) detail::invalid("configuration", object.type_name(), "an object");
  return detail::read_config(object, peer);
}

}  // namespace diffusion
