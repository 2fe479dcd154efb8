#include <cmath>
#include <utility>
#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/deis.hpp"
#include "diffusion/samplers/ipndm.hpp"
#include "diffusion/samplers/pndm.hpp"
#include "diffusion/samplers/sa_solver.hpp"
#include "diffusion/samplers/unipc.hpp"
#include "methods.hpp"

namespace golden {

namespace {

namespace d = diffusion;

constexpr int max_order = 8;

planner read_unipc(const record& options) {
  d::unipc method{
      .order = options.integer("solver_order", 1, max_order),
      .b = options.choice("solver_type", {"bh1", "bh2"}) == "bh1" ? d::unipc_b::bh1 : d::unipc_b::bh2,
      .basis = options.flag("predict_x0") ? d::prediction::x0 : d::prediction::epsilon,
      .lower_order_final = options.flag("lower_order_final")};
  const std::vector<int> disabled = options.integers("disable_corrector", 0, 1 << 20);
  return [method, disabled](const d::run_path& path) mutable {
    for (const int k : disabled)  // the peer takes steps that a run does not have
      if (static_cast<std::size_t>(k) < path.size())
        method.uncorrected_steps.push_back(static_cast<std::size_t>(k));
    return method.plan(path);
  };
}

planner read_deis(const record& options) {
  const d::deis method{.order = options.integer("solver_order", 1, 3),
                       .lower_order_final = options.flag("lower_order_final")};
  return [method](const d::run_path& path) { return method.plan(path); };
}

/// τ of every step: the peer's interval is one of its integer times, whatever the levels are.
std::vector<double> read_tau(const record& options, const record& file, int steps) {
  const record tau = options.object("tau");
  const double value = tau.number("value");
  const bool constant = tau.choice("kind", {"constant", "interval"}) == "constant";
  const double start = constant ? -HUGE_VAL : tau.number("start");
  const double end = constant ? HUGE_VAL : tau.number("end");
  tau.refuse_unknown_keys();
  std::vector<double> of_step;
  for (const double t : file.object("timesteps").numbers("values", static_cast<std::size_t>(steps)))
    of_step.push_back(t >= start && t <= end ? value : 0);
  return of_step;
}

planner read_sa_solver(const record& options, const record& file, const method_context& context) {
  const std::vector<double> tau = read_tau(options, file, context.steps);
  const bool x0 = options.choice("algorithm", {"data_prediction", "noise_prediction"}) == "data_prediction";
  d::sa_solver method{.predictor_order = options.integer("predictor_order", 1, 4),
                      .corrector_order = options.integer("corrector_order", 1, 4),
                      .basis = x0 ? d::prediction::x0 : d::prediction::epsilon,
                      .half_rule = true,
                      .lower_order_final = options.flag("lower_order_final")};
  return [method, tau](const d::run_path& path) mutable {
    // Asked once in every step, in order.
    method.tau = [&tau, k = std::size_t{0}](const d::path_point&) mutable { return tau.at(k++); };
    return method.plan(path);
  };
}

/// The peer's steps as a path with a point for every time, where it moves between those.
std::vector<d::path_point> points_of(const d::run_path& evaluations, bool halved) {
  std::vector<d::path_point> points{evaluations.point(0)};
  for (std::size_t k = 0; k < evaluations.size(); ++k)
    if (halved && k < 12 ? k % 4 == 0 || k % 4 == 3 : halved || k > 0) points.push_back(evaluations[k].to);
  return points;
}

/// Whether a plan asks where the peer does, and its first step leads where the peer's first moves lead.
bool agrees(const d::run_plan& plan, const d::run_path& evaluations) {
  if (plan.stages.size() != evaluations.size()) return false;
  for (std::size_t k = 0; k < plan.stages.size(); ++k)
    if (!(plan.stages[k].eval.level == evaluations[k].eval.level)) return false;
  return evaluations[0].to.level == evaluations[1].to.level &&
         evaluations[0].from.level == evaluations[1].from.level;
}

/// The path has a step for every call of the peer. Where these are the steps of a grid, the library's own way
/// is compared.
planner read_pndm(const record& options, const method_context& context) {
  const bool halved = !options.flag("skip_prk_steps");
  (void)options.flag("final_alpha_one");  // the last level of the path
  const bool v = context.prediction == "v";
  return [halved, v](const d::run_path& evaluations) {
    if (evaluations.size() == 1) return d::make_plan(evaluations, d::ddim{});  // the beginning of a start
    d::pndm method{halved ? d::pndm_start::runge_kutta_on_grid : d::pndm_start::improved_euler};
    if (!v && evaluations.size() >= (halved ? 12 : 2)) {
      d::run_plan plan = method.plan(d::run_path(points_of(evaluations, halved)));
      if (agrees(plan, evaluations)) return plan;
    }
    method.peer = d::compat::diffusers;
    if (v) method.network = d::prediction::v;
    return method.plan(evaluations);
  };
}

planner read_ipndm() {
  return [](const d::run_path& path) { return d::ipndm{.peer = d::compat::diffusers}.plan(path); };
}

}  // namespace

std::optional<planner> read_multistep_method(const std::string& kind, const record& options,
                                             const record& file, const method_context& context) {
  if (kind == "unipc") return read_unipc(options);
  if (kind == "deis") return read_deis(options);
  if (kind == "sa_solver") return read_sa_solver(options, file, context);
  if (kind == "pndm") return read_pndm(options, context);
  if (kind == "ipndm") return read_ipndm();
  return std::nullopt;
}

}  // namespace golden
