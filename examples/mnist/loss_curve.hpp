// The picture of a training run: loss and learning rate over the images shown.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "io/plot.hpp"
#include "training.hpp"

namespace mnist {

/// Means over each point and up to `reach` neighbours on either side, fewer at the ends so that the window
/// stays centred.
[[nodiscard]] inline std::vector<double> smoothed(std::span<const double> values, std::size_t reach) {
  std::vector<double> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t side = std::min({reach, i, values.size() - 1 - i});
    const auto window = values.subspan(i - side, 2 * side + 1);
    result.push_back(std::accumulate(window.begin(), window.end(), 0.0) / static_cast<double>(window.size()));
  }
  return result;
}

/// Draws the run so far.
[[nodiscard]] inline plot::canvas loss_curve(const trainer& run) {
  const auto& history = run.history();
  const double batch = run.options().batch;
  const double images = batch * static_cast<double>(run.total_steps());
  const double unit = images >= 10000 ? 1000 : 1;  // short numbers at the axis
  const std::string across = unit == 1 ? "images" : "thousands of images";
  const std::vector<double> means = history.means(run.step());
  std::vector<double> at, rates;
  for (std::size_t i = 0; i < means.size(); ++i) {
    const std::int64_t first = static_cast<std::int64_t>(i) * history.interval();
    const std::int64_t last = std::min(first + history.interval(), run.step()) - 1;
    at.push_back(batch * static_cast<double>(first + last + 2) / 2 / unit);
    rates.push_back(1000 * run.learning_rate((first + last) / 2));
  }
  const std::string each =
      history.interval() == 1 ? "each step" : "mean of " + std::to_string(history.interval()) + " steps";
  constexpr plot::color pale{170, 205, 230};
  const plot::panel panels[] = {
      {"Loss",
       across,
       images / unit,
       {{each, pale, at, means}, {"smoothed", plot::palette[0], at, smoothed(means, means.size() / 50)}},
       true},
      {"Learning rate, thousandths", across, images / unit, {{"", plot::palette[1], at, rates}}},
  };
  return plot::draw("Training on handwritten digits", panels);
}

}  // namespace mnist
