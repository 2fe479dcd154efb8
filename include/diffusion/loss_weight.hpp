#pragma once

#include <algorithm>

#include "diffusion/detail/error.hpp"
#include "diffusion/prediction.hpp"

namespace diffusion {

/// Weight of the squared error of a network's output that makes the error of x̂0 count min(SNR, γ) (Hang et
/// al. 2023, arXiv:2303.09556). Variance preserving: min(SNR, γ)/SNR for ε, min(SNR, γ) for x0,
/// min(SNR, γ)/(SNR + 1) for v. γ in (0, inf]; at inf the errors of ε count alike. Finite, also at zero SNR,
/// where that of ε is 1, and for clean data; only that of x0 at clean data is γ, whatever γ is.
[[nodiscard]] inline double min_snr_weight(prediction kind, noise_level level, double gamma = 5) {
  const auto [a, s] = level;
  detail::require_level("level", level);
  if (!(gamma > 0)) detail::invalid("gamma", gamma, "(0, inf]");
  const double ratio = snr(level);
  const double of_epsilon = ratio <= gamma ? 1 : gamma / ratio;  // no division where SNR = 0 or γ = inf
  const auto squared = [](double x) { return x * x; };
  switch (kind) {
    case prediction::epsilon:
      return of_epsilon;
    case prediction::x0:
      return std::min(ratio, gamma);
    case prediction::v:
      return of_epsilon * squared(a / (a * a + s * s));
    case prediction::score:
      return of_epsilon * squared(s);
    case prediction::velocity:
      return of_epsilon * squared(a / (a + s));
  }
  detail::invalid("prediction", static_cast<int>(kind), "a member of diffusion::prediction");
}

}  // namespace diffusion
