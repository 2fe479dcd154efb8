// One program, several instruction sets: kernels.cpp is compiled once for each, under another namespace.
#pragma once

#include <cstddef>
#include <cstdint>

// Plain data only: what the library computes with stays inside kernels.cpp.
struct step_arguments {
  double from_alpha, from_sigma, to_alpha, to_sigma;  // noise levels of a DDPM step
  const float* output;                                // predicted noise
  std::uint64_t seed, sample;
  std::uint32_t step;
  float* x;
  std::size_t size;
};

namespace baseline {
void ddpm_step(const step_arguments&);
}
namespace avx2 {
void ddpm_step(const step_arguments&);
}
namespace avx512 {
void ddpm_step(const step_arguments&);
}
