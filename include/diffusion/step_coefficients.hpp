#pragma once

#include <concepts>

#include "diffusion/noise_level.hpp"

namespace diffusion {

/// One sampler step in normal form: x_to = x · x_from + x0 · x̂0 + epsilon · ε̂ + noise · z, z ~ N(0, I).
/// x̂0 is the predicted data after its transform (clipping), ε̂ the predicted noise before it.
///
/// With perfect predictions a step keeps the marginals q(x_t | x_0) exactly when
///   x α_from + x0 = α_to   and   (x σ_from + epsilon)² + noise² = σ_to².
struct step_coefficients {
  double x = 0;
  double x0 = 0;
  double epsilon = 0;
  double noise = 0;
};

/// A pure function of the two ends of a step.
template <class S>
concept Sampler = requires(const S& sampler, noise_level from, noise_level to) {
  { sampler(from, to) } -> std::same_as<step_coefficients>;
};

/// log Σ = offset + slope · v, or Σ = v where `is_log` is false.
struct variance_map {
  double offset = 0;
  double slope = 1;
  bool is_log = true;
};

/// A sampler whose noise is scaled per element by a second model output.
template <class S>
concept LearnedVarianceSampler = Sampler<S> && requires(const S& sampler, noise_level from, noise_level to) {
  { sampler.variance_of(from, to) } -> std::same_as<variance_map>;
};

}  // namespace diffusion
