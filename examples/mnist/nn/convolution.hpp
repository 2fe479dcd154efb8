#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "nn/correlation.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Cross-correlation (the kernel is not flipped) with a bias.
struct conv2d {
  int in = 0, out = 0;
  window k;
  std::size_t weight = 0, bias = 0;  // out x in x kernel x kernel, out

  conv2d() = default;
  conv2d(parameter_layout& layout, const std::string& name, int in_, int out_, window k_ = {},
         bool zero = false)
      : in(in_), out(out_), k(k_) {
    const initial_value start = fan_in_uniform(in * k.area(), zero);
    weight = layout.add(name + ".weight", {out, in, k.kernel, k.kernel}, start);
    bias = layout.add(name + ".bias", {out}, start);
  }

  /// n x h x w x in -> n x count(h) x count(w) x out.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x) const {
    return correlate(x, values + weight, out, k, values + bias);
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    add_gradients(x, dy, grads);
    return correlate_transposed<T>(dy, values + weight, in, k, nullptr, x.h, x.w);
  }

  /// Only adds the gradients of the parameters.
  template <class T>
  void add_gradients(const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    array_view<T>(grads + bias, out).matrix() += dy.matrix().colwise().sum();
    correlate_filter(x, dy, k, grads + weight);
  }
};

/// Transposed convolution, the adjoint of a conv2d from `out` to `in` channels, with a bias. The window (4,
/// 2, 1) doubles the image exactly.
struct conv_transpose2d {
  int in = 0, out = 0;
  window k{4, 2, 1};
  std::size_t weight = 0, bias = 0;  // in x out x kernel x kernel, out

  conv_transpose2d() = default;
  conv_transpose2d(parameter_layout& layout, const std::string& name, int in_, int out_)
      : in(in_), out(out_) {
    const initial_value start = fan_in_uniform(out * k.area());
    weight = layout.add(name + ".weight", {in, out, k.kernel, k.kernel}, start);
    bias = layout.add(name + ".bias", {out}, start);
  }

  /// n x h x w x in -> n x 2h x 2w x out.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x) const {
    return correlate_transposed(x, values + weight, out, k, values + bias, 2 * x.h, 2 * x.w);
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    array_view<T>(grads + bias, out).matrix() += dy.matrix().colwise().sum();
    correlate_filter(dy, x, k, grads + weight);
    return correlate<T>(dy, values + weight, in, k, nullptr);
  }
};

/// y[., a, b, .] = x[., a/2, b/2, .]: n x h x w x channels -> n x 2h x 2w x channels.
template <class T>
[[nodiscard]] tensor<T> upsample_nearest(const tensor<T>& x) {
  tensor<T> y(x.pool(), x.n, 2 * x.h, 2 * x.w, x.channels);
  const T* from = x.data();
  T* to = y.data();
  const Index line = Index{y.w} * y.channels;
  for (int row = 0; row < x.n * x.h; ++row, to += 2 * line) {
    for (int i = 0; i < x.w; ++i, from += x.channels) {
      T* const pixel = to + Index{2 * i} * x.channels;
      std::copy_n(from, x.channels, pixel);
      std::copy_n(from, x.channels, pixel + x.channels);
    }
    std::copy_n(to, line, to + line);
  }
  return y;
}

/// The gradient of upsample_nearest: sums each 2 x 2 block of dy.
template <class T>
[[nodiscard]] tensor<T> upsample_nearest_backward(const tensor<T>& dy) {
  tensor<T> dx(dy.pool(), dy.n, dy.h / 2, dy.w / 2, dy.channels);
  const T* from = dy.data();
  T* to = dx.data();
  const Index c = dy.channels, line = dy.w * c;
  for (int row = 0; row < dx.n * dx.h; ++row, from += 2 * line) {
    for (int i = 0; i < dx.w; ++i, to += c) {
      const T* pixel = from + 2 * i * c;
      for (Index k = 0; k < c; ++k) {
        to[k] = (pixel[k] + pixel[c + k]) + (pixel[line + k] + pixel[line + c + k]);
      }
    }
  }
  return dx;
}

}  // namespace mnist
