#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/rows.hpp"

namespace diffusion {

/// A copyable source of a stream of standard normals, such as torch_cpu_generator.
template <class G, class T>
concept NormalGenerator = Scalar<T> && std::copyable<G> && requires(G& generator, std::span<T> z) {
  generator.randn(z);
};

/// Noise of samples 0 … count-1 from a generator that draws whole batches, as diffusers does with one
/// generator: first the start (step 0), then the noise of every step, each with one `randn` of the whole
/// batch. It reproduces diffusers' runs for samplers that draw in every step; where one draws nothing in its
/// last step (DDPM), the numbers before are the same.
///
/// A batch is drawn when the first row of its step is asked for, and kept. Steps that were passed over are
/// drawn too; an earlier step starts again from the generator as it was given. Not for use by several threads
/// at once. Only the constructor allocates.
template <class Generator, Scalar T>
requires NormalGenerator<Generator, T>
class batch_noise {
 public:
  /// Rows of row_size elements. Throws unless both sizes are at least 1.
  batch_noise(Generator generator, std::size_t count, std::size_t row_size)
      : initial_(std::move(generator)), current_(initial_), count_(count) {
    if (count == 0) detail::invalid("count", count, "at least 1");
    if (row_size == 0) detail::invalid("row_size", row_size, "at least 1");
    batch_.resize(count * row_size);
  }

  /// Throws unless sample < count and z has row_size elements.
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<T> z) {
    if (sample >= count_) detail::invalid("sample", sample, detail::text("below ", count_));
    const std::size_t row_size = batch_.size() / count_;
    detail::require_size("z", z.size(), row_size);
    if (step + std::uint64_t{1} < drawn_) {
      current_ = initial_;
      drawn_ = 0;
    }
    for (; drawn_ <= step; ++drawn_) current_.randn(std::span<T>(batch_));
    const auto row =
        std::span<const T>(batch_).subspan(static_cast<std::size_t>(sample) * row_size, row_size);
    std::copy(row.begin(), row.end(), z.begin());
  }

 private:
  Generator initial_;
  Generator current_;
  std::size_t count_;
  std::vector<T> batch_;     // the noise of step drawn_ - 1
  std::uint64_t drawn_ = 0;  // batches drawn since the start
};

}  // namespace diffusion
