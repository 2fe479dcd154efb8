#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <optional>
#include <random>
#include <span>

#include "diffusion/rows.hpp"

namespace diffusion {

namespace detail {

/// Natural logarithm of x in [2⁻¹²⁶, 1] in single precision, good to about 1e-7 (Cephes' logf: Moshier 1989).
/// Every rounding is part of PyTorch's stream, so the fused operations are spelled out.
inline float cephes_log(float x) noexcept {
  int exponent = 0;
  float m = std::frexp(x, &exponent);  // in [1/2, 1)
  if (m < std::numbers::sqrt2_v<float> / 2) {
    m += m;
    --exponent;
  }
  m -= 1;
  const float e = static_cast<float>(exponent);
  constexpr float p[] = {-1.1514610310e-1F, 1.1676998740e-1F, -1.2420140846e-1F, 1.4249322787e-1F,
                         -1.6668057665e-1F, 2.0000714765e-1F, -2.4999993993e-1F, 3.3333331174e-1F};
  float y = 7.0376836292e-2F;
  for (const float coefficient : p) y = std::fma(y, m, coefficient);
  // ln 2 in two parts, the first with few bits.
  const float square = m * m;
  y = std::fma(y * m, square, e * -2.12194440e-4F);
  y = std::fma(square, -0.5F, y);
  return std::fma(e, 0.693359375F, m + y);
}

struct sine_cosine {
  float sine, cosine;
};

/// Sine and cosine of an angle in [0, 2π], single precision (Cephes' sinf and cosf), in the same manner.
inline sine_cosine cephes_sincos(float angle) noexcept {
  const float octants = angle * 1.27323954473516F;  // 4/π
  const int octant = (static_cast<int>(octants) + 1) & ~1;
  // What is left of the angle, in [-π/4, π/4]: π/4 in three parts.
  const float n = static_cast<float>(octant);
  float x = std::fma(n, -0.78515625F, angle);
  x = std::fma(n, -2.4187564849853515625e-4F, x);
  x = std::fma(n, -3.77489497744594108e-8F, x);
  const float square = x * x;
  float c = std::fma(2.443315711809948e-5F, square, -1.388731625493765e-3F);
  c = std::fma(c, square, 4.166664568298827e-2F);
  c = std::fma(c * square, square, -0.5F * square) + 1;
  float s = std::fma(-1.9515295891e-4F, square, 8.3321608736e-3F);
  s = std::fma(s, square, -1.6666654611e-1F);
  s = std::fma(s * square, x, x);
  switch (octant & 6) {
    case 0:
      return {s, c};
    case 2:
      return {c, -s};
    case 4:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

/// PyTorch's normals from two uniforms in [0, 1), a in place of the first and b of the second. Adding its
/// mean 0 makes -0 a 0.
inline void torch_box_muller(float& a, float& b) noexcept {
  const float radius = std::sqrt(-2 * cephes_log(1 - a));
  const auto [sine, cosine] = cephes_sincos(2 * std::numbers::pi_v<float> * b);
  a = radius * cosine + 0.0F;
  b = radius * sine + 0.0F;
}
inline void torch_box_muller(double& a, double& b) noexcept {
  const double radius = std::sqrt(-2 * std::log(1 - a));
  const double angle = 2 * std::numbers::pi * b;
  a = radius * std::cos(angle) + 0.0;
  b = radius * std::sin(angle) + 0.0;
}

}  // namespace detail

/// The numbers of a CPU generator of PyTorch: `torch.Generator().manual_seed(seed)`, `torch.rand(n,
/// generator=g)` and `torch.randn(n, generator=g)` of contiguous tensors. The state goes on from call to call
/// as there; copies go on independently. As there, only the low 32 bits of the seed count.
///
/// Uniforms are exact. 16 float normals or more are, on every platform, bit-identical to PyTorch's vectorised
/// form as GCC builds it (x86-64 with AVX2 and FMA); its scalar form, on other processors, differs by up to
/// 8e-6. All other normals come from the standard library's double log, sin and cos and share its last bits
/// with PyTorch 2 on the same library; PyTorch 1 takes another logarithm below 16.
class torch_cpu_generator {
 public:
  explicit torch_cpu_generator(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

  /// Uniform in [0, 1): multiples of 2⁻²⁴ in float, of 2⁻⁵³ in double. Any size.
  void rand(std::span<float> out) { fill_uniform(out); }
  void rand(std::span<double> out) { fill_uniform(out); }

  /// Standard normals. Up to 15 are drawn one by one (an odd one leaves its partner for later), from 16 on in
  /// blocks: the same generator gives different numbers for 15 and for 16, and for float and double.
  void randn(std::span<float> out) { fill_normal(out); }
  void randn(std::span<double> out) { fill_normal(out); }

 private:
  static constexpr std::size_t block_size = 16;

  std::uint64_t word() { return static_cast<std::uint32_t>(engine_()); }

  void draw_uniform(float& u) { u = static_cast<float>(word() & 0xFFFFFF) * 0x1p-24F; }
  void draw_uniform(double& u) {
    const std::uint64_t high = word() << 32;
    u = static_cast<double>((high | word()) & 0x1FFFFFFFFFFFFF) * 0x1p-53;
  }

  double draw_normal() {
    if (cached_) {
      const double z = *cached_;
      cached_.reset();
      return z + 0.0;
    }
    double turn = 0;
    double u = 0;
    draw_uniform(turn);
    draw_uniform(u);
    const double radius = std::sqrt(-2 * std::log1p(-u));
    const double angle = 2 * std::numbers::pi * turn;
    cached_ = radius * std::sin(angle);
    return radius * std::cos(angle) + 0.0;
  }

  template <Scalar T>
  void fill_uniform(std::span<T> out) {
    for (T& u : out) draw_uniform(u);
  }

  template <Scalar T>
  static void transform_block(std::span<T> block) {
    for (std::size_t i = 0; i < block_size / 2; ++i)
      detail::torch_box_muller(block[i], block[i + block_size / 2]);
  }

  template <Scalar T>
  void fill_normal(std::span<T> out) {
    if (out.size() < block_size) {
      for (T& z : out) z = static_cast<T>(draw_normal());
      return;
    }
    fill_uniform(out);
    for (std::size_t i = 0; i + block_size <= out.size(); i += block_size)
      transform_block(out.subspan(i, block_size));
    if (out.size() % block_size != 0) {  // the last block begins anew, over what the one before it gave
      const std::span<T> last = out.last(block_size);
      fill_uniform(last);
      transform_block(last);
    }
  }

  std::mt19937 engine_;
  std::optional<double> cached_;
};

}  // namespace diffusion
