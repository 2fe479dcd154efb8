#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "diffusion/detail/exponential_weights.hpp"
#include "diffusion/detail/traced_step.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/samplers/ddim.hpp"

// What UniPC, SA-Solver and DEIS share. With λ = log(α/σ), h = λ_to - λ_from and τ ≥ 0, the reverse process
// moves by (Xue et al. 2023, section 4)
//
//   x_to = σ_to/σ_from e^{-τ²h} x + α_to (1+τ²) ∫_0^h e^{-(1+τ²)(h-s)} x̂0 ds + σ_to √(1-e^{-2τ²h}) z
//   x_to = α_to/α_from x          - σ_to (1+τ²) ∫_0^h e^{h-s} ε̂ ds           + σ_to τ √(e^{2h}-1) z.
//
// In place of x̂0 or ε̂ at λ_from + s the methods take the polynomial through the predictions that they
// remember.
//
// A corrector integrates again with the prediction at the step's end, from the same x and with the same z.
// Hence it only adds the difference of the two integrals to the state: no earlier state need be remembered.

namespace diffusion::detail {

/// What two predictions make of a step: the exact integral of their line, or that of a constant and B/2 times
/// the rise, with B(z) = z or 1 - e^{-z}. All are of second order.
enum class line_rule { exact, half_z, half_expm1 };

struct timed_prediction {
  double half_log_snr;
  traced value;
};

/// One step in the first form (basis x0) or the second (basis epsilon): everything but the predictions.
class exponential_step {
 public:
  exponential_step(noise_level from, noise_level to, double tau, prediction basis, line_rule rule)
      : start_(half_log_snr(from)), h_(half_log_snr(to) - start_), rule_(rule) {
    const double squared = tau * tau;
    if (basis == prediction::x0) {
      z_ = (1 + squared) * h_;
      scale_ = to.alpha;
      decay = to.sigma / from.sigma * std::exp(-squared * h_);
      noise = to.sigma * std::sqrt(std::max(-std::expm1(-2 * squared * h_), 0.0));
    } else {
      z_ = -h_;
      scale_ = (1 + squared) * to.sigma;
      decay = to.alpha / from.alpha;
      noise = tau * to.sigma * std::sqrt(std::max(std::expm1(2 * h_), 0.0));
    }
  }

  double decay;  ///< factor of x
  double noise;  ///< factor of z

  /// The integral of the polynomial through the predictions. With line_rule other than exact one of two has
  /// to be of the start.
  [[nodiscard]] traced integral(const std::vector<timed_prediction>& predictions) const {
    traced sum;
    if (h_ == 0) return sum;
    std::vector<double> nodes;
    for (const timed_prediction& p : predictions) nodes.push_back((p.half_log_snr - start_) / h_);
    const std::vector<double> weights = weights_of(nodes);
    for (std::size_t j = 0; j < nodes.size(); ++j) sum += (scale_ * weights[j]) * predictions[j].value;
    return sum;
  }

 private:
  [[nodiscard]] std::vector<double> weights_of(const std::vector<double>& nodes) const {
    const double total = -std::expm1(-z_);
    if (nodes.size() == 1) return {total};
    if (nodes.size() > 2 || rule_ == line_rule::exact) return exponential_weights(nodes, z_);
    const double rise = (rule_ == line_rule::half_z ? z_ : total) / 2;
    const double second = (rise - nodes[0] * total) / (nodes[1] - nodes[0]);
    return {total - second, second};
  }

  double start_, h_, z_, scale_;
  line_rule rule_;
};

/// What a method chooses for a step. Predictions that are not there yet are done without.
struct multistep_choice {
  int predictor = 1;  ///< predictions for the predictor
  std::optional<int>
      corrector{};  ///< predictions for the corrector beside the one at the step's end, if it has one
  double tau = 0;
};

/// The run of a method that makes the given choice(k) in step k.
///
/// Steps from or to an infinite λ (pure noise, clean data) are of first order and not corrected, and what was
/// predicted there is forgotten: a polynomial in λ knows nothing of infinity. A step of length zero does
/// nothing.
template <class Choice>
[[nodiscard]] run_plan exponential_multistep(const run_path& path, prediction basis, line_rule rule,
                                             Choice choice) {
  if (basis != prediction::x0 && basis != prediction::epsilon) invalid("basis", name(basis), "x0 or epsilon");
  path.require_chained();
  trace run(path);
  traced x = run.x();
  std::vector<timed_prediction> past;       // the newest first
  std::optional<exponential_step> arrived;  // the step that led here, if it is to be corrected
  traced predicted;                         // its integral so far
  int corrector = 0;
  const auto newest = [&](int count) {
    const auto there = static_cast<std::ptrdiff_t>(past.size());
    return std::vector(past.begin(), past.begin() + std::min<std::ptrdiff_t>(count, there));
  };

  for (std::size_t k = 0; k < path.size(); ++k) {
    const auto& [from, to, eval] = path[k];
    const double here = half_log_snr(from.level);
    const trace::prediction now = run.ask(x, from);
    if (std::isfinite(here)) {
      const traced value = basis == prediction::x0 ? now.x0 : run.keep(direction(x, now, from.level));
      if (arrived) {
        std::vector<timed_prediction> with_end = newest(corrector);
        with_end.insert(with_end.begin(), {here, value});
        x += arrived->integral(with_end) - predicted;
      }
      // After a step of length zero, be it by rounding, the new prediction takes the place of the old one.
      std::erase_if(past, [&](const timed_prediction& p) {
        return std::abs(p.half_log_snr - here) <= 1e-9 * (1 + std::abs(here));
      });
      past.insert(past.begin(), {here, value});
    }

    const multistep_choice chosen = choice(k);
    const double next = half_log_snr(to.level);
    arrived.reset();
    if (std::isfinite(here) && std::isfinite(next)) {
      const exponential_step step(from.level, to.level, chosen.tau, basis, rule);
      predicted = step.integral(newest(chosen.predictor));
      x = step.decay * x + predicted + step.noise * run.noise();
      if (chosen.corrector && next != here) {
        arrived = step;
        corrector = *chosen.corrector;
      }
    } else if (chosen.tau == 0) {
      x = moved(ddim{}(from.level, to.level), x, now);
    } else {
      x = to.level.alpha * now.x0 + to.level.sigma * run.noise();
    }
    run.arrive(x, to);
  }
  return run.finish();
}

inline void require_multistep_order(std::string_view symbol, int order, int lowest = 1) {
  if (order < lowest || order > 8) invalid(symbol, order, lowest == 0 ? "[0, 8]" : "[1, 8]");
}

/// The order of step k of n: `order`, but no more than the steps that are left if `falling`.
[[nodiscard]] inline int order_near_end(int order, std::size_t k, std::size_t n, bool falling) {
  return falling ? static_cast<int>(std::min(static_cast<std::size_t>(order), n - k)) : order;
}

}  // namespace diffusion::detail
