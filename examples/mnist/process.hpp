// The diffusion process that a network is trained for.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "diffusion/ddpm.hpp"
#include "names.hpp"

namespace mnist {

using vp_schedule = diffusion::discrete_schedule<>;

/// The library's schedules by name. Those over betas keep their total noise for other numbers of steps than
/// 1000.
inline constexpr std::array<std::pair<std::string_view, vp_schedule (*)(int)>, 8> schedules{{
    {"cosine", [](int steps) { return diffusion::cosine_schedule(steps); }},
    {"linear",
     [](int steps) { return diffusion::linear_schedule(steps, diffusion::rescaled_beta_range(steps)); }},
    {"quadratic",
     [](int steps) { return diffusion::quadratic_schedule(steps, diffusion::rescaled_beta_range(steps)); }},
    {"sigmoid",
     [](int steps) { return diffusion::sigmoid_schedule(steps, diffusion::rescaled_beta_range(steps)); }},
    {"sigmoid_alpha_bar", [](int steps) { return diffusion::sigmoid_alpha_bar_schedule(steps); }},
    {"exponential", [](int steps) { return diffusion::exponential_schedule(steps); }},
    {"laplace", [](int steps) { return diffusion::laplace_schedule(steps); }},
    {"jsd", [](int steps) { return diffusion::jsd_schedule(steps); }},
}};

/// What a network may be trained to output.
inline constexpr std::array<std::pair<std::string_view, diffusion::prediction>, 3> predictions{{
    {"v", diffusion::prediction::v},
    {"epsilon", diffusion::prediction::epsilon},
    {"x0", diffusion::prediction::x0},
}};

struct process_config {
  std::string schedule = "cosine";
  std::string prediction = "v";
  int steps = 1000;  ///< T

  [[nodiscard]] diffusion::prediction kind() const { return by_name("prediction", prediction, predictions); }

  /// Throws std::invalid_argument for an unknown name, steps out of range, or a schedule that the prediction
  /// cannot be sampled with (epsilon at zero signal).
  [[nodiscard]] vp_schedule make_schedule() const {
    if (steps < 1 || steps > 100000)
      throw std::invalid_argument("steps = " + std::to_string(steps) + ", must be in 1..100000");
    auto result = by_name("schedule", schedule, schedules)(steps);
    (void)diffusion::x0_map(kind(), result.level(steps));
    return result;
  }

  bool operator==(const process_config&) const = default;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(process_config, schedule, prediction, steps)

}  // namespace mnist
