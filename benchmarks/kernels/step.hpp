#pragma once

#include "diffusion/ddpm.hpp"

namespace bench {

// The step that all cases take: noise is predicted, x̂0 clipped.
constexpr diffusion::noise_level from{0.6, 0.8};
constexpr diffusion::noise_level to{0.8, 0.6};

inline diffusion::step_plan plan_of(const diffusion::step_coefficients& step,
                                    const diffusion::x0_clamp& clamp = {.limit = 1},
                                    diffusion::prediction kind = diffusion::prediction::epsilon) {
  return {diffusion::x0_map(kind, from), diffusion::epsilon_map(kind, from), clamp, step};
}

}  // namespace bench
