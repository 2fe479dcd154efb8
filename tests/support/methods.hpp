// Every schedule, grid and sampler of the library under a name, for tests of properties that all share.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "diffusion/diffusion.hpp"

namespace support {

struct named_schedule {
  std::string name;
  diffusion::discrete_schedule<> schedule;
};

/// Every discrete schedule with its default options (and both readings where two exist), T ≥ 1.
template <class Use>
void for_each_schedule_factory(Use use) {
  using namespace diffusion;
  use("linear", [](auto real, int T) { return linear_schedule<decltype(real)>(T); });
  use("quadratic", [](auto real, int T) { return quadratic_schedule<decltype(real)>(T); });
  use("scaled linear", [](auto real, int T) { return scaled_linear_schedule<decltype(real)>(T); });
  use("constant", [](auto real, int T) { return constant_schedule<decltype(real)>(T); });
  use("cosine", [](auto real, int T) { return cosine_schedule<decltype(real)>(T); });
  use("sigmoid", [](auto real, int T) { return sigmoid_schedule<decltype(real)>(T); });
  use("sigmoid alpha_bar", [](auto real, int T) { return sigmoid_alpha_bar_schedule<decltype(real)>(T); });
  use("exponential", [](auto real, int T) { return exponential_schedule<decltype(real)>(T); });
  use("jsd", [](auto real, int T) { return jsd_schedule<decltype(real)>(T); });
  use("laplace", [](auto real, int T) { return laplace_schedule<decltype(real)>(T); });
  use("laplace of diffusers",
      [](auto real, int T) { return laplace_schedule<decltype(real)>(T, {.peer = compat::diffusers}); });
  use("warmup 10 %", [](auto real, int T) { return warmup_schedule<decltype(real)>(T, 0.1); });
  use("warmup 50 %", [](auto real, int T) { return warmup_schedule<decltype(real)>(T, 0.5); });
}

/// Every discrete schedule over T steps, from T = 2 on also with zero terminal SNR.
inline std::vector<named_schedule> all_schedules(int train_steps) {
  std::vector<named_schedule> all;
  for_each_schedule_factory([&](const char* name, auto make) {
    all.push_back({name, make(double{}, train_steps)});
    if (train_steps >= 2 && all.back().schedule.alpha_bar(train_steps) > 0)
      all.push_back({std::string(name) + ", zero terminal SNR",
                     diffusion::rescale_zero_terminal_snr(all.back().schedule)});
  });
  return all;
}

struct named_grid {
  std::string name;
  diffusion::time_grid grid;
};

/// Every way to choose n of T steps.
inline std::vector<named_grid> all_grids(int train_steps, int n) {
  using namespace diffusion;
  const int last_offset = train_steps - 1 - (n - 1) * (train_steps / n);
  return {{"leading", leading_grid(train_steps, n)},
          {"leading, last offset", leading_grid(train_steps, n, last_offset)},
          {"linspace", linspace_grid(train_steps, n)},
          {"trailing", trailing_grid(train_steps, n)},
          {"respaced", respaced_grid(train_steps, std::to_string(n))}};
}

struct named_sampler {
  std::string name;
  std::function<diffusion::step_coefficients(diffusion::noise_level, diffusion::noise_level)> step;
};

/// Every sampler that keeps the marginals, over its options. (Not here: ddpm with transition variance and
/// ddpm_learned, which do not.)
inline std::vector<named_sampler> all_samplers() {
  using diffusion::ddim;
  return {{"ddpm", diffusion::ddpm{}},
          {"ddim", ddim{}},
          {"ddim, eta 0.3", ddim{.eta = 0.3}},
          {"ddim, eta 1", ddim{.eta = 1}},
          {"ddim, own epsilon", ddim{.rederive_epsilon = false}},
          {"ddim, own epsilon, eta 0.3", ddim{.eta = 0.3, .rederive_epsilon = false}},
          {"ddim, own epsilon, eta 1", ddim{.eta = 1, .rederive_epsilon = false}}};
}

/// A sampler with its options, as what it makes of a path.
struct named_method {
  std::string name;
  std::function<diffusion::run_plan(const diffusion::run_path&)> plan;
  bool keeps_marginals =
      true;  ///< with a network that knows x_0; Langevin dynamics and biased variances do not
  bool deterministic = true;
};

/// Every sampler of the library over its options. The list that a new sampler joins: it is then tested for
/// finite coefficients and marginals on every kind of path, for resuming, allocations and threads.
inline std::vector<named_method> all_methods() {
  using namespace diffusion;
  std::vector<named_method> all;
  const auto add = [&](const char* name, auto sampler, bool deterministic = true,
                       bool keeps_marginals = true) {
    all.push_back({name, [sampler](const run_path& path) { return make_plan(path, sampler); },
                   keeps_marginals, deterministic});
  };
  constexpr bool sde = false, inexact = false;
  using form = dpm_solver_form;
  using type = dpm_solver_type;
  add("ddpm", ddpm{}, sde);
  add("ddpm, transition variance", ddpm{fixed_variance::transition}, sde, inexact);
  add("ddim", ddim{});
  add("ddim, eta 0.3", ddim{.eta = 0.3}, sde);
  add("ddim, own epsilon, eta 1", ddim{.eta = 1, .rederive_epsilon = false}, sde);
  add("euler", euler{});
  add("euler, churn", euler{.churn = {.churn = 4}}, sde);
  add("euler ancestral", euler_ancestral{}, sde);
  add("heun", heun{});
  add("heun, churn", heun{.churn = {.churn = 4}}, sde);
  add("dpm2", dpm2{});
  add("dpm2, churn", dpm2{.churn = {.churn = 4}}, sde);
  add("dpm2 ancestral", dpm2_ancestral{}, sde);
  for (const int order : {1, 2, 3, 4, 7}) add("lms", lms{.order = order});
  add("gam-mu", gam_mu{});
  add("gam-mu, mu 0.5", gam_mu{.gam = 1, .mu = 0.5}, sde);
  add("gam-mu, gam 1.5, mu 0.5", gam_mu{.gam = 1.5, .mu = 0.5}, sde, inexact);  // ε of steps with other noise
  add("edm ablation", edm_ablation{});
  add("edm ablation, euler, churn", edm_ablation{.solver = edm_solver::euler, .churn = {.churn = 4}}, sde);
  for (const int order : {1, 2, 3})
    for (const form f : {form::data, form::noise})
      for (const type t : {type::midpoint, type::heun}) {
        add("dpm-solver multistep", dpm_solver_multistep{.order = order, .form = f, .type = t});
        add("dpm-solver singlestep", dpm_solver_singlestep{.order = order, .form = f, .type = t});
        // ε of earlier steps is not that of the present state once fresh noise was added.
        const bool exact = f == form::data;
        add("sde-dpm-solver multistep", dpm_solver_multistep{.order = order, .form = f, .type = t, .eta = 1},
            sde, exact);
        add("sde-dpm-solver singlestep",
            dpm_solver_singlestep{.order = order, .form = f, .type = t, .eta = 1}, sde, exact);
      }
  add("dpm++ 2m", dpmpp_2m());
  add("dpm++ 2m sde", dpmpp_2m_sde(), sde);
  add("dpm++ 3m sde", dpmpp_3m_sde(), sde);
  add("dpm++ 2s ancestral", dpmpp_2s_ancestral{}, sde);
  add("dpm++ sde", dpmpp_sde{}, sde);
  for (const int order : {1, 2, 3})
    for (const unipc_b b : {unipc_b::bh1, unipc_b::bh2})
      for (const prediction basis : {prediction::x0, prediction::epsilon})
        add("unipc", unipc{.order = order, .b = b, .basis = basis});
  add("unip", unipc{.order = 3, .corrector = false});
  add("sa-solver", sa_solver{}, sde);
  add("sa-solver, tau 0", sa_solver{.predictor_order = 3, .corrector_order = 3, .tau = constant_tau(0)});
  add("sa-solver, epsilon", sa_solver{.tau = constant_tau(0.5), .basis = prediction::epsilon}, sde, inexact);
  for (const int order : {1, 2, 3, 4}) add("deis", deis{.order = order});
  add("pndm", pndm{});
  add("pndm, runge-kutta", pndm{.start = pndm_start::runge_kutta});
  add("ipndm", ipndm{});
  add("lcm", lcm{.time_offset = 0}, sde, inexact);
  add("consistency", consistency{}, sde);
  add("flow euler ancestral", flow_euler_ancestral{}, sde);
  add("flow heun", flow_heun{});
  add("reverse diffusion", reverse_diffusion{}, sde, inexact);
  add("langevin corrected", langevin_corrected<>{}, sde, inexact);
  add("annealed langevin", annealed_langevin{.steps = 2}, sde, inexact);
  add("repaint", repaint<ddpm>{.jump_length = 2, .jump_n_sample = 2}, sde);
  return all;
}

/// Levels of variance preserving, variance exploding and flow processes, from almost clean to almost noise.
inline std::vector<diffusion::noise_level> typical_levels() {
  std::vector<diffusion::noise_level> levels;
  for (const double log_snr : {-20.0, -6.0, -1.0, 0.0, 2.0, 9.0, 20.0})
    levels.push_back(diffusion::vp_level_from_log_snr(log_snr));
  for (const double sigma : {0.002, 0.5, 80.0}) levels.push_back({1, sigma});
  for (const double s : {0.001, 0.25, 0.999}) levels.push_back({1 - s, s});
  return levels;
}

}  // namespace support
