#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "diffusion/divergence.hpp"
#include "diffusion/run_path.hpp"
#include "diffusion/schedules/sigma_lists.hpp"

namespace diffusion {

/// The log-density of one sample. In nats: bits per dimension are bits_per_dimension(…).
struct log_likelihood_result {
  double log_likelihood = 0;   ///< log N(latent; 0, ς_max² I) + log_volume
  double standard_error = 0;   ///< of its mean over the probes: 0 if exact, NaN of a single probe
  double log_volume = 0;       ///< log |det ∂latent/∂x|; with it any other prior gives another likelihood
  std::vector<double> latent;  ///< x/α where σ/α = ς_max
  std::size_t evaluations = 0;
};

/// The probability flow of one sample together with the density that it carries, as an ordinary differential
/// equation in u = log ς, ς = σ/α, for any solver: it is called as flow(state, derivative, u). A state holds
/// y = x/α and, for every estimate of the divergence, the integral ℓ so far:
///   dy/du = ς ε̂,   dℓ/du = ς ∇_y·ε̂ = σ ∇_x·ε̂,   log q(y) at the start = log q(y) at the end + ℓ
/// (Song et al. 2021, score SDE, eq. 39; Chen et al. 2018). The network must be smooth between its times.
template <Scalar T, InvertibleSchedule Schedule, DifferentiablePredictor<T, typename Schedule::time_type> P>
class probability_flow {
 public:
  /// `predictor` must outlive the flow.
  probability_flow(Schedule schedule, P& predictor, divergence_probes<T> probes)
      : schedule_(std::move(schedule)),
        predictor_(&predictor),
        divergence_(std::move(probes)),
        x_(divergence_.dimensions()) {}

  /// The state of a sample x with the level where σ/α = ς.
  [[nodiscard]] std::vector<double> start(std::span<const T> x, double noise_to_signal) const {
    detail::require_size("x", x.size(), x_.size());
    const double alpha = level_at(noise_to_signal).alpha;
    std::vector<double> state(x.size() + divergence_.estimates());
    for (std::size_t i = 0; i < x.size(); ++i) state[i] = static_cast<double>(x[i]) / alpha;
    return state;
  }

  /// Throws std::invalid_argument where the network's output is not finite. Allocates nothing.
  void operator()(std::span<const double> state, std::span<double> derivative, double log_sigma) {
    detail::require_size("state", state.size(), x_.size() + divergence_.estimates());
    detail::require_size("derivative", derivative.size(), state.size());
    const double ratio = std::exp(log_sigma);
    const auto at = schedule_.find(ratio);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = at.level.alpha * state[i];
    const auto epsilon = derivative.first(x_.size());
    const auto divergence = derivative.subspan(x_.size());
    divergence_(*predictor_, x_, at, epsilon, divergence);
    for (double& value : epsilon) value *= ratio;
    for (double& value : divergence) value *= at.level.sigma;
    for (const double value : derivative)
      if (!std::isfinite(value))
        detail::invalid(detail::text("derivative at sigma / alpha = ", ratio), value,
                        "finite: the network's output is not");
    ++evaluations_;
  }

  /// How often it was called.
  [[nodiscard]] std::size_t evaluations() const noexcept { return evaluations_; }

  /// What a state at range.max says about the sample that started at range.min: the density of x = α y there,
  /// under the prior N(0, σ² I) of x at range.max, that of a start from noise. It neglects the data beside
  /// the noise: in the mean about ‖x_0‖²/2ς² nats.
  [[nodiscard]] log_likelihood_result result(std::span<const double> state, sigma_range range) const {
    detail::require_size("state", state.size(), x_.size() + divergence_.estimates());
    const double dimensions = static_cast<double>(x_.size());
    const auto latent = state.first(x_.size());
    const auto estimates = state.subspan(x_.size());
    const double count = static_cast<double>(estimates.size());
    const double mean =
        detail::ordered_sum(estimates.size(), [&](std::size_t k) { return estimates[k]; }) / count;
    const double squares = detail::ordered_sum(
        estimates.size(), [&](std::size_t k) { return (estimates[k] - mean) * (estimates[k] - mean); });
    log_likelihood_result result{.latent = {latent.begin(), latent.end()}, .evaluations = evaluations_};
    if (!divergence_.exact()) result.standard_error = std::sqrt(squares / (count * (count - 1)));
    result.log_volume = mean - dimensions * std::log(level_at(range.min).alpha);
    const double square = detail::ordered_sum(
        x_.size(), [&](std::size_t i) { return (latent[i] / range.max) * (latent[i] / range.max); });
    result.log_likelihood = result.log_volume - square / 2 -
                            dimensions * (std::log(range.max) + std::log(2 * std::numbers::pi) / 2);
    return result;
  }

 private:
  [[nodiscard]] noise_level level_at(double noise_to_signal) const {
    return schedule_.find(noise_to_signal).level;
  }

  Schedule schedule_;
  P* predictor_;
  epsilon_divergence<T> divergence_;
  std::vector<double> x_;
  std::size_t evaluations_ = 0;
};

}  // namespace diffusion
