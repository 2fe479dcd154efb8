#pragma once

#include <string>
#include <utility>

#include "nn/convolution.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Change of resolution by a factor of two that keeps the number of channels.
struct resample {
  enum method {
    halve,
    transpose,
    nearest
  } how;  ///< strided convolution; transposed one; repeated pixels, then one
  conv2d conv;
  conv_transpose2d transposed;

  resample(parameter_layout& layout, const std::string& name, int channels, method how_) : how(how_) {
    if (how == halve) conv = conv2d(layout, name, channels, channels, {3, 2, 1});
    if (how == transpose) transposed = conv_transpose2d(layout, name, channels, channels);
    if (how == nearest) conv = conv2d(layout, name + ".conv", channels, channels);
  }

  /// n x h x w x channels -> half (rounded up) or twice h and w. `cache` keeps the input of the convolution.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, tensor<T> x, tensor<T>& cache) const {
    cache = how == nearest ? upsample_nearest(x) : std::move(x);
    return how == transpose ? transposed.forward(values, cache) : conv.forward(values, cache);
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& cache, const tensor<T>& dy,
                                   T* grads) const {
    if (how == transpose) return transposed.backward(values, cache, dy, grads);
    tensor<T> dx = conv.backward(values, cache, dy, grads);
    return how == nearest ? upsample_nearest_backward(dx) : std::move(dx);
  }
};

}  // namespace mnist
