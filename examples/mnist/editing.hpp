// Working on given images with a diffusion process: the middle of its way to noise and back.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/ddpm.hpp"
#include "process.hpp"

namespace mnist {

/// The time t in 1 ... T whose noise comes closest to `noise`, the deviation of the noise over the factor of
/// the signal. Throws std::invalid_argument unless it lies in (0, that of T].
[[nodiscard]] inline int time_of_noise(const vp_schedule& schedule, double noise) {
  const auto at = [&](int t) { return diffusion::noise_to_signal(schedule.level(t)); };
  if (const double most = at(schedule.steps()); !(noise > 0 && noise <= most && std::isfinite(noise))) {
    std::array<char, 80> text;
    std::snprintf(text.data(), text.size(), "noise = %g, must be in (0, %.4g]", noise, most);
    throw std::invalid_argument(text.data());
  }
  int t = 1;
  while (t < schedule.steps() && std::abs(at(t + 1) - noise) <= std::abs(at(t) - noise)) ++t;
  return t;
}

/// Where a run between data and the noise of time t goes and how.
struct passage {
  int t = 1;       ///< in 1 ... T
  int steps = 50;  ///< at most; there are no more than times
  double eta = 0;  ///< of ddim, towards the data
  int first = 1;   ///< the smallest time that the network knows

  /// Throws std::invalid_argument unless first <= t.
  [[nodiscard]] diffusion::time_grid grid() const {
    if (t < first)
      throw std::invalid_argument("time = " + std::to_string(t) + ", must be at least " +
                                  std::to_string(first) +
                                  ": the network learnt from noisy images and knows no level below");
    const int times = t - first + 1;
    return from_first(first, diffusion::trailing_grid(times, std::min(steps, times)));
  }
};

struct ignore_run {
  void operator()(const auto&) const {}
};

/// Runs the reverse process from time t down to data, in place: x holds draws of q(x_t | x_0). on_step as in
/// diffusion::sample, first_sample as in run_options.
template <class P, class OnStep = ignore_run>
void decode(const vp_schedule& schedule, const passage& way, P predict, std::uint64_t seed,
            diffusion::rows<float> x, OnStep&& on_step = {}, std::uint64_t first_sample = 0) {
  diffusion::workspace<float> work;
  diffusion::sample(schedule, way.grid(), diffusion::ddim{.eta = way.eta}, predict,
                    diffusion::philox_normal{seed}, x, work,
                    {.x0 = diffusion::x0_clip{}, .first_sample = first_sample}, on_step);
}

/// DDIM inversion, in place: from data up to the state at time t which decode with eta = 0 leads back.
template <class P, class OnStep = ignore_run>
void encode(const vp_schedule& schedule, const passage& way, P predict, diffusion::rows<float> x,
            OnStep&& on_step = {}) {
  diffusion::workspace<float> work;
  diffusion::sample(schedule, diffusion::inverted(way.grid()), diffusion::ddim{}, predict,
                    diffusion::philox_normal{}, x, work, {.x0 = diffusion::x0_clip{}}, on_step);
}

/// (1 - weight) a + weight b.
inline void mix_linearly(std::span<const float> a, std::span<const float> b, double weight,
                         std::span<float> to) {
  diffusion::linear_combination(1 - weight, a, weight, b, to);
}

/// The same on the great circle through both, which keeps the length that noise has (Shoemake 1985).
inline void mix_on_sphere(std::span<const float> a, std::span<const float> b, double weight,
                          std::span<float> to) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    ab += double{a[i]} * b[i];
  }
  const double angle = std::acos(std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0));
  const double sine = std::sin(angle);
  // Between parallel vectors, and from a zero one, the straight line is as good as any arc.
  if (!(sine > 1e-6)) return mix_linearly(a, b, weight, to);
  diffusion::linear_combination(std::sin((1 - weight) * angle) / sine, a, std::sin(weight * angle) / sine, b,
                                to);
}

using mixing = void (*)(std::span<const float>, std::span<const float>, double, std::span<float>);
inline constexpr std::array<std::pair<std::string_view, mixing>, 2> mixings{
    {{"linear", mix_linearly}, {"sphere", mix_on_sphere}}};

/// Peak signal-to-noise ratio in dB of an image in [-1, 1]; infinite if it is the clean one.
[[nodiscard]] inline double psnr(std::span<const float> clean, std::span<const float> image) {
  double squares = 0;
  for (std::size_t i = 0; i < clean.size(); ++i) squares += std::pow(double{image[i]} - clean[i], 2);
  return 10 * std::log10(4 * static_cast<double>(clean.size()) / squares);
}

/// Masks of 28 x 28 pixels by name: which ones they hide.
enum class hidden { left, right, top, bottom, centre, random };
inline constexpr std::array<std::pair<std::string_view, hidden>, 6> masks{{{"left", hidden::left},
                                                                           {"right", hidden::right},
                                                                           {"top", hidden::top},
                                                                           {"bottom", hidden::bottom},
                                                                           {"centre", hidden::centre},
                                                                           {"random", hidden::random}}};

/// 1 where a pixel is known, 0 where it is hidden: a half, the square in the centre with half the width, or
/// three quarters of all pixels at random.
[[nodiscard]] inline std::vector<float> mask_of(hidden which, std::uint64_t seed) {
  constexpr std::uint32_t size = 28;
  const diffusion::addressed_words words(seed, 0, 0xffff'ffffu);
  std::vector<float> mask;
  for (std::uint32_t y = 0; y < size; ++y)
    for (std::uint32_t x = 0; x < size; ++x) {
      const auto middle = [](std::uint32_t at) { return at >= size / 4 && at < size - size / 4; };
      const bool hides = which == hidden::left     ? x < size / 2
                         : which == hidden::right  ? x >= size / 2
                         : which == hidden::top    ? y < size / 2
                         : which == hidden::bottom ? y >= size / 2
                         : which == hidden::centre ? middle(x) && middle(y)
                                                   : words[y * size + x][0] < 0xc000'0000u;
      mask.push_back(hides ? 0.0f : 1.0f);
    }
  return mask;
}

}  // namespace mnist
