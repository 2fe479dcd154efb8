#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <utility>
#include <vector>

namespace mnist {

using index = Eigen::Index;

template <class T>
using row_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using matrix_view = Eigen::Map<row_matrix<T>>;
template <class T>
using const_matrix_view = Eigen::Map<const row_matrix<T>>;
template <class T>
using array_view = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <class T>
using const_array_view = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

/// Buffers for the tensors of one thread. A buffer that was given back serves the next request of exactly its
/// size, so a sequence of requests that was seen before allocates nothing.
template <class T>
class buffer_pool {
 public:
  using buffer = Eigen::Array<T, Eigen::Dynamic, 1>;

  /// A buffer of `size` elements with unspecified contents.
  buffer take(index size) {
    // From the back: what was used last is still in the cache.
    const auto found =
        std::find_if(free_.rbegin(), free_.rend(), [&](const buffer& b) { return b.size() == size; });
    if (found == free_.rend()) return buffer(size);
    buffer result = std::move(*found);
    free_.erase(std::next(found).base());
    return result;
  }

  void give_back(buffer&& b) { free_.push_back(std::move(b)); }

 private:
  std::vector<buffer> free_;
};

/// Feature maps of n images, stored channel first: channels x (n * h * w), row-major. A convolution of a
/// whole batch is then one matrix product, a concatenation along channels one block above the other, and with
/// h = w = 1 the tensor is a matrix of n column vectors. The storage returns to the pool, which must outlive
/// the tensor.
template <class T>
class tensor {
 public:
  int channels = 0, n = 0, h = 0, w = 0;

  tensor() = default;
  /// Contents are unspecified.
  tensor(buffer_pool<T>& pool, int channels_, int n_, int h_, int w_)
      : channels(channels_),
        n(n_),
        h(h_),
        w(w_),
        pool_(&pool),
        data_(pool.take(index{channels_} * n_ * h_ * w_)) {}
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
  /// Number of columns: n * h * w.
  [[nodiscard]] index positions() const { return index{n} * h * w; }
  [[nodiscard]] index size() const { return channels * positions(); }
  /// Pixels of one image.
  [[nodiscard]] index area() const { return index{h} * w; }

  /// channels x positions.
  [[nodiscard]] matrix_view<T> matrix() { return {data(), channels, positions()}; }
  [[nodiscard]] const_matrix_view<T> matrix() const { return {data(), channels, positions()}; }
  [[nodiscard]] array_view<T> array() { return {data(), size()}; }
  [[nodiscard]] const_array_view<T> array() const { return {data(), size()}; }
  /// The h * w pixels of one channel of one image.
  [[nodiscard]] array_view<T> plane(int channel, int image) {
    return {data() + (index{channel} * n + image) * area(), area()};
  }
  [[nodiscard]] const_array_view<T> plane(int channel, int image) const {
    return {data() + (index{channel} * n + image) * area(), area()};
  }

 private:
  void swap(tensor& other) noexcept {
    std::swap(channels, other.channels);
    std::swap(n, other.n);
    std::swap(h, other.h);
    std::swap(w, other.w);
    std::swap(pool_, other.pool_);
    data_.swap(other.data_);
  }

  buffer_pool<T>* pool_ = nullptr;
  typename buffer_pool<T>::buffer data_;
};

/// An uninitialised tensor with the shape of x, or with that shape and other channels.
template <class T>
[[nodiscard]] tensor<T> like(const tensor<T>& x) {
  return tensor<T>(x.pool(), x.channels, x.n, x.h, x.w);
}
template <class T>
[[nodiscard]] tensor<T> like(const tensor<T>& x, int channels) {
  return tensor<T>(x.pool(), channels, x.n, x.h, x.w);
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
  y.array() << a.array(), b.array();
  return y;
}

/// Channels [first, first + channels) of x.
template <class T>
[[nodiscard]] tensor<T> channel_range(const tensor<T>& x, int first, int channels) {
  tensor<T> y = like(x, channels);
  y.matrix() = x.matrix().middleRows(first, channels);
  return y;
}

}  // namespace mnist
