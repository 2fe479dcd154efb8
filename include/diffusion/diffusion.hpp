#pragma once

/// The whole library except interop/.

#include "diffusion/ddpm.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/random/batch_noise.hpp"
#include "diffusion/random/numpy.hpp"
#include "diffusion/random/torch_cpu.hpp"
#include "diffusion/random/torch_cuda.hpp"
#include "diffusion/schedules/log_snr.hpp"
#include "diffusion/timestep_embedding.hpp"
