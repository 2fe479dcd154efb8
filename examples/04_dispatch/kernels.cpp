// Compiled with -DKERNELS=baseline, with -DKERNELS=avx2 -mavx2 -mfma and with -DKERNELS=avx512
// -march=skylake-avx512.
#include "kernels.hpp"

#include <diffusion/ddpm.hpp>

void KERNELS::ddpm_step(const step_arguments& a) {
  using namespace diffusion;
  const noise_level from{a.from_alpha, a.from_sigma};
  const noise_level to{a.to_alpha, a.to_sigma};
  const step_plan plan{x0_map(prediction::epsilon, from), {}, {.limit = 1}, ddpm{}(from, to)};
  apply_step(plan, {a.output, a.size}, philox_normal{a.seed}.row(a.sample, a.step), std::span(a.x, a.size));
}
