#pragma once

#include "nn/tensor.hpp"

namespace mnist {

/// 1 / (1 + exp(-z)) of every element of an Eigen array expression.
template <class Array>
[[nodiscard]] auto sigmoid(const Array& z) {
  return (1 + (-z).exp()).inverse();
}

/// y = x * sigmoid(x).
template <class T>
[[nodiscard]] tensor<T> silu(const tensor<T>& x) {
  tensor<T> y = like(x);
  y.array() = x.array() * sigmoid(x.array());
  return y;
}

/// dL/dx of y = silu(x) from dL/dy.
template <class T>
[[nodiscard]] tensor<T> silu_backward(const tensor<T>& x, const tensor<T>& dy) {
  tensor<T> dx = like(x);
  dx.array() = sigmoid(x.array());
  dx.array() = dy.array() * dx.array() * (1 + x.array() * (1 - dx.array()));
  return dx;
}

}  // namespace mnist
