#pragma once

#include <functional>
#include <optional>
#include <string>

#include "diffusion/run_plan.hpp"
#include "record.hpp"

namespace golden {

/// What a sampler of the peers may need to know of its file beside its own options.
struct method_context {
  std::string peer;        ///< "diffusers@…", "k-diffusion@…", …
  std::string prediction;  ///< what the network returns, in the file's words
  int steps = 0;           ///< n
  int train_steps = 0;     ///< T, 0 where there is none
};

/// A sampler of the library with the options of a file, in the way of the file's peer.
using planner = std::function<diffusion::run_plan(const diffusion::run_path&)>;

/// One reader for each group of kinds: reads every option of `kind` out of the file's `sampler` object. Empty
/// for kinds of other groups. `file` is the whole file, for tables that a kind keeps outside of `sampler`.
using method_reader = std::optional<planner>(const std::string& kind, const record& options,
                                             const record& file, const method_context& context);
method_reader read_sigma_method;       // methods_sigma.cpp: Euler, Heun, DPM-2, LMS and relatives
method_reader read_dpm_solver_method;  // methods_dpm_solver.cpp
method_reader read_multistep_method;   // methods_multistep.cpp: UniPC, SA-Solver, DEIS, PNDM, iPNDM
method_reader
    read_consistency_method;  // methods_consistency.cpp: LCM, TCD, consistency, SCM, flow matching, CogVideoX

}  // namespace golden
