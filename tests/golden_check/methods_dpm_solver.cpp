#include <cmath>

#include "diffusion/samplers/dpm_fast.hpp"
#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/dpm_solver_singlestep.hpp"
#include "diffusion/samplers/dpmpp_2s_ancestral.hpp"
#include "diffusion/samplers/dpmpp_sde.hpp"
#include "methods.hpp"

namespace golden {
namespace {

using diffusion::compat;
using diffusion::run_path;

template <diffusion::PlannedSampler S>
planner plans(const S& sampler) {
  return [sampler](const run_path& path) { return sampler.plan(path); };
}

diffusion::dpm_solver_type read_type(const record& options) {
  const bool heun = options.choice("solver_type", {"midpoint", "heun"}) == "heun";
  return heun ? diffusion::dpm_solver_type::heun : diffusion::dpm_solver_type::midpoint;
}

/// What diffusers calls algorithm_type: the form, and whether it is of the ODE or the SDE.
template <class Solver>
void read_algorithm(const record& options, Solver& solver) {
  const std::string algorithm =
      options.choice("algorithm", {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"});
  const bool data = algorithm.ends_with("++");
  solver.form = data ? diffusion::dpm_solver_form::data : diffusion::dpm_solver_form::noise;
  solver.eta = algorithm.starts_with("sde-") ? 1 : 0;
}

diffusion::dpm_solver_multistep read_multistep(const std::string& kind, const record& options) {
  diffusion::dpm_solver_multistep solver{.order = options.integer("solver_order", 1, 3),
                                         .type = read_type(options),
                                         .lower_order_final = options.flag("lower_order_final"),
                                         .euler_at_final = options.flag("euler_at_final"),
                                         .peer = compat::diffusers};
  if (kind == "cosine_dpm_solver_multistep")
    solver.eta = 1;
  else
    read_algorithm(options, solver);
  if (kind != "dpm_solver_multistep" && kind != "dpm_solver_multistep_inverse")
    options.inform({"sigma_data"});  // of the network's preconditioning
  return solver;
}

planner read_singlestep(const record& options, const record& file) {
  diffusion::dpm_solver_singlestep solver{.order = options.integer("solver_order", 1, 3),
                                          .type = read_type(options),
                                          .lower_order_final = options.flag("lower_order_final"),
                                          .peer = compat::diffusers};
  read_algorithm(options, solver);
  const std::vector<int> expected = file.integers("order_list", 1, 3);
  return [solver, expected](const run_path& path) {
    std::vector<int> orders;
    for (const int block : solver.blocks(path))
      for (int order = 1; order <= block; ++order) orders.push_back(order);
    if (orders != expected) throw std::runtime_error("order_list differs from the solver's");
    return solver.plan(path);
  };
}

planner read_dpm_fast(const record& options, const record& file) {
  const diffusion::dpm_fast solver{.evaluations = options.integer("nfe", 1, 1'000'000),
                                   .eta = options.number("eta"),
                                   .s_noise = options.number("s_noise")};
  const std::vector<record> steps = file.objects("steps");
  for (std::size_t k = 0; k < steps.size(); ++k)
    if (steps[k].integer("order", 1, 3) != solver.order(static_cast<int>(k)))
      steps[k].fail("order", "differs from the solver's");
  return plans(solver);
}

}  // namespace

std::optional<planner> read_dpm_solver_method(const std::string& kind, const record& options,
                                              const record& file, const method_context& context) {
  if (kind == "dpm_solver_multistep" || kind == "dpm_solver_multistep_inverse" ||
      kind == "edm_dpm_solver_multistep" || kind == "cosine_dpm_solver_multistep")
    return plans(read_multistep(kind, options));
  if (kind == "dpm_solver_singlestep") return read_singlestep(options, file);
  if (kind == "dpmpp_2m") return plans(diffusion::dpmpp_2m());
  if (kind == "dpmpp_2m_sde" || kind == "dpmpp_3m_sde") {
    const double eta = options.number("eta");
    auto solver = kind == "dpmpp_2m_sde" ? diffusion::dpmpp_2m_sde(eta) : diffusion::dpmpp_3m_sde(eta);
    if (kind == "dpmpp_2m_sde") solver.type = read_type(options);
    solver.s_noise = options.number("s_noise");
    solver.peer = compat::k_diffusion;
    return plans(solver);
  }
  if (kind == "dpmpp_2s_ancestral")
    return plans(
        diffusion::dpmpp_2s_ancestral{.eta = options.number("eta"), .s_noise = options.number("s_noise")});
  if (kind == "dpmpp_sde" || kind == "dpm_solver_sde") {
    const bool diffusers = context.peer.starts_with("diffusers");
    return plans(diffusion::dpmpp_sde{.eta = options.number("eta"),
                                      .s_noise = options.number("s_noise"),
                                      .r = options.number("r"),
                                      .peer = diffusers ? compat::diffusers : compat::k_diffusion});
  }
  if (kind == "dpm_fast") return read_dpm_fast(options, file);
  return std::nullopt;
}

}  // namespace golden
