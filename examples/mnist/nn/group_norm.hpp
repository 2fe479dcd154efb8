#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "nn/activation.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// What follows a normalisation.
enum class activation { none, silu };

/// Group normalisation with a learned scale and shift per channel, then the activation in the same pass. The
/// channels form contiguous groups; mean and biased variance are those of one group of one image.
struct group_norm {
  static constexpr double epsilon = 1e-5;
  int channels = 0, groups = 0;
  activation then = activation::none;
  std::size_t weight = 0, bias = 0;

  group_norm() = default;
  /// The number of groups is gcd(max_groups, channels).
  group_norm(parameter_layout& layout, const std::string& name, int channels_, int max_groups,
             activation then_)
      : channels(channels_), groups(std::gcd(max_groups, channels_)), then(then_) {
    weight = layout.add(name + ".weight", {channels}, {initial_value::constant, 1});
    bias = layout.add(name + ".bias", {channels}, {});
  }

  /// channels x n x h x w -> the same shape. `stats` becomes 2 x n x groups: mean and 1/sqrt(variance +
  /// epsilon).
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x, tensor<T>& stats) const {
    tensor<T> y = like(x);
    stats = tensor<T>(x.pool(), 2, x.n, 1, groups);
    const int width = channels / groups;
    const T count = static_cast<T>(width * x.area());
    for (int image = 0; image < x.n; ++image) {
      for (int g = 0; g < groups; ++g) {
        T sum = 0, squares = 0;
        for (int c = g * width; c < (g + 1) * width; ++c) sum += x.plane(c, image).sum();
        const T mean = sum / count;
        for (int c = g * width; c < (g + 1) * width; ++c)
          squares += (x.plane(c, image) - mean).square().sum();
        const T scale = 1 / std::sqrt(squares / count + static_cast<T>(epsilon));
        for (int c = g * width; c < (g + 1) * width; ++c) {
          auto z = y.plane(c, image);
          z = (x.plane(c, image) - mean) * (scale * values[weight + c]) + values[bias + c];
          if (then == activation::silu) z *= sigmoid(z);
        }
        stats.plane(0, image)[g] = mean;
        stats.plane(1, image)[g] = scale;
      }
    }
    return y;
  }

  /// Returns dL/dx from dL/dy, adds the gradients of the parameters to `grads`. Takes the `stats` of the
  /// forward pass.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& stats,
                                   const tensor<T>& dy, T* grads) const {
    tensor<T> dx = like(x);
    tensor<T> normal(x.pool(), 1, 1, x.h, x.w), sigma(x.pool(), 1, 1, x.h, x.w);
    auto xhat = normal.array(), s = sigma.array();
    const int width = channels / groups;
    const T count = static_cast<T>(width * x.area());
    for (int image = 0; image < x.n; ++image) {
      for (int g = 0; g < groups; ++g) {
        const T mean = stats.plane(0, image)[g], scale = stats.plane(1, image)[g];
        T sum = 0, product = 0;  // of dL/dxhat, and of dL/dxhat * xhat, over the group
        for (int c = g * width; c < (g + 1) * width; ++c) {
          auto dz = dx.plane(c, image);
          xhat = (x.plane(c, image) - mean) * scale;
          if (then == activation::silu) {
            const T a = values[weight + c], b = values[bias + c];
            s = sigmoid(xhat * a + b);
            dz = dy.plane(c, image) * s * (1 + (xhat * a + b) * (1 - s));
          } else {
            dz = dy.plane(c, image);
          }
          const T dbias = dz.sum(), dweight = (dz * xhat).sum();
          grads[bias + c] += dbias;
          grads[weight + c] += dweight;
          sum += values[weight + c] * dbias;
          product += values[weight + c] * dweight;
        }
        for (int c = g * width; c < (g + 1) * width; ++c) {
          auto dz = dx.plane(c, image);
          dz = scale * (values[weight + c] * dz - sum / count -
                        (x.plane(c, image) - mean) * (scale * product / count));
        }
      }
    }
    return dx;
  }
};

}  // namespace mnist
