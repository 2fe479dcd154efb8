#pragma once

#include <algorithm>

#include "nn/correlation_kernels.hpp"
#include "nn/tensor.hpp"

// The three products of a convolution layer. x has c channels, y has o, the filter w is [o, c, kernel,
// kernel], and the window of pixel i of y starts at pixel stride i - pad of x (i, j, u stand for both
// directions):
//
//   correlate             y[i,o] = sum over c, u of w[o,c,u] x[stride i - pad + u, c]
//   correlate_transposed  x[j,c] = sum over o and the i, u with stride i - pad + u = j of w[o,c,u] y[i,o]
//   correlate_filter      w[o,c,u] += sum over i of y[i,o] x[stride i - pad + u, c]
//
// The second and third are the adjoints of the first in x and in w. None unrolls windows to a matrix.
namespace mnist {

/// A square window that slides over an image in steps of `stride`, starting `pad` pixels outside.
struct window {
  int kernel = 3, stride = 1, pad = 1;

  /// Number of window positions along an edge of `size` pixels.
  [[nodiscard]] int count(int size) const { return (size + 2 * pad - kernel) / stride + 1; }
  [[nodiscard]] int area() const { return kernel * kernel; }
};

namespace detail {

/// All elements of the filter, for windows in an image of this width and number of channels.
inline kernels::tap_list all_taps(window k, int width, int channels) {
  kernels::tap_list taps;
  for (int u = 0; u < k.area(); ++u) {
    taps.add(u, (Index{u / k.kernel} * width + u % k.kernel) * channels);
  }
  taps.per_line = k.kernel;
  return taps;
}

/// Those of the transposed correlation for the pixels (top, left) + stride * (i, j) of its result: element u
/// meets pixel i + (top + pad - u) / stride, if that is a whole number.
inline kernels::tap_list phase_taps(window k, int top, int left, int width, int channels) {
  const auto last = [&](int phase) {
    int u = k.kernel - 1;
    while ((phase + k.pad - u) % k.stride != 0) --u;
    return u;
  };
  kernels::tap_list taps;
  for (int u = last(top); u >= 0; u -= k.stride) {
    for (int v = last(left); v >= 0; v -= k.stride) {
      const int y = (top + k.pad - u) / k.stride, x = (left + k.pad - v) / k.stride;
      taps.add(u * k.kernel + v, (Index{y} * width + x) * channels);
    }
  }
  taps.per_line = last(left) / k.stride + 1;
  return taps;
}

/// The windows of a row of pixels, restricted to one line of taps: a row per pixel.
template <class T>
auto window_lines(const kernels::pixel_grid<const T>& x, int image, int row, Index offset, int columns,
                  Index length) {
  return Eigen::Map<const row_matrix<T>, 0, Eigen::OuterStride<>>(
      x.at(image, row, 0) + offset, columns, length, Eigen::OuterStride<>(x.column_step));
}

/// correlate to a single channel, where rows of channels would be nearly empty: a dot product for each line
/// of a window. `x` has its border.
template <class T>
void correlate_to_one(const tensor<T>& x, const T* filter, window k, const T* bias, tensor<T>& y) {
  const kernels::tap_list taps = all_taps(k, x.w, x.channels);
  const auto from = kernels::every<const T>(k.stride, x);
  const Index length = Index{k.kernel} * x.channels;
  tensor<T> turned(x.pool(), 1, 1, k.area(), x.channels);  // channels side by side, as in x
  turned.matrix() = const_matrix_view<T>(filter, x.channels, k.area()).transpose();
  for (int image = 0; image < y.n; ++image) {
    for (int i = 0; i < y.h; ++i) {
      Eigen::Map<Eigen::Vector<T, Eigen::Dynamic>> line(y.data() + (Index{image} * y.h + i) * y.w, y.w);
      line.setConstant(bias ? *bias : T(0));
      for (int u = 0; u < k.kernel; ++u) {
        const Eigen::Map<const Eigen::Vector<T, Eigen::Dynamic>> part(turned.data() + u * length, length);
        line.noalias() += window_lines(from, image, i, taps[u * k.kernel].offset, y.w, length) * part;
      }
    }
  }
}

/// correlate_filter for a single channel of dy.
template <class T>
void correlate_filter_of_one(const tensor<T>& x, const tensor<T>& dy, window k, T* dfilter) {
  const kernels::tap_list taps = all_taps(k, x.w, x.channels);
  const auto from = kernels::every<const T>(k.stride, x);
  const Index length = Index{k.kernel} * x.channels;
  tensor<T> turned(x.pool(), 1, 1, k.area(), x.channels);
  turned.array().setZero();
  for (int image = 0; image < dy.n; ++image) {
    for (int i = 0; i < dy.h; ++i) {
      const Eigen::Map<const Eigen::Vector<T, Eigen::Dynamic>> line(
          dy.data() + (Index{image} * dy.h + i) * dy.w, dy.w);
      for (int u = 0; u < k.kernel; ++u) {
        Eigen::Map<Eigen::Vector<T, Eigen::Dynamic>> part(turned.data() + u * length, length);
        part.noalias() +=
            window_lines(from, image, i, taps[u * k.kernel].offset, dy.w, length).transpose() * line;
      }
    }
  }
  matrix_view<T>(dfilter, x.channels, k.area()) += turned.matrix().transpose();
}

}  // namespace detail

/// n x h x w x c -> n x count(h) x count(w) x o.
template <class T>
[[nodiscard]] tensor<T> correlate(const tensor<T>& x, const T* filter, int outs, window k, const T* bias) {
  const tensor<T> padded = kernels::with_border(x, k.pad);
  tensor<T> y(x.pool(), x.n, k.count(x.h), k.count(x.w), outs);
  if (outs == 1) {
    detail::correlate_to_one(padded, filter, k, bias, y);
    return y;
  }
  const kernels::tap_list taps = detail::all_taps(k, padded.w, x.channels);
  const tensor<T> arranged = kernels::arrange(x.pool(), filter, bias, taps, x.channels, k.area(), outs,
                                              Index{x.channels} * k.area());
  kernels::correlation<T>{
      kernels::every<const T>(k.stride, padded), x.channels, taps, arranged, kernels::every<T>(1, y), outs}
      .run(x.n, y.h, y.w);
  return y;
}

/// n x count(h) x count(w) x o -> n x h x w x c; `outs` is c. Starts at `bias` [c], or at zero where it is
/// null.
template <class T>
[[nodiscard]] tensor<T> correlate_transposed(const tensor<T>& y, const T* filter, int outs, window k,
                                             const T* bias, int h, int w) {
  // x[stride a + p] takes y[a + (p + pad - u) / stride] for the elements u of the filter that make this a
  // whole number: for each of the stride * stride phases p of x this is a correlation with a part of the
  // filter.
  const int border =
      std::max((k.kernel - 1 - k.pad + k.stride - 1) / k.stride, (k.stride - 1 + k.pad) / k.stride);
  const tensor<T> padded = kernels::with_border(y, border);
  tensor<T> x(y.pool(), y.n, h, w, outs);
  for (int phase = 0; phase < k.stride * k.stride; ++phase) {
    const int top = phase / k.stride, left = phase % k.stride;
    const kernels::tap_list taps = detail::phase_taps(k, top, left, padded.w, y.channels);
    const tensor<T> arranged =
        kernels::arrange(y.pool(), filter, bias, taps, y.channels, Index{outs} * k.area(), outs, k.area());
    kernels::correlation<T>{kernels::every<const T>(1, padded, border, border), y.channels, taps, arranged,
                            kernels::every<T>(k.stride, x, top, left),          outs}
        .run(y.n, (h - top + k.stride - 1) / k.stride, (w - left + k.stride - 1) / k.stride);
  }
  return x;
}

/// Adds to the gradient of the filter [o, c, kernel, kernel] what x [n, h, w, c] and dL/dy [n, count(h),
/// count(w), o] contribute.
template <class T>
void correlate_filter(const tensor<T>& x, const tensor<T>& dy, window k, T* dfilter) {
  const tensor<T> padded = kernels::with_border(x, k.pad);
  if (dy.channels == 1) return detail::correlate_filter_of_one(padded, dy, k, dfilter);
  const kernels::tap_list taps = detail::all_taps(k, padded.w, x.channels);
  const auto from = kernels::every<const T>(k.stride, padded), gradient = kernels::every<const T>(1, dy);
  constexpr int row = kernels::row<T>;
  tensor<T> total(x.pool(), (dy.channels + row - 1) / row, taps.count, x.channels, row);
  total.array().setZero();
  const kernels::filter_correlation<T> sums{from, x.channels, taps, gradient, dy.channels, total.data()};

  // A band of rows of both tensors at a time, so that they stay in the first-level cache.
  constexpr Index budget = 16 * 1024 / sizeof(T);
  const int band = static_cast<int>(std::clamp<Index>(budget / (from.row_step + gradient.row_step), 1, dy.h));
  for (int image = 0; image < x.n; ++image) {
    for (int top = 0; top < dy.h; top += band) sums.run(image, top, std::min(dy.h, top + band), dy.w);
  }

  const T* sum = total.data();
  for (int first = 0; first < dy.channels; first += row) {
    for (int t = 0; t < taps.count; ++t) {
      for (int c = 0; c < x.channels; ++c, sum += row) {
        for (int o = first; o < std::min(first + row, dy.channels); ++o) {
          dfilter[(Index{o} * x.channels + c) * k.area() + taps[t].element] += sum[o - first];
        }
      }
    }
  }
}

}  // namespace mnist
