#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// A square window that slides over an image in steps of `stride`, starting `pad` pixels outside.
struct window {
  int kernel = 3, stride = 1, pad = 1;

  /// Number of window positions along an edge of `size` pixels.
  [[nodiscard]] int count(int size) const { return (size + 2 * pad - kernel) / stride + 1; }
  [[nodiscard]] int area() const { return kernel * kernel; }
  /// Window positions [first, last) whose element `offset` lies inside an edge of `size` pixels.
  [[nodiscard]] int first_inside(int offset) const {
    return std::max(0, (pad - offset + stride - 1) / stride);
  }
  [[nodiscard]] int last_inside(int offset, int size) const {
    return std::clamp((size - 1 + pad - offset + stride) / stride, first_inside(offset), count(size));
  }
};

namespace detail {

/// Calls f(row of the column matrix, pixel row or null, first, last) for every window element of every
/// channel and for every row of window positions in [begin, end) of the n * count(h) such rows; [first, last)
/// are the positions in the row whose element lies inside the image, and pixel row + stride * (position -
/// first) is where it lies.
template <class Data, class T, class F>
void visit_windows(Data* image, const tensor<T>& shape, window k, int begin, int end, T* columns, F&& f) {
  const int rows = k.count(shape.h), width = k.count(shape.w);
  for (int c = 0; c < shape.channels; ++c) {
    for (int ky = 0; ky < k.kernel; ++ky) {
      for (int kx = 0; kx < k.kernel; ++kx) {
        const int first = k.first_inside(kx), last = k.last_inside(kx, shape.w);
        for (int r = begin; r < end; ++r, columns += width) {
          const int y = r % rows * k.stride - k.pad + ky;
          const bool inside = y >= 0 && y < shape.h && first < last;
          const index row = (index{c} * shape.n + r / rows) * shape.h + y;
          f(columns, inside ? image + row * shape.w + first * k.stride - k.pad + kx : nullptr, first, last);
        }
      }
    }
  }
}

/// Window rows that are unrolled at once: as many as keep the column matrix within the second-level cache.
template <class T>
int tile_rows(index depth, int width) {
  constexpr index budget = 192 * 1024 / sizeof(T);
  return static_cast<int>(std::max<index>(1, budget / (depth * width)));
}

}  // namespace detail

/// Unrolls rows [begin, end) of the window positions of x: columns becomes (channels * kernel^2) x (rows *
/// count(w)), zero where a window leaves the image.
template <class T>
void unroll(const tensor<T>& x, window k, int begin, int end, T* columns) {
  const int width = k.count(x.w);
  detail::visit_windows(x.data(), x, k, begin, end, columns, [&](T* to, const T* from, int first, int last) {
    if (!from) first = last = width;
    std::fill(to, to + first, T(0));
    if (k.stride == 1) {
      std::copy(from, from + (last - first), to + first);
    } else {
      for (int i = first; i < last; ++i) to[i] = from[index{i - first} * k.stride];
    }
    std::fill(to + last, to + width, T(0));
  });
}

/// The adjoint of unroll: adds every element of the column matrix to the pixel it was taken from.
template <class T>
void roll_add(T* columns, window k, int begin, int end, tensor<T>& x) {
  detail::visit_windows(x.data(), x, k, begin, end, columns, [&](const T* from, T* to, int first, int last) {
    if (!to) return;
    for (int i = first; i < last; ++i) to[index{i - first} * k.stride] += from[i];
  });
}

namespace detail {

/// Walks over the window positions of `image` in tiles: f(columns, first, count) gets an uninitialised column
/// matrix (channels * kernel^2) x count, its first position among all n * count(h) * count(w), and its first
/// and last row.
template <class T, class F>
void for_each_tile(const tensor<T>& image, window k, F&& f) {
  const int depth = image.channels * k.area(), width = k.count(image.w), rows = image.n * k.count(image.h);
  const int step = std::min(rows, tile_rows<T>(depth, width));
  tensor<T> columns(image.pool(), depth, 1, step, width);
  for (int begin = 0; begin < rows; begin += step) {
    const int end = std::min(rows, begin + step);
    f(matrix_view<T>(columns.data(), depth, index{end - begin} * width), index{begin} * width, begin, end);
  }
}

}  // namespace detail

/// Cross-correlation (the kernel is not flipped) with a bias.
struct conv2d {
  int in = 0, out = 0;
  window k;
  std::size_t weight = 0, bias = 0;  // out x in x kernel x kernel

  conv2d() = default;
  conv2d(parameter_layout& layout, const std::string& name, int in_, int out_, window k_ = {},
         bool zero = false)
      : in(in_), out(out_), k(k_) {
    const initial_value start = fan_in_uniform(in * k.area(), zero);
    weight = layout.add(name + ".weight", {out, in, k.kernel, k.kernel}, start);
    bias = layout.add(name + ".bias", {out}, start);
  }

  /// in x n x h x w -> out x n x count(h) x count(w).
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x) const {
    tensor<T> y(x.pool(), out, x.n, k.count(x.h), k.count(x.w));
    const const_matrix_view<T> filter(values + weight, out, in * k.area());
    y.matrix().colwise() = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>(values + bias, out);
    detail::for_each_tile(x, k, [&](matrix_view<T> columns, index first, int begin, int end) {
      unroll(x, k, begin, end, columns.data());
      y.matrix().middleCols(first, columns.cols()).noalias() += filter * columns;
    });
    return y;
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    const const_matrix_view<T> filter(values + weight, out, in * k.area());
    matrix_view<T> dfilter(grads + weight, out, in * k.area());
    array_view<T>(grads + bias, out) += dy.matrix().rowwise().sum().array();
    tensor<T> dx = like(x);
    dx.array().setZero();
    detail::for_each_tile(x, k, [&](matrix_view<T> columns, index first, int begin, int end) {
      const auto dy_tile = dy.matrix().middleCols(first, columns.cols());
      unroll(x, k, begin, end, columns.data());
      dfilter.noalias() += dy_tile * columns.transpose();
      columns.noalias() = filter.transpose() * dy_tile;
      roll_add(columns.data(), k, begin, end, dx);
    });
    return dx;
  }
};

/// Transposed convolution, the adjoint of a conv2d from `out` to `in` channels, with a bias. The window (4,
/// 2, 1) doubles the image exactly.
struct conv_transpose2d {
  int in = 0, out = 0;
  window k{4, 2, 1};
  std::size_t weight = 0, bias = 0;  // in x out x kernel x kernel

  conv_transpose2d() = default;
  conv_transpose2d(parameter_layout& layout, const std::string& name, int in_, int out_)
      : in(in_), out(out_) {
    const initial_value start = fan_in_uniform(out * k.area());
    weight = layout.add(name + ".weight", {in, out, k.kernel, k.kernel}, start);
    bias = layout.add(name + ".bias", {out}, start);
  }

  /// in x n x h x w -> out x n x 2h x 2w.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x) const {
    tensor<T> y(x.pool(), out, x.n, 2 * x.h, 2 * x.w);
    const const_matrix_view<T> filter(values + weight, in, out * k.area());
    y.matrix().colwise() = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>(values + bias, out);
    detail::for_each_tile(y, k, [&](matrix_view<T> columns, index first, int begin, int end) {
      columns.noalias() = filter.transpose() * x.matrix().middleCols(first, columns.cols());
      roll_add(columns.data(), k, begin, end, y);
    });
    return y;
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    const const_matrix_view<T> filter(values + weight, in, out * k.area());
    matrix_view<T> dfilter(grads + weight, in, out * k.area());
    array_view<T>(grads + bias, out) += dy.matrix().rowwise().sum().array();
    tensor<T> dx = like(x);
    detail::for_each_tile(dy, k, [&](matrix_view<T> columns, index first, int begin, int end) {
      unroll(dy, k, begin, end, columns.data());
      dx.matrix().middleCols(first, columns.cols()).noalias() = filter * columns;
      dfilter.noalias() += x.matrix().middleCols(first, columns.cols()) * columns.transpose();
    });
    return dx;
  }
};

/// y[., ., a, b] = x[., ., a/2, b/2]: channels x n x h x w -> channels x n x 2h x 2w.
template <class T>
[[nodiscard]] tensor<T> upsample_nearest(const tensor<T>& x) {
  tensor<T> y(x.pool(), x.channels, x.n, 2 * x.h, 2 * x.w);
  const index rows = index{x.channels} * x.n * x.h;
  for (index r = 0; r < rows; ++r) {
    const T* from = x.data() + r * x.w;
    T* to = y.data() + 2 * r * y.w;
    for (int i = 0; i < x.w; ++i) to[2 * i] = to[2 * i + 1] = from[i];
    std::copy(to, to + y.w, to + y.w);
  }
  return y;
}

/// The gradient of upsample_nearest: sums each 2 x 2 block of dy.
template <class T>
[[nodiscard]] tensor<T> upsample_nearest_backward(const tensor<T>& dy) {
  tensor<T> dx(dy.pool(), dy.channels, dy.n, dy.h / 2, dy.w / 2);
  const index rows = index{dx.channels} * dx.n * dx.h;
  for (index r = 0; r < rows; ++r) {
    const T* from = dy.data() + 2 * r * dy.w;
    T* to = dx.data() + r * dx.w;
    for (int i = 0; i < dx.w; ++i) {
      to[i] = (from[2 * i] + from[2 * i + 1]) + (from[dy.w + 2 * i] + from[dy.w + 2 * i + 1]);
    }
  }
  return dx;
}

}  // namespace mnist
