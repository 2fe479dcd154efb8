#pragma once

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "diffusion/interop/configured_flow_grids.hpp"
#include "diffusion/predictor.hpp"
#include "diffusion/samplers/consistency.hpp"
#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/samplers/deis.hpp"
#include "diffusion/samplers/dpm2.hpp"
#include "diffusion/samplers/dpm2_ancestral.hpp"
#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/dpm_solver_singlestep.hpp"
#include "diffusion/samplers/dpmpp_sde.hpp"
#include "diffusion/samplers/euler.hpp"
#include "diffusion/samplers/euler_ancestral.hpp"
#include "diffusion/samplers/flow_heun.hpp"
#include "diffusion/samplers/heun.hpp"
#include "diffusion/samplers/lcm.hpp"
#include "diffusion/samplers/lms.hpp"
#include "diffusion/samplers/pndm.hpp"
#include "diffusion/samplers/tcd.hpp"
#include "diffusion/samplers/unipc.hpp"
#include "diffusion/stepper.hpp"

namespace diffusion {

using configured_schedule = std::variant<discrete_schedule<>, log_sigma_schedule, flow_schedule>;

using configured_sampler =
    std::variant<ddpm, ddpm_learned, ddim, pndm, lms, euler, euler_ancestral, heun, dpm2, dpm2_ancestral,
                 dpmpp_sde, dpm_solver_multistep, dpm_solver_singlestep, unipc, deis, lcm,
                 tcd<discrete_schedule<>>, flow_heun, consistency>;

/// A schedule, a rule for the points of runs, a sampler and what the network returns: all that a
/// scheduler_config.json says, see read_scheduler_config. The sampler may be changed before a plan is made,
/// for what such files do not hold: std::get<ddim>(config.sampler).eta = 1.
///
/// The state is in the scale of the network's input, so that the network sees x itself: variance preserving
/// (also for Euler and relatives, which others run in σ and scale for the network), or a rectified flow. For
/// EDM networks it is variance preserving in units of σ_data: the data are data_scale times the end of a run.
struct configured_scheduler {
  std::string class_name;
  compat peer = compat::none;
  configured_schedule schedule = flow_schedule{};
  configured_sampler sampler = ddim{};
  prediction network = prediction::epsilon;  ///< what the network returns, or its negative:
  bool negated = false;                      ///< predicting() takes care of that
  x0_transform x0 = x0_keep{};
  double data_scale = 1;
  std::vector<std::string> unused_keys{};  ///< keys of the file that mean nothing to this class

  /// The points of a run. Times of discrete schedules are 1 … T, those of flows s · T.
  std::function<run_path(int steps, const run_request& request)> path;

  /// What the network is told at a point of the path: diffusers count the steps of a discrete schedule from
  /// 0, one less than the path does.
  std::function<double(const path_point&)> network_time = [](const path_point& at) { return at.t; };

  /// The moves of a peer whose steps do not lead from point to point, one for each evaluation; empty for
  /// others.
  std::function<std::vector<path_step>(int steps)> moves{};

  /// What unit noise is to be multiplied with for the start of a run, at its first level: √(α² + σ²), the
  /// deviation of noised data of unit variance.
  std::function<double(noise_level)> start_scale = [](noise_level first) {
    return std::hypot(first.alpha, first.sigma);
  };

  /// A run of so many steps, for sample(plan, …) and tabulate(plan). eval.t is what the network is told.
  [[nodiscard]] run_plan plan(int steps, const run_request& request = {}) const;

  [[nodiscard]] double start_scale_of(const run_plan& plan) const {
    return start_scale(plan.stages.front().from.level);
  }

  [[nodiscard]] run_options options() const { return {.x0 = x0}; }

  /// A network f(x, at, out) as a predictor of the right kind.
  template <class F>
  [[nodiscard]] auto predicting(F f) const {
    return predicts(network, [f = std::move(f), negated = negated](auto x, const auto& at, auto out) mutable {
      f(x, at, out);
      if (!negated) return;
      using T = std::remove_cvref_t<decltype(out.data()[0])>;
      for (T& value : out.data()) value = static_cast<T>(-static_cast<arithmetic<T>>(value));
    });
  }
};

namespace detail {

/// The sampler as a run of n steps needs it.
template <class S>
S fitted(S sampler, std::size_t n) {
  if constexpr (std::same_as<S, unipc>)  // configurations may name steps that a run does not have
    std::erase_if(sampler.uncorrected_steps, [n](std::size_t k) { return k >= n; });
  if constexpr (std::same_as<S, dpm_solver_singlestep>)  // as diffusers does where the blocks do not come out
                                                         // even
    if (sampler.peer == compat::diffusers && n % static_cast<std::size_t>(std::max(sampler.order, 1)) != 0)
      sampler.lower_order_final = true;
  return sampler;
}

/// diffusers' DDPM adds noise in a last step from above the first time: β̃ is at least 1e-20 there, β is not
/// 0.
inline void add_last_noise(run_plan& plan, const ddpm& sampler) {
  run_stage& last = plan.stages.back();
  if (last.to.level.sigma > 0 || last.from.t <= 1) return;
  last.next.now.noise = sampler.variance == fixed_variance::transition
                            ? std::sqrt(transition_variance(last.from.level, last.to.level))
                            : 1e-10;
}

}  // namespace detail

inline run_plan configured_scheduler::plan(int steps, const run_request& request) const {
  const run_path way = moves ? run_path(moves(steps)) : path(steps, request);
  run_plan result =
      std::visit([&](const auto& s) { return make_plan(way, detail::fitted(s, way.size())); }, sampler);
  if (const auto* ancestral = std::get_if<ddpm>(&sampler); ancestral && peer == compat::diffusers)
    detail::add_last_noise(result, *ancestral);
  for (run_stage& stage : result.stages)
    if (stage.asks) stage.eval.t = network_time(stage.eval);
  return result;
}

}  // namespace diffusion
