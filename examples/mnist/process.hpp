// The diffusion process that a network is trained for.
#pragma once

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// The first time whose σ/α is above that of the data: 1 for clean data. Throws std::invalid_argument if
/// there is none, and for noise that is none.
[[nodiscard]] inline int first_time(const vp_schedule& schedule, double noisy_data) {
  const auto [alpha, sigma] = schedule.level(schedule.steps());
  if (!(noisy_data >= 0 && noisy_data * alpha < sigma && std::isfinite(noisy_data)))
    throw std::invalid_argument("noisy-data = " + std::to_string(noisy_data) +
                                ", must be at least 0 and below sigma/alpha of the last step, " +
                                std::to_string(sigma / alpha));
  int t = 1;
  while (!(diffusion::noise_to_signal(schedule.level(t)) > noisy_data)) ++t;
  return t;
}

/// The steps of a grid over T - first + 1 times as steps over first ... T, the last one down to clean data.
[[nodiscard]] inline diffusion::time_grid from_first(int first, const diffusion::time_grid& grid) {
  std::vector<diffusion::interval<int>> steps(grid.begin(), grid.end());
  for (auto& step : steps)
    for (int* t : {&step.from, &step.to, &step.eval})
      if (*t > 0) *t += first - 1;
  return diffusion::time_grid(std::move(steps));
}

struct process_config {
  std::string schedule = "cosine";
  std::string prediction = "v";
  int steps = 1000;  ///< T
  /// Deviation of the noise in the images that the network learnt from: it knows the levels above alone.
  double noisy_data = 0;

  [[nodiscard]] diffusion::prediction kind() const { return by_name("prediction", prediction, predictions); }

  /// Throws std::invalid_argument for an unknown name, steps out of range, or a schedule that the prediction
  /// cannot be sampled with (epsilon at zero signal), and noise of the data beyond it.
  [[nodiscard]] vp_schedule make_schedule() const {
    if (steps < 1 || steps > 100000)
      throw std::invalid_argument("steps = " + std::to_string(steps) + ", must be in 1..100000");
    auto result = by_name("schedule", schedule, schedules)(steps);
    (void)diffusion::x0_map(kind(), result.level(steps));
    (void)first_time(result, noisy_data);
    return result;
  }

  /// Throws std::invalid_argument for a network that learnt from noisy images: what it knows is no density of
  /// clean ones.
  void require_clean_data() const {
    if (noisy_data != 0)
      throw std::invalid_argument(
          "noisy-data = " + std::to_string(noisy_data) +
          ", must be 0 here: the network learnt from noisy images and has no likelihood "
          "of clean ones");
  }

  bool operator==(const process_config&) const = default;
};

/// `noisy_data` only where the data were noisy.
inline void to_json(nlohmann::json& json, const process_config& process) {
  json = {{"schedule", process.schedule}, {"prediction", process.prediction}, {"steps", process.steps}};
  if (process.noisy_data != 0) json["noisy_data"] = process.noisy_data;
}
inline void from_json(const nlohmann::json& json, process_config& process) {
  json.at("schedule").get_to(process.schedule);
  json.at("prediction").get_to(process.prediction);
  json.at("steps").get_to(process.steps);
  process.noisy_data = json.value("noisy_data", 0.0);
}

}  // namespace mnist
