#pragma once

#include "diffusion/interop/config_parts.hpp"

namespace diffusion::detail {

// Classes over whole times: DDPM, DDIM, PNDM, LCM, TCD.

inline vp_grid read_index_grid(config_parts& c, const schedule_choice& table, bool has_linspace = true) {
  c.tell_index();
  return {.schedule = table.schedule,
          .between = c.between(table.schedule),
          .spacing = c.read_spacing("leading", has_linspace),
          .offset = c.read_offset(),
          .peer = c.peer};
}
inline run_end read_alpha_end(config_parts& c, bool fallback) {
  return c.fields.flag("set_alpha_to_one", fallback) ? run_end::clean : run_end::first_level;
}
/// The level of a step of diffusers that leads to time t, which may be below the first.
inline path_point last_or(const vp_grid& grid, double t) {
  if (t >= 1) return grid.at(t);
  return grid.end == run_end::clean ? path_point{0, {1, 0}} : grid.at(1);
}

inline void read_ddpm(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas, {"sigmoid", "laplace"});
  c.read_prediction(table.zero_snr);
  c.read_clip(true);
  c.read_threshold();
  c.result.path = read_index_grid(c, table);
  const std::string variance = c.fields.choice(
      "variance_type",
      {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"});
  if (variance == "fixed_large_log" && c.peer == compat::diffusers)
    c.fields.refuse("variance_type", "another to reproduce diffusers, where this one gives NaN");
  if (variance == "learned")
    c.result.sampler = ddpm_learned{learned_variance::value};
  else if (variance == "learned_range")
    c.result.sampler = ddpm_learned{learned_variance::log_range};
  else
    c.result.sampler =
        ddpm{variance.starts_with("fixed_large") ? fixed_variance::transition : fixed_variance::posterior};
}

inline void read_ddim(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas);
  c.read_prediction(table.zero_snr);
  c.read_clip(true);
  c.read_threshold();
  vp_grid grid = read_index_grid(c, table);
  grid.end = read_alpha_end(c, true);
  c.result.path = grid;
  c.result.sampler = ddim{.rederive_epsilon = c.peer == compat::none};
  if (c.peer == compat::diffusers)  // moves by T/n, whatever the next time
    c.result.moves = [grid](int n) {
      const std::vector<double> times = grid.times(n);
      const int stride = grid.schedule.steps() / n;
      std::vector<path_step> moves;
      for (const double t : times) moves.push_back({grid.at(t), last_or(grid, t - stride), grid.at(t)});
      return moves;
    };
}

inline void read_ddim_inverse(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas);
  c.read_prediction(table.zero_snr);
  c.read_clip(true);
  vp_grid grid = read_index_grid(c, table, false);
  grid.end = read_alpha_end(c, true);
  if (c.peer == compat::diffusers && c.result.network != prediction::epsilon)
    c.fields.refuse("prediction_type",
                    "epsilon to reproduce diffusers, which reads others at another level than it asks");
  c.result.sampler = ddim{.rederive_epsilon = false};
  // From each time to the next noisier one; the network is asked where the step leads.
  const bool strides = c.peer == compat::diffusers;
  c.result.moves = [grid, strides](int n) {
    std::vector<double> times = grid.times(n);
    std::reverse(times.begin(), times.end());
    const int stride = grid.schedule.steps() / n;
    std::vector<path_step> moves;
    for (std::size_t k = 0; k < times.size(); ++k) {
      const double from = strides ? times[k] - stride : k == 0 ? 0 : times[k - 1];
      moves.push_back({last_or(grid, from), grid.at(times[k]), grid.at(times[k])});
    }
    return moves;
  };
  c.result.path = [moves = c.result.moves](int n, const run_request&) {
    std::vector<path_point> points;
    for (const path_step& move : moves(n)) points.push_back(move.from);
    points.push_back(moves(n).back().to);
    return path_through(points);
  };
}

/// The path with a time in the middle of each of its first three steps, as Runge-Kutta needs.
inline run_path halved_start(const run_path& whole, const vp_grid& grid) {
  std::vector<path_point> points;
  for (std::size_t k = 0; k < whole.size(); ++k) {
    points.push_back(whole.point(k));
    const int from = static_cast<int>(whole.point(k).t);
    const int to = static_cast<int>(whole.point(k + 1).t);
    if (k >= 3 || whole.point(k + 1).level.sigma == 0 || from == to) continue;
    if (from - to < 2)
      invalid("steps", whole.size(), "so few that the first three can be halved, or with skip_prk_steps");
    points.push_back(grid.at((from + to) / 2));
  }
  points.push_back(whole.point(whole.size()));
  return path_through(points);
}

/// diffusers move by T/n, or by half of it at the start, whatever the next time.
inline std::vector<path_step> pndm_moves(const vp_grid& grid, int n, bool skip) {
  const std::vector<double> base = grid.times(n);
  const int stride = grid.schedule.steps() / n;
  std::vector<path_step> moves;
  const auto move = [&](double from, double to, double eval) {
    moves.push_back({last_or(grid, from), last_or(grid, to), last_or(grid, eval)});
  };
  if (skip) {
    if (n < 2) invalid("steps", n, "at least 2 to reproduce diffusers");
    move(base[0], base[0] - stride, base[0]);
    move(base[1] + stride, base[1], base[1]);
    for (std::size_t k = 1; k < base.size(); ++k) move(base[k], base[k] - stride, base[k]);
    return moves;
  }
  if (n < 4) invalid("steps", n, "at least 4 to reproduce diffusers");
  const double half = stride / 2;
  for (std::size_t k = 0; k < 3; ++k) {
    const double start = base[k];
    const double middle = base[k + 1] + half;
    move(start, start - half, start);
    move(start, middle, middle);
    move(start, middle - half, middle);
    move(start, base[k + 1], base[k + 1]);
  }
  for (std::size_t k = 3; k < base.size(); ++k) move(base[k], base[k] - stride, base[k]);
  return moves;
}

inline void read_pndm(config_parts& c) {
  const schedule_choice table = c.read_schedule(usual_betas, {}, "linear", false);
  const std::string kind = c.fields.choice("prediction_type", {"epsilon", "v_prediction"});
  c.result.network = kind == "epsilon" ? prediction::epsilon : prediction::v;
  vp_grid grid = read_index_grid(c, table);
  grid.end = read_alpha_end(c, false);
  const bool skip = c.fields.flag("skip_prk_steps", false);
  pndm method{skip ? pndm_start::improved_euler : pndm_start::runge_kutta_on_grid};
  if (c.peer == compat::diffusers) {
    method.peer = compat::diffusers;
    method.network = c.result.network;
    c.result.moves = [grid, skip](int n) { return pndm_moves(grid, n, skip); };
  }
  c.result.sampler = method;
  c.result.path = [grid, skip](int n, const run_request&) {
    return skip ? grid(n) : halved_start(grid(n), grid);
  };
}

inline void read_distilled(config_parts& c, bool is_tcd) {
  const schedule_choice table = c.read_schedule(latent_betas, {}, "scaled_linear");
  c.read_prediction(table.zero_snr);
  c.read_clip(false);
  c.read_threshold();
  if (is_tcd && c.peer == compat::diffusers && !std::holds_alternative<x0_keep>(c.result.x0))
    c.fields.refuse(c.fields.flag("thresholding", false) ? "thresholding" : "clip_sample",
                    "false to reproduce diffusers' TCD, which does not apply it");
  c.tell_index();
  const int original = c.fields.integer("original_inference_steps", 50, 1, table.schedule.steps());
  c.result.path = distilled_run_grid{table.schedule, original, is_tcd && c.peer == compat::diffusers ? 1 : 0};
  const double scaling = c.fields.positive("timestep_scaling", 10);
  if (is_tcd)
    c.result.sampler = tcd<discrete_schedule<>>{table.schedule};
  else
    c.result.sampler = lcm{.timestep_scaling = scaling};
}

}  // namespace diffusion::detail
