#pragma once

#include "diffusion/interop/config_sigmas.hpp"

namespace diffusion::detail {

// Solvers in λ: DPM-Solver, UniPC, DEIS.

struct solver_options {
  bool spacing = true;        ///< timestep_spacing, steps_offset
  bool end = true;            ///< final_sigmas_type
  bool lambda_min = false;    ///< lambda_min_clipped
  bool lu = false;            ///< use_lu_lambdas
  bool range = false;         ///< sigma_min, sigma_max, shift_terminal
  bool may_rescale = true;    ///< rescale_betas_zero_snr
  bool rounds_cosine = true;  ///< whole times by rounding also for the cosine schedule
  flow_grid::family flow = flow_grid::family::solver;
};

inline void read_flow_sigmas(config_parts& c, bool flow, const vp_grid& grid, const solver_options& has,
                             const schedule_choice& table) {
  flow_grid result{.kind = has.flow,
                   .train_steps = table.schedule.steps(),
                   .shift = c.fields.positive("flow_shift", 1),
                   .dynamic = c.fields.flag("use_dynamic_shifting", false),
                   .takes_tokens = false,
                   .end = grid.end,
                   .peer = c.peer};
  (void)c.fields.choice("time_shift_type", {"exponential"});
  if (has.range && c.fields.ask("shift_terminal"))
    result.terminal = c.fields.number("shift_terminal", 0, 0, 1, true);
  if (!flow) {
    if (result.dynamic) c.fields.refuse("use_dynamic_shifting", "false where use_flow_sigmas is false");
    if (result.shift != 1) c.fields.refuse("flow_shift", "1 where use_flow_sigmas is false");
    if (result.terminal) c.fields.refuse("shift_terminal", "null where use_flow_sigmas is false");
    return;
  }
  if (grid.list != sigma_spacing::of_times)
    c.fields.refuse("use_flow_sigmas", "false with another list of sigmas");
  if (table.zero_snr) c.fields.refuse("rescale_betas_zero_snr", "false with use_flow_sigmas");
  if (std::isfinite(grid.lowest_half_log_snr))
    c.fields.refuse("lambda_min_clipped", "-Infinity with use_flow_sigmas");
  if (result.end == run_end::first_level && has.lambda_min)
    c.fields.refuse("final_sigmas_type", "zero with use_flow_sigmas");
  if (result.end == run_end::first_level && c.peer == compat::diffusers) result.end = run_end::repeat_last;
  c.result.schedule = flow_schedule{double(table.schedule.steps())};
  c.result.path = result;
  if (c.peer == compat::diffusers) {
    c.result.network_time = [](const path_point& at) { return std::floor(at.t + 1e-9); };
    c.result.start_scale = [](noise_level) { return 1.0; };
  }
}

inline void read_solver_grid(config_parts& c, const solver_options& has) {
  const schedule_choice table = c.read_schedule(usual_betas, {}, "linear", has.may_rescale);
  c.read_threshold();
  const bool flow = c.fields.flag("use_flow_sigmas", false);
  c.read_prediction(table.zero_snr && c.peer == compat::none, flow, true);
  using named = std::pair<const char*, sigma_spacing>;
  const sigma_spacing list = has.lu
                                 ? c.read_sigma_spacing({named{"use_lu_lambdas", sigma_spacing::exponential}})
                                 : c.read_sigma_spacing();
  vp_grid grid{.schedule = table.schedule,
               .between = c.between(table.schedule),
               .kind = vp_grid::family::solver,
               .spacing = has.spacing ? c.read_spacing("linspace") : time_spacing::linspace,
               .offset = has.spacing ? c.read_offset() : 0,
               .list = list,
               .end = has.end ? c.read_end() : run_end::first_level,
               .peer = c.peer};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (has.lambda_min)
    grid.lowest_half_log_snr = c.fields.number("lambda_min_clipped", -infinity, -infinity, 1e3);
  if (has.range) {
    grid.sigma_min = c.fields.optional_positive("sigma_min");
    grid.sigma_max = c.fields.optional_positive("sigma_max");
    require_list_for_range(c, list);
  }
  read_flow_sigmas(c, flow, grid, has, table);
  if (flow) return;
  c.tell_index();
  // DEIS and UniPC repeat the end of a list.
  if (c.peer == compat::diffusers && list != sigma_spacing::of_times) {
    const bool repeats = !has.lambda_min;
    if (repeats && grid.end == run_end::first_level) grid.end = run_end::repeat_last;
    const bool lu = has.lu && c.fields.flag("use_lu_lambdas", false);
    const bool rounds =
        (list == sigma_spacing::karras || lu) && (has.rounds_cosine || table.name != "squaredcos_cap_v2");
    grid.whole = rounds ? whole_times::nearest : whole_times::below;
  }
  c.result.path = grid;
}

template <class Solver>
void read_algorithm(config_parts& c, Solver& solver, std::initializer_list<std::string_view> algorithms) {
  solver.order = c.fields.integer("solver_order", 2, 1, 3);
  const std::string algorithm = c.fields.choice("algorithm_type", algorithms, "dpmsolver++");
  solver.form = algorithm.ends_with("++") ? dpm_solver_form::data : dpm_solver_form::noise;
  solver.eta = algorithm.starts_with("sde-") ? 1 : 0;
  solver.type = c.fields.choice("solver_type", {"midpoint", "heun"}) == "heun" ? dpm_solver_type::heun
                                                                               : dpm_solver_type::midpoint;
  solver.peer = c.peer;
  if (solver.form == dpm_solver_form::noise && c.read_end() == run_end::clean)
    c.fields.refuse("final_sigmas_type", text("sigma_min with algorithm_type ", algorithm));
}
inline void refuse_learned_variance(config_parts& c) {
  if (c.fields.ask("variance_type"))
    c.fields.refuse("variance_type", "null: let the predictor return the first half of the network's output");
}

inline void read_dpm_multistep(config_parts& c) {
  dpm_solver_multistep solver;
  read_algorithm(c, solver, {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"});
  solver.lower_order_final = c.fields.flag("lower_order_final", true);
  solver.euler_at_final = c.fields.flag("euler_at_final", false);
  refuse_learned_variance(c);
  read_solver_grid(c, {.lambda_min = true, .lu = true, .rounds_cosine = false});
  c.result.sampler = solver;
}

inline void read_dpm_singlestep(config_parts& c) {
  dpm_solver_singlestep solver;
  read_algorithm(c, solver, {"dpmsolver", "dpmsolver++", "sde-dpmsolver++"});
  solver.lower_order_final = c.fields.flag("lower_order_final", false);
  refuse_learned_variance(c);
  read_solver_grid(c, {.spacing = false, .lambda_min = true, .may_rescale = false});
  c.result.sampler = solver;
}

inline void read_unipc(config_parts& c) {
  unipc solver{
      .order = c.fields.integer("solver_order", 2, 1, 8),
      .b = c.fields.choice("solver_type", {"bh1", "bh2"}, "bh2") == "bh1" ? unipc_b::bh1 : unipc_b::bh2,
      .basis = c.fields.flag("predict_x0", true) ? prediction::x0 : prediction::epsilon,
      .lower_order_final = c.fields.flag("lower_order_final", true)};
  for (const double k : c.fields.numbers("disable_corrector", 0, max_configured_steps, 1000)) {
    if (k != std::floor(k)) c.fields.refuse("disable_corrector", "a list of whole numbers");
    solver.uncorrected_steps.push_back(static_cast<std::size_t>(k));
  }
  if (c.fields.ask("solver_p")) c.fields.refuse("solver_p", "null");
  read_solver_grid(c, {.range = true, .flow = flow_grid::family::unipc});
  c.result.sampler = solver;
}

inline void read_deis(config_parts& c) {
  deis solver{.order = c.fields.integer("solver_order", 2, 1, 3),
              .lower_order_final = c.fields.flag("lower_order_final", true)};
  (void)c.fields.choice("algorithm_type", {"deis"});
  (void)c.fields.choice("solver_type", {"logrho"});
  read_solver_grid(c, {.end = false, .may_rescale = false});
  c.result.sampler = solver;
}

}  // namespace diffusion::detail
