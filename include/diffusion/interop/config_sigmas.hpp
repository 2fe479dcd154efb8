#pragma once

#include "diffusion/interop/config_parts.hpp"

namespace diffusion::detail {

// Classes in σ: Euler, Heun, LMS, DPM-2.

inline vp_grid read_sigma_grid(config_parts& c, const schedule_choice& table) {
  c.tell_index();
  vp_grid grid{.schedule = table.schedule,
               .between = c.between(table.schedule),
               .kind = vp_grid::family::sigma,
               .spacing = c.read_spacing("linspace"),
               .offset = c.read_offset(),
               .peer = c.peer};
  if (c.peer == compat::diffusers && grid.spacing != time_spacing::leading)  // noise without data
    c.result.start_scale = [](noise_level first) { return first.sigma; };
  return grid;
}

template <class S>
void read_sigma_class(config_parts& c, S sampler, beta_range betas,
                      std::initializer_list<std::string_view> extra = {}) {
  const schedule_choice table = c.read_schedule(betas, extra, "linear", false);
  c.read_prediction(false);
  vp_grid grid = read_sigma_grid(c, table);
  grid.list = c.read_sigma_spacing();
  // diffusers round the times of DPM-2 for this spacing only, and not those within steps.
  const bool is_dpm2 = std::same_as<S, dpm2> || std::same_as<S, dpm2_ancestral>;
  if (is_dpm2 && c.peer == compat::diffusers && grid.list == sigma_spacing::karras)
    grid.whole = whole_times::nearest;
  c.result.path = grid;
  c.result.sampler = sampler;
}

inline void read_dpm_sde(config_parts& c) {
  (void)c.fields.ask("noise_sampler_seed");  // the caller's noise source has its own
  read_sigma_class(c, dpmpp_sde{.peer = c.peer}, latent_betas);
}

inline void read_heun(config_parts& c) {
  read_sigma_class(c, heun{}, latent_betas, {"exp"});
  c.read_clip(false);
}

inline void read_euler_ancestral(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas);
  c.read_prediction(table.zero_snr && c.peer == compat::none);
  c.result.path = read_sigma_grid(c, table);
  c.result.sampler = euler_ancestral{};
}

inline void require_list_for_range(config_parts& c, sigma_spacing list) {
  for (const char* key : {"sigma_min", "sigma_max"})
    if (c.fields.given(key) && list == sigma_spacing::of_times)
      c.fields.refuse(key, "null without a list of sigmas (use_karras_sigmas, …)");
}

inline void read_euler(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas);
  c.read_prediction(table.zero_snr && c.peer == compat::none);
  vp_grid grid = read_sigma_grid(c, table);
  grid.list = c.read_sigma_spacing();
  grid.log_linear = c.fields.choice("interpolation_type", {"linear", "log_linear"}) == "log_linear";
  if (grid.log_linear && grid.list != sigma_spacing::of_times)
    c.fields.refuse("interpolation_type", "linear with a list of sigmas");
  grid.sigma_min = c.fields.optional_positive("sigma_min");
  grid.sigma_max = c.fields.optional_positive("sigma_max");
  require_list_for_range(c, grid.list);
  grid.end = c.read_end();
  c.result.path = grid;
  if (c.fields.choice("timestep_type", {"discrete", "continuous"}) == "continuous") {
    if (c.result.network != prediction::v)
      c.fields.refuse("timestep_type", "discrete where prediction_type is not v_prediction");
    c.result.network_time = [](const path_point& at) { return std::log(noise_to_signal(at.level)) / 4; };
  }
  c.result.sampler = euler{.peer = c.peer, .network = c.result.network};
}
}  // namespace diffusion::detail
