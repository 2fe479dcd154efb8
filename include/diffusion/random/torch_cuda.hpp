#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>

#include "diffusion/random/philox.hpp"
#include "diffusion/rows.hpp"

namespace diffusion {

/// What PyTorch's numbers depend on of a device, as `torch.cuda.get_device_properties` tells it:
/// `multi_processor_count` and `max_threads_per_multi_processor`, such as 108 and 2048 (A100), 132 and 2048
/// (H100 SXM), 128 and 1536 (RTX 4090), 40 and 1024 (T4).
struct cuda_device {
  int multiprocessors;
  int threads_per_multiprocessor;
};

namespace detail {

/// The normals of one call of a thread, from its four words, as curand_normal4 and curand_normal2_double make
/// them. A device takes approximate functions in float; here the exact ones of the same uniforms, rounded.
inline std::array<float, 4> curand_normals(const std::array<std::uint32_t, 4>& w, float) noexcept {
  std::array<float, 4> z;
  for (std::size_t i = 0; i < 4; i += 2) {
    constexpr float turn = 0x1p-32F * 2 * std::numbers::pi_v<float>;
    const float u = static_cast<float>(w[i]) * 0x1p-32F + 0x1p-33F;
    const float angle = std::fma(static_cast<float>(w[i + 1]), turn, turn / 2);
    const double radius = std::sqrt(-2 * std::log(double{u}));
    z[i] = static_cast<float>(radius * std::sin(double{angle}));
    z[i + 1] = static_cast<float>(radius * std::cos(double{angle}));
  }
  return z;
}
inline std::array<double, 2> curand_normals(const std::array<std::uint32_t, 4>& w, double) noexcept {
  const auto uniform = [](std::uint64_t low, std::uint64_t high) {
    return static_cast<double>(low ^ (high << 21)) * 0x1p-53 + 0x1p-54;
  };
  const double radius = std::sqrt(-2 * std::log(uniform(w[0], w[1])));
  const double angle = 2 * std::numbers::pi * uniform(w[2], w[3]);
  return {radius * std::sin(angle), radius * std::cos(angle)};
}

}  // namespace detail

/// The numbers of a CUDA generator of PyTorch: `torch.Generator("cuda").manual_seed(seed)` and
/// `torch.randn(n, device="cuda", generator=g)` of contiguous tensors. The state goes on from call to call as
/// there; copies go on independently. The layout is PyTorch's since a correction of 2024; before it,
/// double tensors larger than twice a device's threads shared numbers with the next call.
///
/// Blocks of 256 threads, as many as the device runs at once and at most one thread per element, each with a
/// sequence of Philox of its own. Thread i makes the elements i, i + threads, i + 2 threads, …, four (float)
/// or two (double) per call. Hence only tensors with more elements than the device has threads depend on the
/// device.
///
/// PyTorch's float values differ by the device's approximate sine, by about 2e-6; double values differ in
/// their last bits.
class torch_cuda_generator {
 public:
  /// Throws unless the device has at least one multiprocessor with 256 threads or more.
  torch_cuda_generator(std::uint64_t seed, const cuda_device& device) : seed_(seed) {
    if (device.multiprocessors < 1) detail::invalid("multiprocessors", device.multiprocessors, "at least 1");
    if (device.threads_per_multiprocessor < block)
      detail::invalid("threads_per_multiprocessor", device.threads_per_multiprocessor,
                      detail::text("at least ", block));
    max_blocks_ = static_cast<std::uint64_t>(device.multiprocessors) *
                  static_cast<std::uint64_t>(device.threads_per_multiprocessor / block);
  }

  /// Standard normals. Throws for more than 2 GiB: PyTorch splits such tensors.
  void randn(std::span<float> out) { fill_normal(out); }
  void randn(std::span<double> out) { fill_normal(out); }

 private:
  static constexpr int block = 256;

  template <Scalar T>
  void fill_normal(std::span<T> out) {
    if (out.empty()) return;
    constexpr std::size_t limit = (std::size_t{1} << 31) / sizeof(T);
    if (out.size() > limit) detail::invalid("size of out", out.size(), detail::text("at most ", limit));
    constexpr std::size_t per_call = 16 / sizeof(T);
    const std::size_t blocks = (out.size() + block - 1) / block;
    const std::size_t threads =
        static_cast<std::size_t>(std::min<std::uint64_t>(blocks, max_blocks_)) * block;
    std::uint64_t calls = 0;
    for (std::size_t start = 0; start < out.size(); start += per_call * threads, ++calls)
      for (std::size_t thread = 0; thread < std::min(threads, out.size() - start); ++thread) {
        const auto z = detail::curand_normals(words(calls_ + calls, thread), T{});
        for (std::size_t k = 0; k < per_call && start + k * threads + thread < out.size(); ++k)
          out[start + k * threads + thread] = z[k];
      }
    calls_ += calls;
  }

  [[nodiscard]] std::array<std::uint32_t, 4> words(std::uint64_t call, std::uint64_t thread) const noexcept {
    const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    return philox4x32({low(call), low(call >> 32), low(thread), low(thread >> 32)},
                      {low(seed_), low(seed_ >> 32)});
  }

  std::uint64_t seed_;
  std::uint64_t max_blocks_;
  std::uint64_t calls_ = 0;  // PyTorch counts words: four times as many
};

}  // namespace diffusion
