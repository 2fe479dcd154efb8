#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "replay.hpp"

namespace golden {

/// What a peer does with the noise of the last step.
enum class last_noise {
  as_formula,
  never,        ///< the peer returns the mean of the last step, although that ends at σ > 0
  where_drawn,  ///< the peer adds noise to clean data if it drew any (diffusers' DDPM at t > 0)
};

/// The options of a one-step sampler over a discrete or continuous schedule, and of its peer.
struct sampler_options {
  std::string kind;
  std::variant<diffusion::ddpm, diffusion::ddpm_learned, diffusion::ddim> method;
  learned_output learned = learned_output::none;
  last_noise last = last_noise::as_formula;
  bool first_level_is_clean = true;  ///< ᾱ = 1 before index 0 (final_alpha_one), else ᾱ of index 0
  bool last_step_returns_x0 = false;
  bool steps_by_stride = false;  ///< diffusers' DDIM: to t - ⌊T/n⌋, which need not be the next time
};
/// Empty for kinds that are planned (methods.hpp).
[[nodiscard]] std::optional<sampler_options> read_sampler_options(const record& file, const record& options);

/// One step: the levels between which it moves and that at which the model is asked.
struct step_levels {
  diffusion::noise_level from, to, at;
  double rounding = 0;  ///< relative, of the peer's own levels: see respacing_rounding
};

/// A run's steps from the library's schedule and grid, and its times in the peer's count.
struct stepwise_plan {
  std::vector<step_levels> steps;
  std::vector<double> t;       ///< of every step
  std::vector<double> values;  ///< the peer's list of times: t, and the end where time is continuous
};
[[nodiscard]] stepwise_plan read_stepwise_plan(const record& file, const sampler_options& options);

/// The library's plan of such a run.
[[nodiscard]] diffusion::run_plan plan_of(const stepwise_plan& steps, const sampler_options& options,
                                          diffusion::prediction kind, bool last_step_drew_noise);

/// The path of a planned kind, from schedule, timesteps and σ list of the file, which are compared with the
/// library's.
[[nodiscard]] diffusion::run_path read_path(const record& file, const std::string& kind, report& result);

/// Reads the recorded steps, and compares what they say of times and levels with the plan.
[[nodiscard]] std::vector<recorded_ask> read_stepwise_asks(const record& file, const sampler_options& options,
                                                           const stepwise_plan& plan, shape dims, precision p,
                                                           report& result);
[[nodiscard]] std::vector<recorded_ask> read_planned_asks(const record& file, const std::string& kind,
                                                          shape dims);

}  // namespace golden
