#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "diffusion/kernels/for_each_pack.hpp"

namespace diffusion {

/// Fills a row with the noise of one sample at one step. A pure function of its address: calling it twice
/// gives the same values. Step 0 of a run is its start, step k + 1 the noise of its k-th step.
template <class N, class T>
concept NoiseSource = requires(N& noise, std::uint64_t sample, std::uint32_t step, std::span<T> z) {
  noise(sample, step, z);
};

/// The noise of one sample at one step: standard normals by element, up to 2³⁴ of them, made where they are
/// needed. An element is the same in every size, on every processor and with every compiler; the float is
/// the double to float's precision.
template <int Rounds, products P = products::separate>
class normal_row {
 public:
  normal_row(std::uint64_t seed, std::uint64_t sample, std::uint32_t step) : tiles_(seed, sample, step) {}

  template <class Arch = default_arch, Element T, Executor E = serial>
  void fill(std::span<T> z, const E& executor = {}) const {
    using R = arithmetic<T>;
    detail::for_each_block(executor, 1, z.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
      detail::for_each_pack<Arch, R>(begin, end, tiles_,
                                     [&](auto at, const auto& v) { at.store(v, z.data()); });
    });
  }

  [[nodiscard]] const detail::normal_tiles<Rounds, P>& tiles() const noexcept { return tiles_; }

 private:
  detail::normal_tiles<Rounds, P> tiles_;
};

/// Standard normals addressed by (seed, sample, step, element): a sample's noise does not depend on the batch
/// it is in, on its place there or on threads. Philox4x32 with `Rounds` rounds and Box-Muller; |z| ≤ 6.77.
template <int Rounds, products P = products::separate>
struct basic_philox_normal {
  std::uint64_t seed = 0;

  [[nodiscard]] normal_row<Rounds, P> row(std::uint64_t sample, std::uint32_t step) const {
    return {seed, sample, step};
  }

  template <Element T>
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<T> z) const {
    row(sample, step).fill(z);
  }
};

/// The default: 7 rounds, the fewest that pass the statistical tests of Philox's authors and ours.
using philox_normal = basic_philox_normal<7>;
/// 10 rounds, the standard of Philox, with their margin of safety; about a quarter slower.
using philox10_normal = basic_philox_normal<10>;

/// philox_normal with fused products: 5 to 20 % faster with AVX2 and AVX-512, and no longer the same bits as
/// on a processor or in a program without them.
using fused_philox_normal = basic_philox_normal<7, products::fused>;

/// A source whose rows kernels make as they go, tile by tile.
template <class N>
concept RowNoiseSource = requires(const N& noise, std::uint64_t sample, std::uint32_t step) {
  noise.row(sample, step).tiles();
};

/// Noise that the caller supplies: `values` holds the rows of the samples 0 … count-1 for step 0, then for
/// step 1, …. Throws where a sample, a step or the row's size lies outside.
template <Element T>
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
template <Element T, NoiseSource<T> N>
void draw_noise(N& noise, std::uint32_t step, std::uint64_t first_sample, rows<T> z) {
  for (std::size_t i = 0; i < z.count(); ++i) noise(first_sample + i, step, z[i]);
}

}  // namespace diffusion
