#pragma once

#include <limits>
#include <utility>

#include "diffusion/interop/configured_scheduler.hpp"
#include "diffusion/interop/json_fields.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/exponential.hpp"
#include "diffusion/schedules/laplace.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/sigmoid.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"

namespace diffusion {

namespace detail {

/// Reads one configuration. Every class has a function that asks for the keys of the class, with the defaults
/// of the class.
class scheduler_config_reader {
 public:
  scheduler_config_reader(nlohmann::json object, compat peer) : fields_(std::move(object)), peer_(peer) {
    result_.peer = peer;
  }

  [[nodiscard]] configured_scheduler read() {
    if (peer_ != compat::none && peer_ != compat::diffusers)
      invalid("peer", static_cast<int>(peer_), "compat::none, compat::diffusers");
    if (!fields_.given("_class_name")) fields_.refuse("_class_name", "the name of a scheduler class");
    const std::string name = fields_.choice("_class_name", class_names());
    result_.class_name = name;
    read_class(name);
    account_for_rest();
    return std::move(result_);
  }

 private:
  static std::vector<std::string_view> class_names() {
    return {"DDPMScheduler",
            "DDIMScheduler",
            "DDIMInverseScheduler",
            "PNDMScheduler",
            "LMSDiscreteScheduler",
            "EulerDiscreteScheduler",
            "EulerAncestralDiscreteScheduler",
            "HeunDiscreteScheduler",
            "KDPM2DiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "DPMSolverSDEScheduler",
            "DPMSolverMultistepScheduler",
            "DPMSolverSinglestepScheduler",
            "UniPCMultistepScheduler",
            "DEISMultistepScheduler",
            "LCMScheduler",
            "TCDScheduler",
            "EDMEulerScheduler",
            "EDMDPMSolverMultistepScheduler",
            "FlowMatchEulerDiscreteScheduler",
            "FlowMatchHeunDiscreteScheduler"};
  }

  void read_class(const std::string& name) {
    const auto is = [&](std::string_view other) { return name == other; };
    if (is("DDPMScheduler")) return read_ddpm();
    if (is("DDIMScheduler")) return read_ddim();
    if (is("DDIMInverseScheduler")) return read_ddim_inverse();
    if (is("PNDMScheduler")) return read_pndm();
    if (is("LMSDiscreteScheduler")) return read_sigma_class(lms{}, usual_betas);
    if (is("EulerDiscreteScheduler")) return read_euler();
    if (is("EulerAncestralDiscreteScheduler")) return read_euler_ancestral();
    if (is("HeunDiscreteScheduler")) return read_heun();
    if (is("KDPM2DiscreteScheduler")) return read_sigma_class(dpm2{}, latent_betas);
    if (is("KDPM2AncestralDiscreteScheduler")) return read_sigma_class(dpm2_ancestral{}, latent_betas);
    if (is("DPMSolverSDEScheduler")) {
      (void)fields_.ask("noise_sampler_seed");  // the caller's noise source has its own
      return read_sigma_class(dpmpp_sde{.peer = peer_}, latent_betas);
    }
    if (is("DPMSolverMultistepScheduler")) return read_dpm_multistep();
    if (is("DPMSolverSinglestepScheduler")) return read_dpm_singlestep();
    if (is("UniPCMultistepScheduler")) return read_unipc();
    if (is("DEISMultistepScheduler")) return read_deis();
    if (is("LCMScheduler") || is("TCDScheduler")) return read_distilled(is("TCDScheduler"));
    if (is("EDMEulerScheduler") || is("EDMDPMSolverMultistepScheduler"))
      return read_edm(is("EDMEulerScheduler"));
    read_flow_matching(is("FlowMatchHeunDiscreteScheduler"));
  }

  // --- The parts that classes share ---

  static constexpr beta_range usual_betas{1e-4, 0.02};
  static constexpr beta_range latent_betas{0.00085, 0.012};

  struct schedule_choice {
    discrete_schedule<> schedule;
    std::string name;
    bool zero_snr = false;
  };

  schedule_choice read_schedule(beta_range range, std::initializer_list<std::string_view> extra = {},
                                std::string_view fallback = "linear", bool may_rescale = true) {
    const int steps = fields_.integer("num_train_timesteps", 1000, 1, max_configured_steps);
    range.start = fields_.number("beta_start", range.start, 0, 1, true);
    range.end = fields_.number("beta_end", range.end, 0, 1, true);
    std::vector<std::string_view> names{"linear", "scaled_linear", "squaredcos_cap_v2"};
    names.insert(names.end(), extra.begin(), extra.end());
    const std::string name = fields_.choice("beta_schedule", names, fallback);
    const std::vector<double> betas =
        fields_.numbers("trained_betas", 0, 1, static_cast<std::size_t>(max_configured_steps));
    if (!betas.empty() && betas.size() != static_cast<std::size_t>(steps))
      invalid("length of trained_betas", betas.size(), text(steps, ", which is num_train_timesteps"));
    const auto make = [&] {
      if (!betas.empty()) return discrete_schedule<>::from_betas(betas);
      if (name == "scaled_linear") return scaled_linear_schedule(steps, range);
      if (name == "squaredcos_cap_v2") return cosine_schedule(steps);
      if (name == "exp") return exponential_schedule(steps);
      if (name == "laplace") return laplace_schedule(steps, {.peer = peer_});
      if (name == "sigmoid") return sigmoid_schedule(steps, range);
      return linear_schedule(steps, range);
    };
    const bool zero_snr = may_rescale && fields_.flag("rescale_betas_zero_snr", false);
    discrete_schedule<> schedule = zero_snr ? rescale_zero_terminal_snr(make()) : make();
    result_.schedule = schedule;
    return {std::move(schedule), name, zero_snr};
  }

  /// ᾱ_T = 0 is replaced where a table of σ needs a last entry, by what diffusers have there.
  static continuous_schedule between(const discrete_schedule<>& schedule, compat peer) {
    return continuous(schedule, peer == compat::diffusers ? interpolation::sigma : interpolation::log_sigma,
                      0x1p-24);
  }

  void read_prediction(bool zero_snr, bool flow_sigmas = false, bool knows_flow = false) {
    const std::string name =
        knows_flow
            ? fields_.choice("prediction_type", {"epsilon", "sample", "v_prediction", "flow_prediction"})
            : fields_.choice("prediction_type", {"epsilon", "sample", "v_prediction"});
    if (name == "flow_prediction" && !flow_sigmas)
      fields_.refuse("prediction_type", "epsilon, sample, v_prediction where use_flow_sigmas is false");
    if (name == "epsilon" && zero_snr)
      fields_.refuse("prediction_type",
                     "sample, v_prediction with rescale_betas_zero_snr: without signal, noise does not "
                     "determine the data");
    result_.network = name == "sample"            ? prediction::x0
                      : name == "v_prediction"    ? prediction::v
                      : name == "flow_prediction" ? prediction::velocity
                                                  : prediction::epsilon;
  }

  void read_clip(bool fallback) {
    const bool clip = fields_.flag("clip_sample", fallback);
    const double limit = fields_.positive("clip_sample_range", 1);
    if (clip) result_.x0 = x0_clip{limit};
  }
  /// Thresholding replaces clipping. It ends within ±1, so that a wider clip range contradicts nothing.
  void read_threshold() {
    const bool threshold = fields_.flag("thresholding", false);
    const double ratio = fields_.number("dynamic_thresholding_ratio", 0.995, 0, 1);
    const double max = fields_.number("sample_max_value", 1, 1, std::numeric_limits<double>::max());
    if (!threshold) return;
    if (const auto* clip = std::get_if<x0_clip>(&result_.x0); clip && clip->limit < 1)
      fields_.refuse("thresholding", text("false with clip_sample to ", clip->limit,
                                          ": the data would be scaled to 1, then cut"));
    result_.x0 = dynamic_threshold{ratio, max};
  }

  time_spacing read_spacing(std::string_view fallback, bool has_linspace = true) {
    const std::string name =
        has_linspace ? fields_.choice("timestep_spacing", {"leading", "linspace", "trailing"}, fallback)
                     : fields_.choice("timestep_spacing", {"leading", "trailing"}, fallback);
    return name == "leading"    ? time_spacing::leading
           : name == "linspace" ? time_spacing::linspace
                                : time_spacing::trailing;
  }
  int read_offset() { return fields_.integer("steps_offset", 0, 0, max_configured_steps); }

  /// Of the keys, each a flag, at most one is true.
  sigma_spacing read_sigma_spacing(std::initializer_list<std::pair<const char*, sigma_spacing>> more = {}) {
    std::vector<std::pair<const char*, sigma_spacing>> keys{
        {"use_karras_sigmas", sigma_spacing::karras},
        {"use_exponential_sigmas", sigma_spacing::exponential},
        {"use_beta_sigmas", sigma_spacing::beta}};
    keys.insert(keys.end(), more.begin(), more.end());
    sigma_spacing result = sigma_spacing::of_times;
    const char* chosen = nullptr;
    for (const auto& [key, spacing] : keys) {
      if (!fields_.flag(key, false)) continue;
      if (chosen) fields_.refuse(key, text("false with ", chosen));
      chosen = key;
      result = spacing;
    }
    return result;
  }

  run_end read_end() {
    return fields_.choice("final_sigmas_type", {"zero", "sigma_min"}) == "zero" ? run_end::clean
                                                                                : run_end::first_level;
  }

  void tell_index() {
    result_.network_time = [](const path_point& at) { return at.t - 1; };
  }
  // --- Whole times ---

  vp_grid read_index_grid(const schedule_choice& table, bool has_linspace = true) {
    tell_index();
    return {.schedule = table.schedule,
            .between = between(table.schedule, peer_),
            .spacing = read_spacing("leading", has_linspace),
            .offset = read_offset(),
            .peer = peer_};
  }
  run_end read_alpha_end(bool fallback) {
    return fields_.flag("set_alpha_to_one", fallback) ? run_end::clean : run_end::first_level;
  }
  /// The level of a step of diffusers that leads to time t, which may be below the first.
  static path_point last_or(const vp_grid& grid, double t) {
    if (t >= 1) return grid.at(t);
    return grid.end == run_end::clean ? path_point{0, {1, 0}} : grid.at(1);
  }

  void read_ddpm() {
    const schedule_choice table = read_schedule(usual_betas, {"sigmoid", "laplace"});
    read_prediction(table.zero_snr);
    read_clip(true);
    read_threshold();
    result_.path = read_index_grid(table);
    const std::string variance = fields_.choice(
        "variance_type",
        {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"});
    if (variance == "fixed_large_log" && peer_ == compat::diffusers)
      fields_.refuse("variance_type", "another to reproduce diffusers, where this one gives NaN");
    if (variance == "learned")
      result_.sampler = ddpm_learned{learned_variance::value};
    else if (variance == "learned_range")
      result_.sampler = ddpm_learned{learned_variance::log_range};
    else
      result_.sampler =
          ddpm{variance.starts_with("fixed_large") ? fixed_variance::transition : fixed_variance::posterior};
  }

  void read_ddim() {
    const schedule_choice table = read_schedule(usual_betas);
    read_prediction(table.zero_snr);
    read_clip(true);
    read_threshold();
    vp_grid grid = read_index_grid(table);
    grid.end = read_alpha_end(true);
    result_.path = grid;
    result_.sampler = ddim{.rederive_epsilon = peer_ == compat::none};
    if (peer_ == compat::diffusers)  // moves by T/n, whatever the next time
      result_.moves = [grid](int n) {
        const std::vector<double> times = grid.times(n);
        const int stride = grid.schedule.steps() / n;
        std::vector<path_step> moves;
        for (const double t : times) moves.push_back({grid.at(t), last_or(grid, t - stride), grid.at(t)});
        return moves;
      };
  }

  void read_ddim_inverse() {
    const schedule_choice table = read_schedule(usual_betas);
    read_prediction(table.zero_snr);
    read_clip(true);
    vp_grid grid = read_index_grid(table, false);
    grid.end = read_alpha_end(true);
    if (peer_ == compat::diffusers && result_.network != prediction::epsilon)
      fields_.refuse("prediction_type",
                     "epsilon to reproduce diffusers, which reads others at another level than it asks");
    result_.sampler = ddim{.rederive_epsilon = false};
    // From each time to the next noisier one; the network is asked where the step leads.
    const bool strides = peer_ == compat::diffusers;
    result_.moves = [grid, strides](int n) {
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
    result_.path = [moves = result_.moves](int n, const run_request&) {
      std::vector<path_point> points;
      for (const path_step& move : moves(n)) points.push_back(move.from);
      points.push_back(moves(n).back().to);
      return path_through(points);
    };
  }

  void read_pndm() {
    const schedule_choice table = read_schedule(usual_betas, {}, "linear", false);
    const std::string kind = fields_.choice("prediction_type", {"epsilon", "v_prediction"});
    result_.network = kind == "epsilon" ? prediction::epsilon : prediction::v;
    vp_grid grid = read_index_grid(table);
    grid.end = read_alpha_end(false);
    const bool skip = fields_.flag("skip_prk_steps", false);
    pndm method{skip ? pndm_start::improved_euler : pndm_start::runge_kutta_on_grid};
    if (peer_ == compat::diffusers) {
      method.peer = compat::diffusers;
      method.network = result_.network;
      result_.moves = [grid, skip](int n) { return pndm_moves(grid, n, skip); };
    }
    result_.sampler = method;
    result_.path = [grid, skip](int n, const run_request&) {
      return skip ? grid(n) : halved_start(grid(n), grid);
    };
  }

  /// The path with a time in the middle of each of its first three steps, as Runge-Kutta needs.
  static run_path halved_start(const run_path& whole, const vp_grid& grid) {
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
  static std::vector<path_step> pndm_moves(const vp_grid& grid, int n, bool skip) {
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

  void read_distilled(bool is_tcd) {
    const schedule_choice table = read_schedule(latent_betas, {}, "scaled_linear");
    read_prediction(table.zero_snr);
    read_clip(false);
    read_threshold();
    if (is_tcd && peer_ == compat::diffusers && !std::holds_alternative<x0_keep>(result_.x0))
      fields_.refuse(fields_.flag("thresholding", false) ? "thresholding" : "clip_sample",
                     "false to reproduce diffusers' TCD, which does not apply it");
    tell_index();
    const int original = fields_.integer("original_inference_steps", 50, 1, table.schedule.steps());
    result_.path = distilled_run_grid{table.schedule, original, is_tcd && peer_ == compat::diffusers ? 1 : 0};
    const double scaling = fields_.positive("timestep_scaling", 10);
    if (is_tcd)
      result_.sampler = tcd<discrete_schedule<>>{table.schedule};
    else
      result_.sampler = lcm{.timestep_scaling = scaling};
  }

  // --- Euler and relatives ---

  vp_grid read_sigma_grid(const schedule_choice& table) {
    tell_index();
    vp_grid grid{.schedule = table.schedule,
                 .between = between(table.schedule, peer_),
                 .kind = vp_grid::family::sigma,
                 .spacing = read_spacing("linspace"),
                 .offset = read_offset(),
                 .peer = peer_};
    if (peer_ == compat::diffusers && grid.spacing != time_spacing::leading)  // noise without data
      result_.start_scale = [](noise_level first) { return first.sigma; };
    return grid;
  }

  template <class S>
  void read_sigma_class(S sampler, beta_range betas, std::initializer_list<std::string_view> extra = {}) {
    const schedule_choice table = read_schedule(betas, extra, "linear", false);
    read_prediction(false);
    vp_grid grid = read_sigma_grid(table);
    grid.list = read_sigma_spacing();
    // diffusers round the times of DPM-2 for this spacing only, and not those within steps.
    const bool is_dpm2 = std::same_as<S, dpm2> || std::same_as<S, dpm2_ancestral>;
    if (is_dpm2 && peer_ == compat::diffusers && grid.list == sigma_spacing::karras)
      grid.whole = whole_times::nearest;
    result_.path = grid;
    result_.sampler = sampler;
  }

  void read_heun() {
    read_sigma_class(heun{}, latent_betas, {"exp"});
    read_clip(false);
  }

  void read_euler_ancestral() {
    const schedule_choice table = read_schedule(usual_betas);
    read_prediction(table.zero_snr && peer_ == compat::none);
    result_.path = read_sigma_grid(table);
    result_.sampler = euler_ancestral{};
  }

  void read_euler() {
    const schedule_choice table = read_schedule(usual_betas);
    read_prediction(table.zero_snr && peer_ == compat::none);
    vp_grid grid = read_sigma_grid(table);
    grid.list = read_sigma_spacing();
    grid.log_linear = fields_.choice("interpolation_type", {"linear", "log_linear"}) == "log_linear";
    if (grid.log_linear && grid.list != sigma_spacing::of_times)
      fields_.refuse("interpolation_type", "linear with a list of sigmas");
    grid.sigma_min = fields_.optional_positive("sigma_min");
    grid.sigma_max = fields_.optional_positive("sigma_max");
    require_list_for_range(grid.list);
    grid.end = read_end();
    result_.path = grid;
    if (fields_.choice("timestep_type", {"discrete", "continuous"}) == "continuous") {
      if (result_.network != prediction::v)
        fields_.refuse("timestep_type", "discrete where prediction_type is not v_prediction");
      result_.network_time = [](const path_point& at) { return std::log(noise_to_signal(at.level)) / 4; };
    }
    result_.sampler = euler{.peer = peer_, .network = result_.network};
  }
  void require_list_for_range(sigma_spacing list) {
    for (const char* key : {"sigma_min", "sigma_max"})
      if (fields_.given(key) && list == sigma_spacing::of_times)
        fields_.refuse(key, "null without a list of sigmas (use_karras_sigmas, …)");
  }

  // --- Solvers in λ ---

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

  void read_solver_grid(const solver_options& has) {
    const schedule_choice table = read_schedule(usual_betas, {}, "linear", has.may_rescale);
    read_threshold();
    const bool flow = fields_.flag("use_flow_sigmas", false);
    read_prediction(table.zero_snr && peer_ == compat::none, flow, true);
    using named = std::pair<const char*, sigma_spacing>;
    const sigma_spacing list = has.lu
                                   ? read_sigma_spacing({named{"use_lu_lambdas", sigma_spacing::exponential}})
                                   : read_sigma_spacing();
    vp_grid grid{.schedule = table.schedule,
                 .between = between(table.schedule, peer_),
                 .kind = vp_grid::family::solver,
                 .spacing = has.spacing ? read_spacing("linspace") : time_spacing::linspace,
                 .offset = has.spacing ? read_offset() : 0,
                 .list = list,
                 .end = has.end ? read_end() : run_end::first_level,
                 .peer = peer_};
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (has.lambda_min)
      grid.lowest_half_log_snr = fields_.number("lambda_min_clipped", -infinity, -infinity, 1e3);
    if (has.range) {
      grid.sigma_min = fields_.optional_positive("sigma_min");
      grid.sigma_max = fields_.optional_positive("sigma_max");
      require_list_for_range(list);
    }
    read_flow_sigmas(flow, grid, has, table);
    if (flow) return;
    tell_index();
    // DEIS and UniPC repeat the end of a list.
    if (peer_ == compat::diffusers && list != sigma_spacing::of_times) {
      const bool repeats = !has.lambda_min;
      if (repeats && grid.end == run_end::first_level) grid.end = run_end::repeat_last;
      const bool lu = has.lu && fields_.flag("use_lu_lambdas", false);
      const bool rounds =
          (list == sigma_spacing::karras || lu) && (has.rounds_cosine || table.name != "squaredcos_cap_v2");
      grid.whole = rounds ? whole_times::nearest : whole_times::below;
    }
    result_.path = grid;
  }

  void read_flow_sigmas(bool flow, const vp_grid& grid, const solver_options& has,
                        const schedule_choice& table) {
    flow_grid result{.kind = has.flow,
                     .train_steps = table.schedule.steps(),
                     .shift = fields_.positive("flow_shift", 1),
                     .dynamic = fields_.flag("use_dynamic_shifting", false),
                     .takes_tokens = false,
                     .end = grid.end,
                     .peer = peer_};
    (void)fields_.choice("time_shift_type", {"exponential"});
    if (has.range && fields_.ask("shift_terminal"))
      result.terminal = fields_.number("shift_terminal", 0, 0, 1, true);
    if (!flow) {
      if (result.dynamic) fields_.refuse("use_dynamic_shifting", "false where use_flow_sigmas is false");
      if (result.shift != 1) fields_.refuse("flow_shift", "1 where use_flow_sigmas is false");
      if (result.terminal) fields_.refuse("shift_terminal", "null where use_flow_sigmas is false");
      return;
    }
    if (grid.list != sigma_spacing::of_times)
      fields_.refuse("use_flow_sigmas", "false with another list of sigmas");
    if (table.zero_snr) fields_.refuse("rescale_betas_zero_snr", "false with use_flow_sigmas");
    if (std::isfinite(grid.lowest_half_log_snr))
      fields_.refuse("lambda_min_clipped", "-Infinity with use_flow_sigmas");
    if (result.end == run_end::first_level && has.lambda_min)
      fields_.refuse("final_sigmas_type", "zero with use_flow_sigmas");
    if (result.end == run_end::first_level && peer_ == compat::diffusers) result.end = run_end::repeat_last;
    result_.schedule = flow_schedule{double(table.schedule.steps())};
    result_.path = result;
    if (peer_ == compat::diffusers) {
      result_.network_time = [](const path_point& at) { return std::floor(at.t + 1e-9); };
      result_.start_scale = [](noise_level) { return 1.0; };
    }
  }

  template <class Solver>
  void read_algorithm(Solver& solver, std::initializer_list<std::string_view> algorithms) {
    solver.order = fields_.integer("solver_order", 2, 1, 3);
    const std::string algorithm = fields_.choice("algorithm_type", algorithms, "dpmsolver++");
    solver.form = algorithm.ends_with("++") ? dpm_solver_form::data : dpm_solver_form::noise;
    solver.eta = algorithm.starts_with("sde-") ? 1 : 0;
    solver.type = fields_.choice("solver_type", {"midpoint", "heun"}) == "heun" ? dpm_solver_type::heun
                                                                                : dpm_solver_type::midpoint;
    solver.peer = peer_;
    if (solver.form == dpm_solver_form::noise && read_end() == run_end::clean)
      fields_.refuse("final_sigmas_type", text("sigma_min with algorithm_type ", algorithm));
  }
  void refuse_learned_variance() {
    if (fields_.ask("variance_type"))
      fields_.refuse("variance_type",
                     "null: let the predictor return the first half of the network's output");
  }

  void read_dpm_multistep() {
    dpm_solver_multistep solver;
    read_algorithm(solver, {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"});
    solver.lower_order_final = fields_.flag("lower_order_final", true);
    solver.euler_at_final = fields_.flag("euler_at_final", false);
    refuse_learned_variance();
    read_solver_grid({.lambda_min = true, .lu = true, .rounds_cosine = false});
    result_.sampler = solver;
  }

  void read_dpm_singlestep() {
    dpm_solver_singlestep solver;
    read_algorithm(solver, {"dpmsolver", "dpmsolver++", "sde-dpmsolver++"});
    solver.lower_order_final = fields_.flag("lower_order_final", false);
    refuse_learned_variance();
    read_solver_grid({.spacing = false, .lambda_min = true, .may_rescale = false});
    result_.sampler = solver;
  }

  void read_unipc() {
    unipc solver{
        .order = fields_.integer("solver_order", 2, 1, 8),
        .b = fields_.choice("solver_type", {"bh1", "bh2"}, "bh2") == "bh1" ? unipc_b::bh1 : unipc_b::bh2,
        .basis = fields_.flag("predict_x0", true) ? prediction::x0 : prediction::epsilon,
        .lower_order_final = fields_.flag("lower_order_final", true)};
    for (const double k : fields_.numbers("disable_corrector", 0, max_configured_steps, 1000)) {
      if (k != std::floor(k)) fields_.refuse("disable_corrector", "a list of whole numbers");
      solver.uncorrected_steps.push_back(static_cast<std::size_t>(k));
    }
    if (fields_.ask("solver_p")) fields_.refuse("solver_p", "null");
    read_solver_grid({.range = true, .flow = flow_grid::family::unipc});
    result_.sampler = solver;
  }

  void read_deis() {
    deis solver{.order = fields_.integer("solver_order", 2, 1, 3),
                .lower_order_final = fields_.flag("lower_order_final", true)};
    (void)fields_.choice("algorithm_type", {"deis"});
    (void)fields_.choice("solver_type", {"logrho"});
    read_solver_grid({.end = false, .may_rescale = false});
    result_.sampler = solver;
  }

  // --- EDM and rectified flows ---

  void read_edm(bool is_euler) {
    const double sigma_min = fields_.positive("sigma_min", 0.002);
    const double sigma_max = fields_.positive("sigma_max", 80);
    if (!(sigma_min < sigma_max)) fields_.refuse("sigma_min", text("below sigma_max = ", sigma_max));
    const double sigma_data = fields_.positive("sigma_data", 0.5);
    const bool karras = fields_.choice("sigma_schedule", {"karras", "exponential"}) == "karras";
    (void)fields_.integer("num_train_timesteps", 1000, 1,
                          max_configured_steps);  // of the list when none is set
    result_.path = edm_grid{.list = karras ? sigma_spacing::karras : sigma_spacing::exponential,
                            .range = {sigma_min, sigma_max},
                            .rho = fields_.positive("rho", 7),
                            .sigma_data = sigma_data,
                            .end = read_end(),
                            .peer = peer_};
    result_.schedule = log_sigma_schedule{sigma_data};
    result_.data_scale = sigma_data;
    // EDM's network returns -v of the data in units of sigma_data; diffusers call that epsilon.
    result_.network = prediction::v;
    result_.negated = fields_.choice("prediction_type", {"epsilon", "v_prediction"}) == "epsilon";
    if (peer_ == compat::diffusers)
      result_.start_scale = [=](noise_level) {
        return std::hypot(sigma_max, 1) / std::hypot(sigma_max, sigma_data);
      };
    if (is_euler) {
      result_.sampler = euler{.peer = peer_, .sigma_data = 1};
      return;
    }
    read_threshold();
    if (!std::holds_alternative<x0_keep>(result_.x0) && sigma_data != 1)
      fields_.refuse("thresholding", "false where sigma_data is not 1");
    dpm_solver_multistep solver;
    read_algorithm(solver, {"dpmsolver++", "sde-dpmsolver++"});
    solver.lower_order_final = fields_.flag("lower_order_final", true);
    solver.euler_at_final = fields_.flag("euler_at_final", false);
    result_.sampler = solver;
  }

  void read_flow_matching(bool is_heun) {
    flow_grid grid{.train_steps = fields_.integer("num_train_timesteps", 1000, 1, max_configured_steps),
                   .shift = fields_.positive("shift", 1),
                   .peer = peer_};
    result_.schedule = flow_schedule{double(grid.train_steps)};
    result_.network = prediction::velocity;
    result_.sampler = ddim{};
    if (is_heun) {
      result_.sampler = flow_heun{};
    } else {
      grid.dynamic = fields_.flag("use_dynamic_shifting", false);
      grid.shift_is_mu = fields_.choice("time_shift_type", {"exponential", "linear"}) == "linear";
      const auto number = [&](const char* key, double fallback) {
        return fields_.ask(key) ? fields_.number(key, fallback, -100, 100) : fallback;
      };
      grid.tokens.base_mu = number("base_shift", 0.5);
      grid.tokens.max_mu = number("max_shift", 1.15);
      grid.tokens.base_tokens = fields_.integer("base_image_seq_len", 256, 1, 1'000'000'000);
      grid.tokens.max_tokens = fields_.integer("max_image_seq_len", 4096, 1, 1'000'000'000);
      if (!(grid.tokens.base_tokens < grid.tokens.max_tokens))
        fields_.refuse("base_image_seq_len", "below max_image_seq_len");
      if (fields_.ask("shift_terminal"))
        grid.terminal = fields_.number("shift_terminal", 0, 0, 0.999999, true);
      grid.list = read_sigma_spacing();
      if (fields_.flag("stochastic_sampling", false)) result_.sampler = consistency{};
      if (fields_.flag("invert_sigmas", false)) {  // data at time T, and x_0 - ε
        result_.negated = true;
        result_.network_time = [T = double(grid.train_steps)](const path_point& at) { return T - at.t; };
      }
    }
    result_.path = grid;
  }

  // --- Keys of other classes ---

  /// Saved configurations carry keys of the classes that they were made from. Such a key is all right where
  /// its value asks for nothing; a request that this class does not fulfil is refused.
  void account_for_rest() {
    for (const std::string& key : fields_.left_over()) {
      const auto is_one_of = [&](std::initializer_list<std::string_view> keys) {
        return std::find(keys.begin(), keys.end(), key) != keys.end();
      };
      if (is_one_of({"clip_sample", "thresholding", "rescale_betas_zero_snr", "use_karras_sigmas",
                     "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas",
                     "use_dynamic_shifting", "invert_sigmas", "stochastic_sampling"})) {
        if (fields_.flag(key, false)) fields_.refuse(key, text("false: not of ", result_.class_name));
      } else if (is_one_of({"sigma_min", "sigma_max", "shift_terminal", "trained_betas", "solver_p"})) {
        if (fields_.ask(key)) fields_.refuse(key, text("null: not of ", result_.class_name));
      } else if (key == "interpolation_type") {
        (void)fields_.choice(key, {"linear"});
      } else if (key == "timestep_type") {
        (void)fields_.choice(key, {"discrete"});
      } else if (key == "prediction_type") {
        (void)fields_.choice(key, {"flow_prediction"});
      } else if (key == "lambda_min_clipped") {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        (void)fields_.number(key, -infinity, -infinity, -infinity);
      } else if (key == "variance_type") {
        if (fields_.ask(key)) (void)fields_.choice(key, {"fixed_small", "fixed_small_log", "fixed_large"});
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
        fields_.refuse(key, text("no such key in ", result_.class_name));
      }
      result_.unused_keys.push_back(key);
    }
  }

  json_fields fields_;
  compat peer_;
  configured_scheduler result_;
};

}  // namespace detail

/// Reads a scheduler_config.json as it is published with models. Every key is honoured or refused by
/// std::invalid_argument with its value and what is accepted; keys that begin with an underscore, but for
/// _class_name, say nothing. Runs follow the rules of this library; compat::diffusers reproduces diffusers,
/// also where that departs from the mathematics (docs/scheduler_names.md lists the differences).
[[nodiscard]] inline configured_scheduler read_scheduler_config(std::string_view text,
                                                                compat peer = compat::none) {
  return detail::scheduler_config_reader(detail::parse_object(text), peer).read();
}
/// The same for an object that is parsed already.
template <std::same_as<nlohmann::json> Json>
[[nodiscard]] configured_scheduler read_scheduler_config(const Json& object, compat peer = compat::none) {
  if (!object.is_object()) detail::invalid("configuration", object.type_name(), "an object");
  return detail::scheduler_config_reader(object, peer).read();
}

}  // namespace diffusion
