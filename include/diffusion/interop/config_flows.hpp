#pragma once

#include "diffusion/interop/config_solvers.hpp"

namespace diffusion::detail {

// EDM networks and rectified flows.

inline void read_edm(config_parts& c, bool is_euler) {
  const double sigma_min = c.fields.positive("sigma_min", 0.002);
  const double sigma_max = c.fields.positive("sigma_max", 80);
  if (!(sigma_min < sigma_max)) c.fields.refuse("sigma_min", text("below sigma_max = ", sigma_max));
  const double sigma_data = c.fields.positive("sigma_data", 0.5);
  const bool karras = c.fields.choice("sigma_schedule", {"karras", "exponential"}) == "karras";
  (void)c.fields.integer("num_train_timesteps", 1000, 1,
                         max_configured_steps);  // of the list when none is set
  c.result.path = edm_grid{.list = karras ? sigma_spacing::karras : sigma_spacing::exponential,
                           .range = {sigma_min, sigma_max},
                           .rho = c.fields.positive("rho", 7),
                           .sigma_data = sigma_data,
                           .end = c.read_end(),
                           .peer = c.peer};
  c.result.schedule = log_sigma_schedule{sigma_data};
  c.result.data_scale = sigma_data;
  // EDM's network returns -v of the data in units of sigma_data; diffusers call that epsilon.
  c.result.network = prediction::v;
  c.result.negated = c.fields.choice("prediction_type", {"epsilon", "v_prediction"}) == "epsilon";
  if (c.peer == compat::diffusers)
    c.result.start_scale = [=](noise_level) {
      return std::hypot(sigma_max, 1) / std::hypot(sigma_max, sigma_data);
    };
  if (is_euler) {
    c.result.sampler = euler{.peer = c.peer, .sigma_data = 1};
    return;
  }
  c.read_threshold();
  if (!std::holds_alternative<x0_keep>(c.result.x0) && sigma_data != 1)
    c.fields.refuse("thresholding", "false where sigma_data is not 1");
  dpm_solver_multistep solver;
  read_algorithm(c, solver, {"dpmsolver++", "sde-dpmsolver++"});
  solver.lower_order_final = c.fields.flag("lower_order_final", true);
  solver.euler_at_final = c.fields.flag("euler_at_final", false);
  c.result.sampler = solver;
}

inline void read_flow_matching(config_parts& c, bool is_heun) {
  flow_grid grid{.train_steps = c.fields.integer("num_train_timesteps", 1000, 1, max_configured_steps),
                 .shift = c.fields.positive("shift", 1),
                 .peer = c.peer};
  c.result.schedule = flow_schedule{double(grid.train_steps)};
  c.result.network = prediction::velocity;
  c.result.sampler = ddim{};
  if (is_heun) {
    c.result.sampler = flow_heun{};
  } else {
    grid.dynamic = c.fields.flag("use_dynamic_shifting", false);
    grid.shift_is_mu = c.fields.choice("time_shift_type", {"exponential", "linear"}) == "linear";
    const auto number = [&](const char* key, double fallback) {
      return c.fields.ask(key) ? c.fields.number(key, fallback, -100, 100) : fallback;
    };
    grid.tokens.base_mu = number("base_shift", 0.5);
    grid.tokens.max_mu = number("max_shift", 1.15);
    grid.tokens.base_tokens = c.fields.integer("base_image_seq_len", 256, 1, 1'000'000'000);
    grid.tokens.max_tokens = c.fields.integer("max_image_seq_len", 4096, 1, 1'000'000'000);
    if (!(grid.tokens.base_tokens < grid.tokens.max_tokens))
      c.fields.refuse("base_image_seq_len", "below max_image_seq_len");
    if (c.fields.ask("shift_terminal"))
      grid.terminal = c.fields.number("shift_terminal", 0, 0, 0.999999, true);
    grid.list = c.read_sigma_spacing();
    if (c.fields.flag("stochastic_sampling", false)) c.result.sampler = consistency{};
    if (c.fields.flag("invert_sigmas", false)) {  // data at time T, and x_0 - ε
      c.result.negated = true;
      c.result.network_time = [T = double(grid.train_steps)](const path_point& at) { return T - at.t; };
    }
  }
  c.result.path = grid;
}

}  // namespace diffusion::detail
