#pragma once

#include <cmath>
#include <cstddef>

#include "diffusion/compat.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/samplers/churn.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Euler's method for the probability flow in σ/α, with optional churn (Karras et al. 2022, algorithm 2
/// without the correction). Order 1, one evaluation per step. Without churn it is ddim{}.
struct euler {
  edm_churn churn{};

  /// diffusers: the network is asked before the churn noise is added, and its output is read as if it had
  /// been asked after (EulerDiscreteScheduler, EDMEulerScheduler). That depends on what the output is:
  /// `network` (epsilon, x0 or v), or one preconditioned as in EDM, whose σ_data > 0 is given. Without churn
  /// nothing differs.
  compat peer = compat::none;
  prediction network = prediction::epsilon;
  double sigma_data = 0;

  [[nodiscard]] run_plan plan(const run_path& path) const {
    churn.require_valid();
    if (!(sigma_data >= 0 && std::isfinite(sigma_data)))
      detail::invalid("sigma_data", sigma_data, "[0, inf), 0 for a network that is not preconditioned");
    if (churn.churn > 0) path.require_chained();
    trace run(path);
    traced x = run.x();
    for (std::size_t k = 0; k < path.size(); ++k) {
      if (const double gamma = churn.gamma(path[k].from.level, path.size());
          gamma > 0 && peer == compat::diffusers) {
        const auto predicted = run.ask(x, path[k].from);
        x = misread(x, predicted.x0, run.noise(), path[k], gamma);
      } else {
        const auto [from, to, eval] = churn.lift(run, x, path, k);
        const auto predicted = run.ask(x, eval);
        x = detail::moved(ddim{}(from.level, to.level), x, predicted);
      }
      run.arrive(x, path[k].to);
    }
    return run.finish();
  }

 private:
  /// x̂0 = skip x/α + out · output, at ς = σ/α.
  struct reading {
    double skip, out;
  };
  [[nodiscard]] reading reading_at(double s) const {
    if (sigma_data > 0) {
      const double total = s * s + sigma_data * sigma_data;
      return {sigma_data * sigma_data / total, s * sigma_data / std::sqrt(total)};
    }
    if (network == prediction::epsilon) return {1, -s};
    if (network == prediction::x0) return {0, 1};
    if (network == prediction::v) return {1 / (1 + s * s), -s / std::sqrt(1 + s * s)};
    detail::invalid("network", name(network), "epsilon, x0 or v: what diffusers' Euler schedulers know");
  }

  [[nodiscard]] traced misread(const traced& x, const traced& x0, const traced& z, const path_step& step,
                               double gamma) const {
    const noise_level from = step.from.level;
    const double s = noise_to_signal(from);
    const double lifted = (1 + gamma) * s;
    const reading asked = reading_at(s);
    // v is even read with the σ of before, the rest of its step with that of after.
    const bool reads_at_start = sigma_data == 0 && network == prediction::v;
    const reading read = reading_at(reads_at_start ? s : lifted);
    const traced y = (1 / from.alpha) * x;
    const traced lifted_y = y + churn.added(from, gamma) * z;
    const traced read_x0 = read.skip * lifted_y + (read.out / asked.out) * (x0 - asked.skip * y);
    const noise_level to = step.to.level;
    const double ratio = noise_to_signal(to) / lifted;
    return to.alpha * (ratio * lifted_y + (1 - ratio) * read_x0);
  }
};

}  // namespace diffusion
