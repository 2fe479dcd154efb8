#pragma once

/// What most programs need: schedules, forward process, posterior, noise, DDPM and DDIM sampling.

#include "diffusion/forward.hpp"
#include "diffusion/posterior.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/sample.hpp"
#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/schedules/constant.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/exponential.hpp"
#include "diffusion/schedules/jsd.hpp"
#include "diffusion/schedules/laplace.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/sigmoid.hpp"
#include "diffusion/schedules/warmup.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"
#include "diffusion/time_grid.hpp"
#include "diffusion/version.hpp"
