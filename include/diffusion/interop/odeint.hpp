#pragma once

#include <boost/numeric/odeint.hpp>
#include <type_traits>

#include "diffusion/log_likelihood.hpp"

namespace diffusion {

struct log_likelihood_options {
  divergence_method divergence = exact_divergence{};
  double atol = 1e-6;                     ///< of a step, in y = x/α and in nats, (0, inf)
  double rtol = 1e-6;                     ///< of a step, relative to the same, [0, inf)
  std::size_t max_evaluations = 100'000;  ///< of a sample
  std::uint64_t first_sample = 0;         ///< address of row 0 in the probes
};

/// Carries a state of a probability_flow from σ/α = `from` to σ/α = `to`, in place, by the method of Dormand
/// and Prince with steps of adaptive size in log(σ/α) (Boost.odeint). Either end may be the noisier one.
/// Throws std::invalid_argument where a tolerance, an end or the network's output is not valid, or where
/// max_evaluations do not reach.
template <class Flow>
void integrate(Flow& flow, double from, double to, const log_likelihood_options& options,
               std::vector<double>& state) {
  detail::require_range({from, from});
  detail::require_range({to, to});
  detail::require_positive("atol", options.atol);
  if (!(options.rtol >= 0 && std::isfinite(options.rtol))) detail::invalid("rtol", options.rtol, "[0, inf)");
  const auto limited = [&](const std::vector<double>& at, std::vector<double>& derivative, double log_sigma) {
    if (flow.evaluations() >= options.max_evaluations)
      detail::invalid("evaluations", flow.evaluations() + 1,
                      detail::text("at most max_evaluations: sigma / alpha = ", std::exp(log_sigma),
                                   " was reached, the tolerances ask for more"));
    flow(at, derivative, log_sigma);
  };
  namespace odeint = boost::numeric::odeint;
  // The first step is a guess that the tolerances correct.
  odeint::integrate_adaptive(
      odeint::make_controlled(options.atol, options.rtol, odeint::runge_kutta_dopri5<std::vector<double>>()),
      limited, state, std::log(from), std::log(to), from < to ? 0.1 : -0.1);
}

/// log p(x) of every row of x, a sample at the level where σ/α = range.min, by the probability flow up to
/// range.max (Song et al. 2021, score SDE, section 4.3; prior: probability_flow::result). Each row takes
/// steps of its own: its result does not depend on the batch that it is in. Clean data count as samples at a
/// level so low that nobody sees the noise.
template <InvertibleSchedule Schedule, class T,
          DifferentiablePredictor<std::remove_const_t<T>, typename Schedule::time_type> P>
[[nodiscard]] std::vector<log_likelihood_result> log_likelihood(const Schedule& schedule, sigma_range range,
                                                                P&& predictor, rows<T> x,
                                                                const log_likelihood_options& options = {}) {
  using R = std::remove_const_t<T>;
  detail::require_range(range);
  std::vector<log_likelihood_result> results;
  for (std::size_t i = 0; i < x.count(); ++i) {
    probability_flow<R, Schedule, std::remove_reference_t<P>> flow(
        schedule, predictor, probes_of<R>(options.divergence, x.row_size(), options.first_sample + i));
    std::vector<double> state = flow.start(x[i], range.min);
    integrate(flow, range.min, range.max, options, state);
    results.push_back(flow.result(state, range));
  }
  return results;
}

}  // namespace diffusion
