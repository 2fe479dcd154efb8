#pragma once

/// The whole library except interop/.

#include "diffusion/ddpm.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/schedules/log_snr.hpp"
#include "diffusion/timestep_embedding.hpp"
