#pragma once

#include <algorithm>
#include <vector>

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// DPM-Solver and DPM-Solver++ that forget earlier steps (Lu et al. 2022a algorithms 1, 2; 2022b algorithm 1
/// "2S"). A step of order n goes over n intervals of the grid, asking the network at the start of each: one
/// evaluation per interval, in blocks of one, two or three. With η > 0 it solves the diffusion SDE along one
/// path of noise: what a block's earlier intervals drew is part of the noise of its later ones. In
/// distribution order 2, for orders 2 and 3.
struct dpm_solver_singlestep {
  int order = 2;                                 ///< 1 to 3
  dpm_solver_form form = dpm_solver_form::data;  ///< x̂0 (DPM-Solver++) or ε̂ (DPM-Solver)
  /// midpoint: order 3 takes the prediction at 2/3 of the step only. heun: exact integrals of the polynomial.
  dpm_solver_type type = dpm_solver_type::midpoint;
  double eta = 0;                  ///< 0: ODE, 1: SDE ("sde-"); [0, inf)
  double s_noise = 1;              ///< factor of fresh noise, [0, inf)
  bool lower_order_final = false;  ///< a full last block is split into order - 1 and 1

  /// diffusers draws the noise of every interval of a block as if the earlier ones had had none, and has a
  /// wrong sign in the third-order SDE step of type heun. Reproduces it.
  compat peer = compat::none;

  /// The intervals of each block.
  [[nodiscard]] std::vector<int> blocks(const run_path& path) const {
    detail::require_solver_order(order);
    const auto infinite = [&](std::size_t k) {
      return !std::isfinite(detail::half_log_snr_step(path[k].from.level, path[k].to.level));
    };
    std::vector<int> result;
    int left = static_cast<int>(path.size());
    if (left > 1 && infinite(0)) {  // nothing of higher order starts there
      result.push_back(1);
      --left;
    }
    const bool lower = lower_order_final && left % order == 0 && left > 0;
    for (int n = lower ? left - order : left; n > 0; n -= order) result.push_back(std::min(n, order));
    if (lower && order > 1) result.push_back(order - 1);
    if (lower) result.push_back(1);
    if (result.back() > 1 && infinite(path.size() - 1)) {
      --result.back();
      result.push_back(1);
    }
    return result;
  }

  [[nodiscard]] run_plan plan(const run_path& path) const {
    detail::require_solver_options(eta, s_noise);
    if (peer == compat::k_diffusion) detail::invalid("peer", "k_diffusion", "none, diffusers");
    path.require_chained();
    trace run(path);
    traced x = run.x();
    std::size_t k = 0;
    for (const int block : blocks(path)) {
      std::vector<noise_level> levels;  // of the block's points
      for (int i = 0; i <= block; ++i) levels.push_back(path.point(k + levels.size()).level);
      std::vector<traced> arrivals(static_cast<std::size_t>(block));  // as far as they are known
      for (std::size_t i = 0; i < arrivals.size(); ++i, ++k) {
        detail::require_denoising(levels[i], levels[i + 1], eta);
        const auto p = run.ask(x, path[k].from);
        if (!std::isfinite(detail::half_log_snr_step(levels[i], levels[i + 1]))) {
          x = detail::infinite_step(run, x, p, levels[i], levels[i + 1], eta, s_noise);
        } else {
          const traced prediction = detail::dpm_prediction(run, x, p, levels[i], form);
          for (std::size_t j = i; j < arrivals.size(); ++j) {
            const detail::dpm_weights w = weights(levels[j + 1], std::span(levels).first(j + 1));
            const double noise = peer == compat::none || i == j ? noise_weight(levels, i, j) : 0;
            if (i == 0) arrivals[j] = w.x * x;
            arrivals[j] += w.f[i] * prediction + s_noise * noise * run.noise();
            if (j > i) arrivals[j] = run.keep(arrivals[j]);
          }
          x = arrivals[i];
        }
        run.arrive(x, path[k].to);
      }
    }
    return run.finish();
  }

 private:
  [[nodiscard]] detail::dpm_weights weights(noise_level to, std::span<const noise_level> levels) const {
    detail::dpm_integral i = detail::integrate(levels[0], to, form, eta);
    if (levels.size() == 3 && peer == compat::diffusers && form == dpm_solver_form::data && eta > 0)
      i.curvature -= to.alpha;
    return detail::singlestep_weights(i, levels, type);
  }

  /// Of the draw of interval i in the state after interval j of its block. That of diffusers is in no later
  /// state.
  [[nodiscard]] double noise_weight(std::span<const noise_level> levels, std::size_t i, std::size_t j) const {
    if (eta == 0) return 0;
    if (peer == compat::diffusers) return detail::integrate(levels[0], levels[i + 1], form, eta).noise;
    return detail::integrate(levels[i], levels[i + 1], form, eta).noise *
           detail::integrate(levels[i + 1], levels[j + 1], form, eta).x;
  }
};

}  // namespace diffusion
