// The samplers that are compared, by family.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "diffusion/diffusion.hpp"

/// All runs are from here to here in σ/α.
inline constexpr diffusion::sigma_range range{.min = 0.002, .max = 80};

/// A run over n steps.
using planner = std::function<diffusion::run_plan(int n)>;

struct compared {
  std::string family, name;
  planner plan;
};

/// The process of vp_euler_maruyama at its times: β(t) linear from 0.1 to 20.
struct vp_sde_schedule {
  using time_type = double;
  diffusion::noise_level level(double t) const {
    return diffusion::vp_level_from_log_snr(-std::log(std::expm1(t * (0.1 + 19.9 * t / 2))));
  }
  diffusion::time_point<double> find(double noise_to_signal) const {
    const double exponent = std::log1p(noise_to_signal * noise_to_signal);
    const double t = (std::sqrt(0.1 * 0.1 + 2 * 19.9 * exponent) - 0.1) / 19.9;
    return {t, level(t)};
  }
};

/// A sampler over the σ of Karras et al. 2022, in the process that it is for. Where that makes no difference,
/// the variance exploding one.
template <class S, class Schedule = diffusion::sigma_schedule>
planner over_karras(const S& sampler, const Schedule& schedule = {}) {
  return [=](int n) {
    const auto sigmas = diffusion::karras_sigmas(n + 1, range);
    return diffusion::make_plan(diffusion::run_path(schedule, sigmas), sampler);
  };
}

inline planner over_even_half_log_snr(double eta) {
  return [=](int evaluations) {
    const diffusion::dpm_fast sampler{.evaluations = evaluations, .eta = eta};
    const auto sigmas = diffusion::exponential_sigmas(sampler.steps() + 1, range);
    return diffusion::make_plan(diffusion::run_path(diffusion::sigma_schedule{}, sigmas), sampler);
  };
}

inline std::vector<compared> deterministic_samplers() {
  using namespace diffusion;
  const char* const one = "one evaluation, no memory";
  const char* const several = "several evaluations per step";
  const char* const adams = "multistep in σ/α";
  const char* const exponential = "multistep in λ";
  return {
      {one, "ddim, euler", over_karras(ddim{})},
      {several, "heun", over_karras(heun{})},
      {several, "edm_ablation, vp",
       over_karras(edm_ablation{.schedule = edm_schedule::vp, .scaling = edm_scaling::vp})},
      {several, "flow_heun", over_karras(flow_heun{}, flow_schedule{})},
      {several, "dpm2", over_karras(dpm2{})},
      {several, "dpmpp_sde η=0", over_karras(dpmpp_sde{.eta = 0})},
      {several, "dpm_solver_singlestep 2", over_karras(dpm_solver_singlestep{})},
      {several, "dpm_solver_singlestep 3", over_karras(dpm_solver_singlestep{.order = 3})},
      {several, "dpm_fast", over_even_half_log_snr(0)},
      {adams, "gam_mu", over_karras(gam_mu{})},
      {adams, "pndm", over_karras(pndm{})},
      {adams, "pndm, Runge-Kutta", over_karras(pndm{.start = pndm_start::runge_kutta})},
      {adams, "ipndm", over_karras(ipndm{})},
      {adams, "lms", over_karras(lms{})},
      {exponential, "dpm_solver_multistep 2", over_karras(dpm_solver_multistep{})},
      {exponential, "dpm_solver_multistep 3", over_karras(dpm_solver_multistep{.order = 3})},
      {exponential, "deis 3", over_karras(deis{})},
      {exponential, "unipc 2", over_karras(unipc{})},
      {exponential, "unipc 3", over_karras(unipc{.order = 3})},
      {exponential, "sa_solver τ=0", over_karras(sa_solver{.tau = constant_tau(0)})},
  };
}

inline std::vector<compared> stochastic_samplers() {
  using namespace diffusion;
  const char* const one = "one evaluation, no memory";
  const char* const several = "several evaluations per step";
  const char* const multistep = "multistep in λ";
  const char* const adams = "multistep in σ/α";
  const char* const langevin = "Langevin, resampling";
  const char* const distilled = "for distilled networks";
  return {
      {one, "ddpm, ddim η=1", over_karras(ddpm{})},
      {one, "ddpm transition", over_karras(ddpm{fixed_variance::transition})},
      {one, "ddim η=½", over_karras(ddim{.eta = 0.5})},
      {one, "flow_euler_ancestral", over_karras(flow_euler_ancestral{}, flow_schedule{})},
      {one, "reverse_diffusion", over_karras(reverse_diffusion{})},
      {one, "vp_euler_maruyama", over_karras(vp_euler_maruyama{}, vp_sde_schedule{})},
      {one, "euler, churn", over_karras(euler{.churn = {.churn = 5}})},
      {several, "heun, churn", over_karras(heun{.churn = {.churn = 5}})},
      {several, "dpm2, churn", over_karras(dpm2{.churn = {.churn = 5}})},
      {several, "dpm2_ancestral", over_karras(dpm2_ancestral{})},
      {several, "dpmpp_2s_ancestral", over_karras(dpmpp_2s_ancestral{})},
      {several, "dpmpp_sde", over_karras(dpmpp_sde{})},
      {several, "dpm_solver_singlestep 2", over_karras(dpm_solver_singlestep{.eta = 1})},
      {several, "dpm_solver_singlestep 3", over_karras(dpm_solver_singlestep{.order = 3, .eta = 1})},
      {several, "dpm_fast η=1", over_even_half_log_snr(1)},
      {multistep, "dpmpp_2m_sde", over_karras(dpmpp_2m_sde())},
      {multistep, "dpmpp_3m_sde", over_karras(dpmpp_3m_sde())},
      {multistep, "sa_solver", over_karras(sa_solver{})},
      {adams, "gam_mu γ=1.5 μ=½", over_karras(gam_mu{.gam = 1.5, .mu = 0.5})},
      {langevin, "langevin_corrected", over_karras(langevin_corrected<>{})},
      {langevin, "annealed_langevin",
       [](int n) {
         const auto sigmas = with_final(karras_sigmas(n, range));
         return make_plan(run_path(sigma_schedule{}, sigmas),
                          annealed_langevin{.step = range.min * range.min, .steps = 5});
       }},
      {langevin, "repaint", over_karras(repaint<>{.jump_length = 2, .jump_n_sample = 2})},
      {distilled, "consistency", over_karras(consistency{})},
      {distilled, "lcm", over_karras(lcm{}, flow_schedule{.time_scale = 1000})},
      {distilled, "tcd", over_karras(tcd{flow_schedule{}, 0.3}, flow_schedule{})},
  };
}
