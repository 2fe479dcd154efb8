#pragma once

#include <string>
#include <variant>
#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/x0_transform.hpp"
#include "families.hpp"
#include "toy_predictor.hpp"

namespace golden {

/// What a peer does with the noise of the last step.
enum class last_noise {
  as_formula,
  never,        ///< the peer returns the mean of the last step, although that ends at σ > 0
  where_drawn,  ///< the peer adds noise to clean data if it drew any (diffusers' DDPM at t > 0)
};

/// The options of a sampler and of its peer.
struct sampler_options {
  std::string kind;
  std::variant<diffusion::ddpm, diffusion::ddpm_learned, diffusion::ddim> method;
  diffusion::x0_transform transform;
  learned_output learned = learned_output::none;
  last_noise last = last_noise::as_formula;
  bool first_level_is_clean = true;  ///< ᾱ = 1 before index 0 (final_alpha_one), else ᾱ of index 0
  bool last_step_returns_x0 = false;
  bool steps_by_stride = false;  ///< diffusers' DDIM: to t - ⌊T/n⌋, which need not be the next time
};
[[nodiscard]] sampler_options read_sampler_options(const record& file);

/// One step: the levels between which it moves and that at which the model is asked.
struct step_levels {
  diffusion::noise_level from, to, at;
  double rounding = 0;  ///< relative, of the peer's own levels: see respacing_rounding
};

/// A run's steps from the library's schedule and grid, and its times in the peer's count.
struct run_plan {
  std::vector<step_levels> steps;
  std::vector<double> t;       ///< of every step
  std::vector<double> values;  ///< the peer's list of times: t, and the end where time is continuous
};
[[nodiscard]] run_plan read_run_plan(const record& file, const sampler_options& options);

/// What a file records of a step; arrays are empty where it records nothing.
struct recorded_step {
  diffusion::noise_level at;
  std::vector<double> x_in, model_output, noise, x, x0;
};

/// Reads the steps and compares their times and levels with the plan.
[[nodiscard]] std::vector<recorded_step> read_steps(const record& file, const sampler_options& options,
                                                    const run_plan& plan, shape dims, precision p,
                                                    report& result);

}  // namespace golden
