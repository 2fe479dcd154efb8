#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace mnist {

using Eigen::Index;

template <class T>
using row_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using matrix_view = Eigen::Map<row_matrix<T>>;
template <class T>
using const_matrix_view = Eigen::Map<const row_matrix<T>>;
template <class T>
using array_view = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
template <class T>
using const_array_view = Eigen::Map<const Eigen::Array<T, 1, Eigen::Dynamic>>;

/// A vector whose elements start where SIMD registers do: Eigen rounds differently before the first such
/// place, so results would depend on where the memory happened to lie.
template <class T>
using aligned_vector = std::vector<T, Eigen::aligned_allocator<T>>;

/// Buffers for the tensors of one thread. A buffer that was given back serves the next request of exactly its
/// size, so a sequence of requests that was seen before allocates nothing.
template <class T>
class buffer_pool {
 public:
  using buffer = Eigen::Array<T, 1, Eigen::Dynamic>;

  /// A buffer of `size` elements with unspecified contents.
  buffer take(Index size) {
    // From the back: what was used last is still in the cache.
    const auto found =
        std::find_if(free_.rbegin(), free_.rend(), [&](const buffer& b) { return b.size() == size; });
    if (found == free_.rend()) {
      bytes_ += static_cast<std::size_t>(size) * sizeof(T);
      return buffer(size);
    }
    buffer result = std::move(*found);
    free_.erase(std::next(found).base());
    return result;
  }

  void give_back(buffer&& b) { free_.push_back(std::move(b)); }

  /// Memory of all buffers, given out or not.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::vector<buffer> free_;
  std::size_t bytes_ = 0;
};

/// Feature maps of n images with the channels of a pixel side by side: n x h x w x channels, row-major. For
/// the layers that treat all pixels alike it is a matrix with one row per pixel; with h = w = 1 it holds n
/// vectors. The storage returns to the pool, which must outlive the tensor.
template <class T>
class tensor {
 public:
  /// Elements that may be read, but not written, behind the last: kernels load whole SIMD registers.
  static constexpr Index slack = 64;
  int n = 0, h = 0, w = 0, channels = 0;

  tensor() = default;
  /// Contents are unspecified.
  tensor(buffer_pool<T>& pool, int n_, int h_, int w_, int channels_)
      : n(n_), h(h_), w(w_), channels(channels_), pool_(&pool), data_(pool.take(size() + slack)) {}
  tensor(tensor&& other) noexcept { swap(other); }
  tensor& operator=(tensor&& other) noexcept {
    tensor(std::move(other)).swap(*this);
    return *this;
  }
  ~tensor() {
    if (pool_) pool_->give_back(std::move(data_));
  }

  [[nodiscard]] buffer_pool<T>& pool() const { return *pool_; }
  [[nodiscard]] T* data() { return data_.data(); }
  [[nodiscard]] const T* data() const { return data_.data(); }
  /// Pixels of one image.
  [[nodiscard]] Index area() const { return Index{h} * w; }
  [[nodiscard]] Index size() const { return n * area() * channels; }

  /// All pixels: (n * h * w) x channels.
  [[nodiscard]] matrix_view<T> matrix() { return {data(), n * area(), channels}; }
  [[nodiscard]] const_matrix_view<T> matrix() const { return {data(), n * area(), channels}; }
  /// The pixels of one image: (h * w) x channels.
  [[nodiscard]] matrix_view<T> image(int i) { return {data() + i * area() * channels, area(), channels}; }
  [[nodiscard]] const_matrix_view<T> image(int i) const {
    return {data() + i * area() * channels, area(), channels};
  }
  [[nodiscard]] array_view<T> array() { return {data(), size()}; }
  [[nodiscard]] const_array_view<T> array() const { return {data(), size()}; }

 private:
  void swap(tensor& other) noexcept {
    std::swap(n, other.n);
    std::swap(h, other.h);
    std::swap(w, other.w);
    std::swap(channels, other.channels);
    std::swap(pool_, other.pool_);
    data_.swap(other.data_);
  }

  buffer_pool<T>* pool_ = nullptr;
  typename buffer_pool<T>::buffer data_;
};

/// An uninitialised tensor with the shape of x, or with that shape and other channels.
template <class T>
[[nodiscard]] tensor<T> like(const tensor<T>& x, int channels) {
  return tensor<T>(x.pool(), x.n, x.h, x.w, channels);
}
template <class T>
[[nodiscard]] tensor<T> like(const tensor<T>& x) {
  return like(x, x.channels);
}

template <class T>
[[nodiscard]] tensor<T> copy(const tensor<T>& x) {
  tensor<T> y = like(x);
  y.array() = x.array();
  return y;
}

/// [a, b] along channels; all other sizes agree.
template <class T>
[[nodiscard]] tensor<T> concatenate(const tensor<T>& a, const tensor<T>& b) {
  tensor<T> y = like(a, a.channels + b.channels);
  y.matrix() << a.matrix(), b.matrix();
  return y;
}

/// Channels [first, first + channels) of x.
template <class T>
[[nodiscard]] tensor<T> channel_range(const tensor<T>& x, int first, int channels) {
  tensor<T> y = like(x, channels);
  y.matrix() = x.matrix().middleCols(first, channels);
  return y;
}

}  // namespace mnist
