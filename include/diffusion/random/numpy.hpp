#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>

#include "diffusion/random/philox4x64.hpp"

namespace diffusion {

namespace detail {

/// The value, rounded: keeps compilers from fusing a product with the sum that follows. Where x² + y² is
/// rounded once instead of twice, the stream would depend on compiler flags.
inline double rounded(double value) noexcept {
  const volatile double kept = value;
  return kept;
}

}  // namespace detail

/// The numbers of `numpy.random.RandomState(seed)`, which are those of `numpy.random.seed(seed)`. The state
/// goes on from call to call as there; copies go on independently. Normals share the last bits of the
/// standard library's log.
class numpy_random_state {
 public:
  explicit numpy_random_state(std::uint32_t seed) : engine_(seed) {}

  /// Uniform in [0, 1), multiples of 2⁻⁵³: `random_sample` and `rand`.
  void rand(std::span<double> out) {
    for (double& u : out) u = draw_uniform();
  }

  /// Standard normals by the polar method (Marsaglia & Bray 1964): `randn` and `standard_normal`.
  void randn(std::span<double> out) {
    for (double& z : out) z = draw_normal();
  }

 private:
  double draw_uniform() {
    const auto high = static_cast<std::uint64_t>(engine_() >> 5);
    const auto low = static_cast<std::uint64_t>(engine_() >> 6);
    return static_cast<double>(high << 26 | low) * 0x1p-53;
  }

  double draw_normal() {
    if (cached_) {
      const double z = *cached_;
      cached_.reset();
      return z;
    }
    double x = 0;
    double y = 0;
    double square = 0;
    do {
      x = 2 * draw_uniform() - 1;
      y = 2 * draw_uniform() - 1;
      square = detail::rounded(x * x) + detail::rounded(y * y);
    } while (square >= 1 || square == 0);
    const double scale = std::sqrt(-2 * std::log(square) / square);
    cached_ = scale * x;
    return scale * y;
  }

  std::mt19937 engine_;
  std::optional<double> cached_;
};

/// The numbers of `numpy.random.Philox` (Philox4x64-10) and of `Generator(Philox(…))`: raw words and
/// uniforms. (The generator's standard_normal takes a ziggurat; it is not reproduced.)
class numpy_philox {
 public:
  /// `Philox(key=…, counter=…)`, lowest words first.
  explicit numpy_philox(const std::array<std::uint64_t, 2>& key,
                        const std::array<std::uint64_t, 4>& counter = {}) noexcept
      : key_(key), counter_(counter) {}

  /// `Philox(seed)`: the key is hashed from the seed (O'Neill's seed sequence, as NumPy's SeedSequence).
  explicit numpy_philox(std::uint64_t seed) noexcept : key_(hashed(seed)) {}

  /// The next word: `random_raw()`.
  std::uint64_t random_raw() noexcept {
    if (next_ == block_.size()) {
      // The counter is incremented before it is used.
      for (std::uint64_t& word : counter_)
        if (++word != 0) break;
      block_ = philox4x64_10(counter_, key_);
      next_ = 0;
    }
    return block_[next_++];
  }

  /// Uniform in [0, 1), multiples of 2⁻⁵³: `Generator.random`.
  void rand(std::span<double> out) noexcept {
    for (double& u : out) u = static_cast<double>(random_raw() >> 11) * 0x1p-53;
  }

 private:
  static std::array<std::uint64_t, 2> hashed(std::uint64_t seed) noexcept {
    const auto fold = [](std::uint32_t x) { return x ^ (x >> 16); };
    std::uint32_t factor = 0x43B0D7E5;
    const auto hash = [&](std::uint32_t x, std::uint32_t multiplier) {
      x ^= factor;
      factor *= multiplier;
      return fold(x * factor);
    };
    std::array<std::uint32_t, 4> pool{static_cast<std::uint32_t>(seed),
                                      static_cast<std::uint32_t>(seed >> 32)};
    for (std::uint32_t& x : pool) x = hash(x, 0x931E8875);
    for (std::size_t from = 0; from < pool.size(); ++from)
      for (std::size_t to = 0; to < pool.size(); ++to)
        if (from != to) pool[to] = fold(0xCA01F9DD * pool[to] - 0x4973F715 * hash(pool[from], 0x931E8875));
    factor = 0x8B51F9DD;
    for (std::uint32_t& x : pool) x = hash(x, 0x58F38DED);
    return {pool[0] | std::uint64_t{pool[1]} << 32, pool[2] | std::uint64_t{pool[3]} << 32};
  }

  std::array<std::uint64_t, 2> key_;
  std::array<std::uint64_t, 4> counter_{};
  std::array<std::uint64_t, 4> block_{};
  std::size_t next_ = 4;
};

}  // namespace diffusion
