#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "diffusion/noise_level.hpp"

namespace diffusion {

/// What a network is trained to output, given x_t = α x_0 + σ ε.
enum class prediction {
  epsilon,   ///< ε (Ho et al. 2020)
  x0,        ///< x_0
  v,         ///< α ε - σ x_0 (Salimans & Ho 2022)
  score,     ///< ∇ log q(x_t) = -ε/σ (Song et al. 2021)
  velocity,  ///< ε - x_0, the derivative of a rectified flow (Liu et al. 2023)
};

inline constexpr std::array<std::pair<std::string_view, prediction>, 5> prediction_names{{
    {"epsilon", prediction::epsilon},
    {"x0", prediction::x0},
    {"v", prediction::v},
    {"score", prediction::score},
    {"velocity", prediction::velocity},
}};

[[nodiscard]] constexpr std::string_view name(prediction kind) noexcept {
  return prediction_names[static_cast<std::size_t>(kind)].first;
}

/// value = scale (x · x_t + model · output). Kept factored: dividing last is what stays accurate near α = 0.
struct prediction_map {
  double x = 0;
  double model = 0;
  double scale = 1;
  [[nodiscard]] double operator()(double x_t, double output) const noexcept {
    return scale * (x * x_t + model * output);
  }
};

/// x̂0 from x_t and the output of a network of this kind. Throws where the output does not determine x_0:
/// ε and score at α = 0.
[[nodiscard]] inline prediction_map x0_map(prediction kind, noise_level level) {
  const auto [a, s] = level;
  detail::require_level("level", level);
  if (a == 0 && (kind == prediction::epsilon || kind == prediction::score))
    detail::invalid("alpha", a,
                    detail::text("(0, inf) for ", name(kind),
                                 " prediction: at zero SNR only x0, v and velocity determine x_0"));
  switch (kind) {
    case prediction::epsilon:
      return {1, -s, 1 / a};
    case prediction::x0:
      return {0, 1, 1};
    case prediction::v:
      return {a, -s, 1 / (a * a + s * s)};
    case prediction::score:
      return {1, s * s, 1 / a};
    case prediction::velocity:
      return {1, -s, 1 / (a + s)};
  }
  detail::invalid("prediction", static_cast<int>(kind), "a member of diffusion::prediction");
}

/// ε̂ from x_t and the output of a network of this kind. Throws where the output does not determine ε: x0 and
/// score at σ = 0.
[[nodiscard]] inline prediction_map epsilon_map(prediction kind, noise_level level) {
  const auto [a, s] = level;
  detail::require_level("level", level);
  if (s == 0 && (kind == prediction::x0 || kind == prediction::score))
    detail::invalid("sigma", s,
                    detail::text("(0, inf) for ", name(kind), " prediction: clean data hold no noise"));
  switch (kind) {
    case prediction::epsilon:
      return {0, 1, 1};
    case prediction::x0:
      return {1, -a, 1 / s};
    case prediction::v:
      return {s, a, 1 / (a * a + s * s)};
    case prediction::score:
      return {0, -s, 1};
    case prediction::velocity:
      return {1, a, 1 / (a + s)};
  }
  detail::invalid("prediction", static_cast<int>(kind), "a member of diffusion::prediction");
}

/// ∇ log q(x_t) = -ε̂/σ from x_t and the output of a network of this kind. Throws where it is infinite: at σ =
/// 0, except for a network of scores.
[[nodiscard]] inline prediction_map score_map(prediction kind, noise_level level) {
  detail::require_level("level", level);
  if (kind == prediction::score) return {0, 1, 1};
  if (level.sigma == 0)
    detail::invalid("sigma", 0, detail::text("(0, inf) for the score of ", name(kind), " prediction"));
  prediction_map score = epsilon_map(kind, level);
  score.scale /= -level.sigma;
  return score;
}

/// x̂0 of a state at `level` whose ε̂ is given by a map. For the ordinary step x0_map is the same and more
/// accurate; this is for an output that belongs to another level, as in inversion.
[[nodiscard]] inline prediction_map x0_map(const prediction_map& epsilon, noise_level level) {
  detail::require_level("level", level);
  if (level.alpha == 0)
    detail::invalid("alpha", level.alpha, "(0, inf): at zero SNR noise does not determine x_0");
  const double factor = level.sigma * epsilon.scale;
  return {1 - factor * epsilon.x, -factor * epsilon.model, 1 / level.alpha};
}

/// The training target of a kind: target = x0 · x_0 + epsilon · ε. Throws for score at σ = 0.
struct target_weights {
  double x0 = 0;
  double epsilon = 0;
};
[[nodiscard]] inline target_weights training_target(prediction kind, noise_level level) {
  const auto [a, s] = level;
  detail::require_level("level", level);
  if (s == 0 && kind == prediction::score) detail::invalid("sigma", s, "(0, inf) for score prediction");
  switch (kind) {
    case prediction::epsilon:
      return {0, 1};
    case prediction::x0:
      return {1, 0};
    case prediction::v:
      return {-s, a};
    case prediction::score:
      return {0, -1 / s};
    case prediction::velocity:
      return {-1, 1};
  }
  detail::invalid("prediction", static_cast<int>(kind), "a member of diffusion::prediction");
}

/// The output that a network of kind `to` would have given, from x_t and the output of one of kind `from`.
[[nodiscard]] inline double convert(prediction from, prediction to, noise_level level, double x_t,
                                    double output) {
  if (from == to) return output;
  const target_weights w = training_target(to, level);
  const double x0 = w.x0 == 0 ? 0 : w.x0 * x0_map(from, level)(x_t, output);
  const double epsilon = w.epsilon == 0 ? 0 : w.epsilon * epsilon_map(from, level)(x_t, output);
  return x0 + epsilon;
}

}  // namespace diffusion
