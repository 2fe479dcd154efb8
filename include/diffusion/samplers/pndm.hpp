#pragma once

#include <cstddef>
#include <vector>

#include "diffusion/compat.hpp"
#include "diffusion/detail/pseudo_linear.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// How pndm comes to its first predictions.
enum class pndm_start {
  improved_euler,       ///< the first step twice, then orders 2 and 3: one evaluation more ("PLMS",
                        ///< skip_prk_steps)
  runge_kutta,          ///< three steps of four evaluations, halved in σ/α: needs path.find
  runge_kutta_on_grid,  ///< the same, each over two steps of the path: its first six are half as long as the
                        ///< others
};

/// Pseudo numerical method (Liu et al. 2022, algorithm 2): Adams-Bashforth weights of equal steps, up to
/// order 4, on ε̂, which then counts as constant over the step (equation 11). One evaluation per step but for
/// the start, 3 vectors of memory, 5 in a Runge-Kutta start. Of second order for steps that are even in some
/// time; for steps even in σ/α of order 4, of order 3 with the improved Euler start. See lms for weights that
/// know the grid. ε̂ is derived from the transformed x̂0. Steps from pure noise or to clean data take no part
/// in the start.
struct pndm {
  pndm_start start = pndm_start::improved_euler;

  /// diffusers moves to t - ⌊T/n⌋ whatever the next time. Its runs take a path that has a step for every
  /// evaluation: between the levels of that move, with `eval` where it asks. Both Runge-Kutta starts are then
  /// the same. It takes the weighted sums of what the network returns, for a v network as v, which leaves the
  /// method of first order.
  compat peer = compat::none;
  prediction network = prediction::epsilon;  ///< epsilon; or v, for diffusers' runs of v networks

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (peer != compat::none && peer != compat::diffusers)
      detail::invalid("peer", static_cast<int>(peer), "none or diffusers");
    if (start != pndm_start::improved_euler && start != pndm_start::runge_kutta &&
        start != pndm_start::runge_kutta_on_grid)
      detail::invalid("start", static_cast<int>(start), "a member of diffusion::pndm_start");
    if (network != prediction::epsilon && !(network == prediction::v && peer == compat::diffusers))
      detail::invalid("network", name(network), "epsilon, with peer = diffusers also v");
    trace run(path);
    traced x = run.x();
    traced start_of_step;        // x at the beginning of the step
    traced sum;                  // of Runge-Kutta so far
    std::vector<traced> slopes;  // ε̂ at the beginnings of steps, the newest first
    for (const auto& [move, purpose, arrives] :
         peer == compat::none ? evaluations(path) : evaluations_listed(path)) {
      const auto& [from, to, eval] = move;
      const auto now = run.ask(x, eval);
      const traced slope = run.keep(slope_of(x, now, eval.level));
      if (purpose == role::multistep || purpose == role::first) {
        start_of_step = x;
        slopes.insert(slopes.begin(), slope);
        if (slopes.size() > 4) slopes.pop_back();
      }
      traced mean = slope;
      if (purpose == role::multistep) mean = detail::adams_bashforth(slopes);
      if (purpose == role::again) mean = 0.5 * (slopes[0] + slope);
      if (purpose == role::first) sum = run.keep(1.0 / 6 * slope);
      if (purpose == role::inner) sum = run.keep(sum + 1.0 / 3 * slope);
      if (purpose == role::last) mean = sum + 1.0 / 6 * slope;
      if (from.level.alpha > 0) {
        const detail::transfer step(from.level, to.level);
        x = step.x * start_of_step + step.epsilon * epsilon_of(mean, start_of_step, from.level);
      } else {
        x = detail::moved(ddim{}(from.level, to.level), x, now);
      }
      if (arrives) run.arrive(x, to);
    }
    return run.finish();
  }

 private:
  /// What an evaluation is for: the multistep formula, the first step a second time, or Runge-Kutta.
  enum class role { multistep, again, first, inner, last };
  /// An evaluation at `move.eval` and the move after it, from the beginning of the step.
  struct evaluation {
    path_step move;
    role purpose = role::multistep;
    bool arrives = true;
  };

  /// What is summed over evaluations, and ε̂ from such a sum.
  [[nodiscard]] traced slope_of(const traced& x, const trace::prediction& now, noise_level at) const {
    if (network == prediction::v) return at.alpha * now.epsilon - at.sigma * now.x0;
    return detail::direction(x, now, at);
  }
  [[nodiscard]] traced epsilon_of(const traced& mean, const traced& x, noise_level at) const {
    if (network != prediction::v) return mean;
    const prediction_map map = epsilon_map(prediction::v, at);
    return (map.scale * map.x) * x + (map.scale * map.model) * mean;
  }

  [[nodiscard]] std::vector<evaluation> evaluations(const run_path& path) const {
    path.require_chained();
    std::vector<evaluation> list;
    const bool pairs = start == pndm_start::runge_kutta_on_grid;
    int left = start == pndm_start::improved_euler ? 1 : 3;  // steps of the start
    for (std::size_t k = 0; k < path.size(); ++k) {
      const std::size_t next = k + (pairs ? 2 : 1);
      if (left == 0 || next > path.size() ||
          !detail::has_inner_slopes(path.point(k).level, path.point(next).level)) {
        list.push_back({path[k]});
        continue;
      }
      const path_point from = path.point(k);
      const path_point to = path.point(next);
      if (start == pndm_start::improved_euler) {
        list.push_back({{from, to, from}, role::multistep, false});
        list.push_back({{from, to, to}, role::again, true});
      } else {
        const path_point middle =
            pairs ? path.point(k + 1)
                  : path.find((noise_to_signal(from.level) + noise_to_signal(to.level)) / 2);
        list.push_back({{from, middle, from}, role::first, false});
        list.push_back({{from, middle, middle}, role::inner, pairs});
        list.push_back({{from, to, middle}, role::inner, false});
        list.push_back({{from, to, to}, role::last, true});
        k = next - 1;
      }
      --left;
    }
    return list;
  }

  /// For a path with a step for every evaluation.
  [[nodiscard]] std::vector<evaluation> evaluations_listed(const run_path& path) const {
    const bool halved = start != pndm_start::improved_euler;
    const std::size_t starting = halved ? 12 : 2;
    if (path.size() < starting)
      detail::invalid("number of evaluations", path.size(),
                      detail::text("at least ", starting, ", the start"));
    std::vector<evaluation> list;
    for (std::size_t k = 0; k < path.size(); ++k) {
      if (k >= starting)
        list.push_back({path[k]});
      else if (!halved)
        list.push_back({path[k], k == 0 ? role::multistep : role::again, k == 1});
      else
        list.push_back({path[k],
                        k % 4 == 0   ? role::first
                        : k % 4 == 3 ? role::last
                                     : role::inner,
                        k % 4 == 3});
    }
    return list;
  }
};

}  // namespace diffusion
