#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Uniform in +-1/sqrt(fan_in), the usual start of linear and convolution layers, or zero.
inline initial_value fan_in_uniform(int fan_in, bool zero = false) {
  if (zero) return {};
  return {initial_value::uniform, 1 / std::sqrt(static_cast<double>(fan_in))};
}

/// y = W x + b for the channels of every pixel: a fully connected layer when h = w = 1, else a 1x1
/// convolution.
struct linear {
  int in = 0, out = 0;
  std::size_t weight = 0, bias = 0;  // out x in, out

  linear() = default;
  /// `as_convolution` only decides whether the weight is listed as [out, in, 1, 1] or as [out, in].
  linear(parameter_layout& layout, const std::string& name, int in_, int out_, bool as_convolution,
         bool zero = false)
      : in(in_), out(out_) {
    const initial_value start = fan_in_uniform(in, zero);
    weight = layout.add(name + ".weight",
                        as_convolution ? std::vector<int>{out, in, 1, 1} : std::vector<int>{out, in}, start);
    bias = layout.add(name + ".bias", {out}, start);
  }

  /// n x h x w x in -> n x h x w x out.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x) const {
    tensor<T> y = like(x, out);
    y.matrix().rowwise() = const_array_view<T>(values + bias, out).matrix();
    y.matrix().noalias() += x.matrix() * const_matrix_view<T>(values + weight, out, in).transpose();
    return y;
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& dy, T* grads) const {
    matrix_view<T>(grads + weight, out, in).noalias() += dy.matrix().transpose() * x.matrix();
    array_view<T>(grads + bias, out).matrix() += dy.matrix().colwise().sum();
    tensor<T> dx = like(x);
    dx.matrix().noalias() = dy.matrix() * const_matrix_view<T>(values + weight, out, in);
    return dx;
  }
};

}  // namespace mnist
