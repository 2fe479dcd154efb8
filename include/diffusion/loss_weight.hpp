#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "diffusion/posterior.hpp"
#include "diffusion/prediction.hpp"

namespace diffusion {

/// How much squared errors count at a noise level, said of the error of x̂0 and of that of ε̂. They are the
/// same error: ε̂ - ε = -(α/σ)(x̂0 - x_0), so x0 = SNR · epsilon. Each of the two is finite where it can be,
/// zero SNR and clean data included; the functions below say where it cannot.
struct error_weights {
  double x0 = 0;
  double epsilon = 0;
};

/// The unweighted loss of a network of this kind: ‖output - target‖². Variance preserving, x0: SNR for ε
/// ("SNR weighting"; Ho et al. 2020), 1 for x0, SNR + 1 for v (Salimans & Ho 2022). Throws for score at σ =
/// 0.
[[nodiscard]] inline error_weights simple_weights(prediction kind, noise_level level) {
  const auto [a, s] = level;
  const target_weights target = training_target(kind, level);
  const auto product = [](double weight, double ratio) { return weight == 0 ? 0 : weight * ratio; };
  const double x0 = target.x0 - product(target.epsilon, a / s);  // ∂output/∂x̂0 at fixed x_t
  const double epsilon = target.epsilon - product(target.x0, s / a);
  return {x0 * x0, epsilon * epsilon};
}

/// The weight of the squared error of a network's output of this kind. Throws for score at σ = 0.
[[nodiscard]] inline double output_weight(prediction kind, noise_level level, error_weights weights) {
  const error_weights one = simple_weights(kind, level);
  // Of the two quotients the one without a 0 or an infinity: v and velocity have both, one at either end.
  const bool noisy = level.alpha < level.sigma;
  const bool by_x0 =
      kind == prediction::x0 || (noisy && (kind == prediction::v || kind == prediction::velocity));
  return by_x0 ? weights.x0 / one.x0 : weights.epsilon / one.epsilon;
}

/// x0: max(SNR, 1), the larger of the errors of x̂0 and of ε̂ ("truncated SNR"; Salimans & Ho 2022). x0 is
/// infinite for clean data, epsilon at zero SNR.
[[nodiscard]] inline error_weights truncated_snr_weights(noise_level level) {
  detail::require_level("level", level);
  const double ratio = snr(level);
  return {std::max(ratio, 1.0), std::max(1 / ratio, 1.0)};
}

/// x0: min(SNR, γ) (Hang et al. 2023, arXiv:2303.09556), γ in (0, inf]. x0 is infinite for clean data if γ
/// is.
[[nodiscard]] inline error_weights min_snr_weights(noise_level level, double gamma = 5) {
  detail::require_level("level", level);
  if (!(gamma > 0)) detail::invalid("gamma", gamma, "(0, inf]");
  const double ratio = snr(level);
  return {std::min(ratio, gamma), ratio <= gamma ? 1 : gamma / ratio};
}

struct p2_options {
  double k = 1;      ///< (0, inf): below this SNR all errors of ε̂ count alike
  double gamma = 1;  ///< [0, inf): how much less they count above
};

/// epsilon: (k + SNR)^-γ (Choi et al. 2022, "P2"). x0 is infinite for clean data if γ < 1.
[[nodiscard]] inline error_weights p2_weights(noise_level level, p2_options options = {}) {
  const auto [k, gamma] = options;
  detail::require_level("level", level);
  detail::require_positive("k", k);
  if (!(gamma >= 0 && std::isfinite(gamma))) detail::invalid("gamma", gamma, "[0, inf)");
  const double ratio = snr(level);
  const double epsilon = std::pow(k + ratio, -gamma);
  if (ratio <= 1) return {ratio * epsilon, epsilon};
  return {std::pow(1 / ratio, gamma - 1) * std::pow(1 + k / ratio, -gamma), epsilon};
}

/// x0: SNR + 1/σ_d², σ_d the standard deviation of the data: that of EDM's network, c_out² x0 = 1 (Karras et
/// al. 2022, table 1; see edm_preconditioning). x0 is infinite for clean data, epsilon at zero SNR.
[[nodiscard]] inline error_weights edm_weights(noise_level level, double sigma_data = 0.5) {
  detail::require_level("level", level);
  detail::require_positive("sigma_data", sigma_data);
  const double ratio = snr(level);
  const double data = 1 / (sigma_data * sigma_data);
  return {ratio + data, 1 + data / ratio};
}

/// epsilon: 1/(1 + SNR e^-bias), the logistic function of bias - log SNR (Kingma & Gao 2023; Hoogeboom et al.
/// 2024), finite everywhere. The papers mean it per unit of log SNR, see continuous_vlb_weights.
[[nodiscard]] inline error_weights sigmoid_weights(noise_level level, double bias) {
  detail::require_level("level", level);
  if (!std::isfinite(bias)) detail::invalid("bias", bias, "finite");
  const double ratio = snr(level);
  const double scale = std::exp(-bias);
  return {1 / (1 / ratio + scale), 1 / (1 + ratio * scale)};
}

/// The error of a velocity output counts 2/(π(1 - 2s + 2s²)), s = σ/(α + σ): with s uniform in (0, 1), as if
/// it had been drawn such that log SNR has the distribution of a cosine schedule (Esser et al. 2024,
/// section 3.1, "cosmap"). x0 is infinite for clean data, epsilon at zero SNR.
[[nodiscard]] inline error_weights cosmap_weights(noise_level level) {
  const auto [x0, epsilon] = simple_weights(prediction::velocity, level);
  const auto [a, s] = level;
  const double weight = 2 / std::numbers::pi * (a + s) * (a + s) / (a * a + s * s);
  return {weight * x0, weight * epsilon};
}

/// The term of the variational bound for a step of the posterior: KL(q(x_to | x_from, x_0) ‖ the same with
/// x̂0) = x0 ‖x̂0 - x_0‖², x0 = (SNR_to - SNR_from)/2, in nats (Ho et al. 2020, eq. 8; Kingma et al. 2021,
/// section 4). Infinite for a step to clean data, whose term is another: the likelihood of x_0. epsilon is
/// infinite from zero SNR.
[[nodiscard]] inline error_weights vlb_weights(noise_level from, noise_level to) {
  const double r = detail::snr_ratio_root(from, to);
  const double lost = (1 - r) * (1 + r) / 2;
  return {snr(to) * lost, lost / (r * r)};
}

/// The same for infinitely many steps, epsilon: 1/2, per unit of log SNR (Kingma et al. 2021, section 5): the
/// bound is the integral of these losses over log SNR. For draws of log SNR with density p, divide by p.
[[nodiscard]] inline error_weights continuous_vlb_weights(noise_level level) {
  detail::require_level("level", level);
  return {snr(level) / 2, 0.5};
}

}  // namespace diffusion
