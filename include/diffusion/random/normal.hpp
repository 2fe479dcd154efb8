#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>

#include "diffusion/random/philox.hpp"
#include "diffusion/rows.hpp"

namespace diffusion {

/// Fills a row with the noise of one sample at one step. A pure function of its address: calling it twice
/// gives the same values. Step 0 of a run is its start, step k + 1 the noise of its k-th step.
template <class N, class T>
concept NoiseSource = requires(N& noise, std::uint64_t sample, std::uint32_t step, std::span<T> z) {
  noise(sample, step, z);
};

namespace detail {

/// Two independent normals from two words (Box & Muller 1958). The uniforms are (word + 1/2)/2³², so |z|
/// ≤ 6.77.
struct normal_pair {
  double first, second;
};
inline normal_pair box_muller(std::uint32_t radius_word, std::uint32_t angle_word) noexcept {
  const double radius = std::sqrt(-2 * std::log((radius_word + 0.5) * 0x1p-32));
  const double angle = 2 * std::numbers::pi * ((angle_word + 0.5) * 0x1p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace detail

/// Standard normals addressed by (seed, sample, step, element): a sample's noise does not depend on the batch
/// it is in, on its place there or on threads. The float draws are the double draws, rounded. Up to 2³⁴
/// elements.
struct philox_normal {
  std::uint64_t seed = 0;

  template <Scalar T>
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<T> z) const {
    const addressed_words words(seed, sample, step);
    for (std::size_t i = 0; i < z.size(); i += 4) {
      const auto w = words[static_cast<std::uint32_t>(i / 4)];
      const auto [z0, z1] = detail::box_muller(w[0], w[1]);
      const auto [z2, z3] = detail::box_muller(w[2], w[3]);
      const double values[4] = {z0, z1, z2, z3};
      for (std::size_t j = 0; j < 4 && i + j < z.size(); ++j) z[i + j] = static_cast<T>(values[j]);
    }
  }
};

/// Noise that the caller supplies: `values` holds the rows of the samples 0 … count-1 for step 0, then for
/// step 1, …. Throws where a sample, a step or the row's size lies outside.
template <Scalar T>
struct given_noise {
  std::span<const T> values;
  std::size_t samples = 1;

  void operator()(std::uint64_t sample, std::uint32_t step, std::span<T> z) const {
    if (sample >= samples) detail::invalid("sample", sample, detail::text("below ", samples));
    const std::size_t row = static_cast<std::size_t>(step) * samples + static_cast<std::size_t>(sample);
    if (z.empty() || row >= values.size() / z.size())
      detail::invalid("step", step, detail::text("within the ", values.size(), " given values"));
    const auto from = values.subspan(row * z.size(), z.size());
    std::copy(from.begin(), from.end(), z.begin());
  }
};

/// Fills every row with the noise of samples first_sample, first_sample + 1, … at one step.
template <Scalar T, NoiseSource<T> N>
void draw_noise(N& noise, std::uint32_t step, std::uint64_t first_sample, rows<T> z) {
  for (std::size_t i = 0; i < z.count(); ++i) noise(first_sample + i, step, z[i]);
}

}  // namespace diffusion
