// The picture: panels that show the square [-1.25, 1.25]² of the plane.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/run_path.hpp"
#include "io/plot.hpp"
#include "spirals.hpp"

namespace score_field {

/// What lies in the square, as pixels.
class view {
 public:
  static constexpr int size = 468;
  static constexpr double reach = 1.25;

  [[nodiscard]] plot::canvas& canvas() { return canvas_; }
  [[nodiscard]] const plot::canvas& canvas() const { return canvas_; }

  /// Pixels of a coordinate; y grows upwards.
  [[nodiscard]] static double column(double x) { return (x / reach + 1) / 2 * (size - 1); }
  [[nodiscard]] static double row(double y) { return (1 - y / reach) / 2 * (size - 1); }

  void line(point a, point b, double thickness, plot::color c) {
    canvas_.line(column(a[0]), row(a[1]), column(b[0]), row(b[1]), thickness, c);
  }
  /// Darker where the density of the noised data is higher.
  void shade(const mixture& data, double sigma) {
    std::vector<double> log_density;
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        log_density.push_back(
            data.at({(2.0 * x / (size - 1) - 1) * reach, (1 - 2.0 * y / (size - 1)) * reach}, sigma)
                .log_density);
    const double largest = *std::max_element(log_density.begin(), log_density.end());
    for (std::size_t i = 0; i < log_density.size(); ++i)
      canvas_.blend(static_cast<int>(i) % size, static_cast<int>(i) / size, {86, 180, 233},
                    std::sqrt(std::exp(log_density[i] - largest)));
  }
  void arrow(point from, point to, double thickness, plot::color c) {
    line(from, to, thickness, c);
    for (const double turn : {2.6, -2.6}) {
      const point along{0.4 * (to[0] - from[0]), 0.4 * (to[1] - from[1])};
      line(to,
           {to[0] + along[0] * std::cos(turn) - along[1] * std::sin(turn),
            to[1] + along[0] * std::sin(turn) + along[1] * std::cos(turn)},
           thickness, c);
    }
  }

 private:
  plot::canvas canvas_{size, size};
};

/// The color of the spiral arm that a point is nearest to.
[[nodiscard]] inline plot::color arm_color(const mixture& data, point x) {
  return plot::palette[2 * data.nearest(x) < data.centres.size() ? 0 : 1];
}

[[nodiscard]] inline view draw_points(const mixture& data, diffusion::rows<const float> x) {
  view result;
  for (std::size_t i = 0; i < x.count(); ++i) {
    const point at{x[i][0], x[i][1]};
    result.line(at, at, 2.6, arm_color(data, at));
  }
  return result;
}

/// Arrows of the learnt score, as long as σ|s| / (1 + σ|s|), over wider ones of the exact score, over the
/// density.
template <class Score>
[[nodiscard]] view draw_field(const mixture& data, Score& score, double sigma) {
  constexpr int across = 23;
  constexpr double cell = 2 * view::reach / across;
  std::vector<float> x, found;
  for (int i = 0; i < across; ++i)
    for (int j = 0; j < across; ++j)
      for (const int k : {i, j}) x.push_back(static_cast<float>((k + 0.5) * cell - view::reach));
  found.resize(x.size());
  const std::size_t count = x.size() / 2;
  score(diffusion::rows<const float>(x, count), diffusion::time_point<double>{sigma, {1, sigma}},
        diffusion::rows<float>(found, count));
  view result;
  result.shade(data, sigma);
  const auto draw = [&](point at, point s, double thickness, plot::color c) {
    const double factor = 0.9 * cell * sigma / (1 + sigma * std::hypot(s[0], s[1]));
    result.arrow(at, {at[0] + factor * s[0], at[1] + factor * s[1]}, thickness, c);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const point at{x[2 * i], x[2 * i + 1]};
    draw(at, data.at(at, sigma).score, 3.4, {240, 160, 60});
    draw(at, {found[2 * i], found[2 * i + 1]}, 1.3, plot::black);
  }
  return result;
}

/// One line per row through its points in turn, in the color of where it ends.
[[nodiscard]] inline view draw_paths(const mixture& data, std::span<const std::vector<float>> states) {
  view result;
  const auto at = [&](std::size_t k, std::size_t i) { return point{states[k][2 * i], states[k][2 * i + 1]}; };
  const std::size_t last = states.size() - 1;
  for (std::size_t i = 0; i < states[0].size() / 2; ++i) {
    const plot::color c = arm_color(data, at(last, i));
    const auto pale = [](std::uint8_t part) { return static_cast<std::uint8_t>(255 - (255 - part) / 2); };
    for (std::size_t k = 0; k < last; ++k)
      result.line(at(k, i), at(k + 1, i), 1.2, {pale(c.red), pale(c.green), pale(c.blue)});
  }
  for (std::size_t i = 0; i < states[0].size() / 2; ++i)
    result.line(at(last, i), at(last, i), 5, arm_color(data, at(last, i)));
  return result;
}

struct panel {
  std::string title;
  view content;
};

/// Panels in rows of three below a title and a line that explains them.
[[nodiscard]] inline plot::canvas draw(std::string_view title, std::string_view legend,
                                       std::span<const panel> panels) {
  constexpr int gap = 24, head = 100, caption = 30;
  constexpr int across = view::size + gap, down = caption + view::size + gap;
  plot::canvas result(gap + 3 * across, head + down * ((static_cast<int>(panels.size()) + 2) / 3));
  result.text(gap, 22, title, plot::black, 3);
  result.text(gap, 58, legend, plot::grey);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const int left = gap + static_cast<int>(i % 3) * across, top = head + static_cast<int>(i / 3) * down;
    result.text(left, top, panels[i].title, plot::black);
    const auto pixels = panels[i].content.canvas().pixels();
    result.fill(left - 1, top + caption - 1, view::size + 2, view::size + 2, plot::grey);
    for (int y = 0; y < view::size; ++y)
      for (int x = 0; x < view::size; ++x) {
        const auto* const p = pixels.data() + 3 * (y * view::size + x);
        result.blend(left + x, top + caption + y, {p[0], p[1], p[2]}, 1);
      }
  }
  return result;
}

}  // namespace score_field
