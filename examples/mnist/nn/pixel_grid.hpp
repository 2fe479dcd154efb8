#pragma once

#include <algorithm>

#include "nn/tensor.hpp"

namespace mnist::kernels {

/// A regular selection of the pixels of a batch: pixel (image, y, x) has its first channel at data + image *
/// image_step + y * row_step + x * column_step.
template <class T>
struct pixel_grid {
  T* data;
  Index image_step, row_step, column_step;

  [[nodiscard]] T* at(int image, int y, int x) const {
    return data + image * image_step + y * row_step + x * column_step;
  }
};

/// Every stride-th pixel of x from (y, x) = (top, left) on.
template <class T, class Tensor>
pixel_grid<T> every(int stride, Tensor& x, int top = 0, int left = 0) {
  const Index line = Index{x.w} * x.channels;
  return {x.data() + top * line + Index{left} * x.channels, x.h * line, stride * line,
          Index{stride} * x.channels};
}

/// x with `border` zero pixels on all sides.
template <class T>
tensor<T> with_border(const tensor<T>& x, int border) {
  tensor<T> y(x.pool(), x.n, x.h + 2 * border, x.w + 2 * border, x.channels);
  const Index side = Index{border} * x.channels, edge = border * Index{y.w} * x.channels;
  const T* from = x.data();
  T* to = y.data();
  for (int image = 0; image < x.n; ++image) {
    to = std::fill_n(to, edge, T(0));
    for (int i = 0; i < x.h; ++i, from += Index{x.w} * x.channels) {
      to = std::fill_n(to, side, T(0));
      to = std::copy_n(from, Index{x.w} * x.channels, to);
      to = std::fill_n(to, side, T(0));
    }
    to = std::fill_n(to, edge, T(0));
  }
  return y;
}

}  // namespace mnist::kernels
