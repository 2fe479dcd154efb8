// Few-step methods and rectified flows: denoise, then noise again.

#include "diffusion/samplers/consistency.hpp"

#include <cmath>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/flow_euler_ancestral.hpp"
#include "diffusion/samplers/flow_heun.hpp"
#include "diffusion/samplers/lcm.hpp"
#include "diffusion/samplers/tcd.hpp"
#include "methods.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;

template <class S>
planner plan_of(S sampler) {
  return [sampler = std::move(sampler)](const d::run_path& path) { return make_plan(path, sampler); };
}

/// Song et al.'s models: what the network returns is still noised at the schedule's σ_min.
planner read_consistency(const record& options, const record& file) {
  (void)options.flag("clip_denoised");  // a transform of x̂0
  d::consistency sampler{.sigma_min = file.object("schedule").number("sigma_min"),
                         .s_noise = options.number("s_noise", 1)};
  if (file.text("dtype") == "f32")
    sampler.sigma_min = static_cast<float>(sampler.sigma_min);  // as the list has it
  return [=](const d::run_path& path) {
    // The levels that the files give for a step's end are those of the noise that is added.
    const bool given_as_added = path.point(path.size()).level.sigma == 0;
    return make_plan(path, d::consistency{.sigma_min = given_as_added ? 0 : sampler.sigma_min,
                                          .s_noise = sampler.s_noise});
  };
}

/// With what diffusers adds to α_down against a division by 0, which shows in the eleventh digit.
planner read_flow_euler_ancestral(const record& options) {
  const d::flow_euler_ancestral sampler{.eta = options.number("eta", 1),
                                        .s_noise = options.number("s_noise", 1)};
  return [=](const d::run_path& path) {
    d::run_plan plan = make_plan(path, sampler);
    if (sampler.eta == 0) return plan;  // nor does the peer add it then
    for (auto& stage : plan.stages) {
      const auto [alpha, sigma] = stage.to.level;
      if (sigma == 0) continue;
      constexpr double added = 1e-12;
      const double down = sigma * (1 + sampler.eta * (sigma / stage.from.level.sigma - 1));
      const double kept = down * alpha / (1 - down);
      auto& now = stage.next.now;
      now.x *= (1 - down) / (1 - down + added);
      now.x0 *= (1 - down) / (1 - down + added);
      now.noise = std::hypot(now.noise, sampler.s_noise * kept * std::sqrt(added) / (1 - down));
    }
    return plan;
  };
}

/// Diffusers takes x̂0 and the next state by the formulas of σ where its list has 1 - σ: x̂0 = x - (1-σ) v, and
/// the run ends in pure noise. The library has no such sampler.
d::run_plan plan_inverted_renoising(const d::run_path& path) {
  d::run_plan plan = make_plan(path, d::consistency{});
  for (auto& stage : plan.stages) {
    const double signal = stage.from.level.alpha;
    const auto [alpha, sigma] = stage.to.level;
    stage.next.now = {.x = sigma, .x0 = -sigma * signal, .epsilon = sigma * signal, .noise = alpha};
  }
  return plan;
}

/// Diffusers steps to t - ⌊T/n⌋, which need not be the next time, so the levels do not form a chain. Every
/// step is that of a run over the last time, this one, and where it leads; of first order if that is below
/// index 0.
planner read_cogvideox_dpm(const record& file, const method_context& context) {
  const int stride = context.train_steps / context.steps;
  const std::vector<int> indices = file.object("timesteps").integers("values", 0, context.train_steps - 1);
  return [=](const d::run_path& path) {
    const d::dpm_solver_multistep solver{.eta = 1, .lower_order_final = false};
    d::run_plan plan{.stages = {}, .slots = 1};
    for (std::size_t k = 0; k < path.size(); ++k) {
      const auto& [from, to, eval] = path[k];
      std::vector<d::path_point> points{from, to};
      if (k > 0 && indices[k] >= stride) points.insert(points.begin(), path[k - 1].from);
      plan.stages.push_back(solver.plan(d::run_path(points)).stages.back());
      plan.stages.back().keep = {{.slot = 0, .value = {.now = {.x0 = 1}, .past = {}}}};
    }
    return plan;
  };
}

}  // namespace

std::optional<planner> read_consistency_method(const std::string& kind, const record& options,
                                               const record& file, const method_context& context) {
  const auto read_distilled = [&] {
    (void)options.integer("original_steps", 1, context.train_steps, 50);  // of the grid
    (void)options.flag("final_alpha_one", true);                          // of the levels
  };
  if (kind == "lcm") {
    read_distilled();
    return plan_of(d::lcm{.timestep_scaling = options.number("timestep_scaling", 10)});
  }
  if (kind == "tcd") {
    read_distilled();
    return plan_of(d::tcd{read_schedule(file.object("schedule")), options.number("eta", 0.3)});
  }
  if (kind == "consistency") {
    (void)options.number("sigma_data");  // of the network's scalings, as in the next two
    return read_consistency(options, file);
  }
  if (kind == "scm" || kind == "consistency_decoder") {
    (void)options.number("sigma_data");
    return plan_of(d::consistency{});
  }
  if (kind == "flow_lcm") return plan_of(d::consistency{});
  if (kind == "flow_euler" && options.flag("stochastic_sampling", false) &&
      file.object("schedule").flag("invert_sigmas", false))
    return &plan_inverted_renoising;
  if (kind == "flow_euler")
    return options.flag("stochastic_sampling", false) ? plan_of(d::consistency{}) : plan_of(d::ddim{});
  if (kind == "flow_euler_ancestral") return read_flow_euler_ancestral(options);
  if (kind == "flow_heun") return plan_of(d::flow_heun{});
  if (kind == "cogvideox_dpm") {  // SDE-DPM-Solver++(2M), midpoint; each step has two draws, the last is used
    (void)options.flag("final_alpha_one", true);
    return read_cogvideox_dpm(file, context);
  }
  return std::nullopt;
}

}  // namespace golden
