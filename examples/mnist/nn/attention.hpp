#pragma once

#include <cmath>
#include <string>
#include <utility>

#include "nn/group_norm.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Scaled dot-product attention between the N = h * w pixels of each image. `qkv`, n x h x w x 3c, holds
/// queries, keys and values side by side; head j owns channels [j d, (j + 1) d) of each, d = c / heads: y_i =
/// sum_j A_ij v_j with A = softmax over j of q_i . k_j / sqrt(d). Returns y, n x h x w x c; `weights` becomes
/// the matrices A, n x heads x N x N.
template <class T>
[[nodiscard]] tensor<T> attend(const tensor<T>& qkv, int heads, tensor<T>& weights) {
  const int c = qkv.channels / 3, d = c / heads, pixels = static_cast<int>(qkv.area());
  const T scale = 1 / std::sqrt(static_cast<T>(d));
  tensor<T> y = like(qkv, c);
  weights = tensor<T>(qkv.pool(), qkv.n * heads, 1, pixels, pixels);
  for (int image = 0; image < qkv.n; ++image) {
    const auto all = qkv.image(image);
    for (int j = 0; j < heads; ++j) {
      const auto q = all.middleCols(j * d, d), k = all.middleCols(c + j * d, d),
                 v = all.middleCols(2 * c + j * d, d);
      auto a = weights.image(image * heads + j);
      a.noalias() = q * k.transpose();
      for (int i = 0; i < pixels; ++i) {
        auto row = a.row(i).array();
        row = ((row - row.maxCoeff()) * scale).exp();
        row *= 1 / row.sum();
      }
      y.image(image).middleCols(j * d, d).noalias() = a * v;
    }
  }
  return y;
}

/// dL/dqkv of `attend` from dL/dy, given the `weights` of the forward pass.
template <class T>
[[nodiscard]] tensor<T> attend_backward(const tensor<T>& qkv, int heads, const tensor<T>& weights,
                                        const tensor<T>& dy) {
  const int c = qkv.channels / 3, d = c / heads, pixels = static_cast<int>(qkv.area());
  const T scale = 1 / std::sqrt(static_cast<T>(d));
  tensor<T> dqkv = like(qkv), logits(qkv.pool(), 1, 1, pixels, pixels);
  auto ds = logits.image(0);
  for (int image = 0; image < qkv.n; ++image) {
    const auto all = qkv.image(image);
    auto gradient = dqkv.image(image);
    for (int j = 0; j < heads; ++j) {
      const auto q = all.middleCols(j * d, d), k = all.middleCols(c + j * d, d),
                 v = all.middleCols(2 * c + j * d, d);
      const auto out = dy.image(image).middleCols(j * d, d);
      const auto a = weights.image(image * heads + j);
      gradient.middleCols(2 * c + j * d, d).noalias() = a.transpose() * out;
      ds.noalias() = out * v.transpose();  // dL/dA, turned into the gradient of
                                           // the logits row by row
      for (int i = 0; i < pixels; ++i) {
        const T mean = ds.row(i).dot(a.row(i));
        ds.row(i).array() = (ds.row(i).array() - mean) * a.row(i).array() * scale;
      }
      gradient.middleCols(j * d, d).noalias() = ds * k;
      gradient.middleCols(c + j * d, d).noalias() = ds.transpose() * q;
    }
  }
  return dqkv;
}

/// What attention_block::backward needs of the forward pass.
template <class T>
struct attention_cache {
  tensor<T> x, stats, normal, qkv, weights, mixed;
};

/// y = x + proj(attend(qkv(norm(x)))).
struct attention_block {
  int heads = 1;
  group_norm norm;
  linear qkv, proj;

  attention_block(parameter_layout& layout, const std::string& name, int channels, int groups, int heads_)
      : heads(heads_),
        norm(layout, name + ".norm", channels, groups, activation::none),
        qkv(layout, name + ".qkv", channels, 3 * channels, true),
        proj(layout, name + ".proj", channels, channels, true, true) {}

  /// n x h x w x channels -> the same shape.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, tensor<T> x, attention_cache<T>& cache) const {
    cache.x = std::move(x);
    cache.normal = norm.forward(values, cache.x, cache.stats);
    cache.qkv = qkv.forward(values, cache.normal);
    cache.mixed = attend(cache.qkv, heads, cache.weights);
    tensor<T> y = proj.forward(values, cache.mixed);
    y.array() += cache.x.array();
    return y;
  }

  /// Returns dL/dx from dL/dy and adds the gradients of the parameters to `grads`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const attention_cache<T>& cache, const tensor<T>& dy,
                                   T* grads) const {
    const tensor<T> dmixed = proj.backward(values, cache.mixed, dy, grads);
    const tensor<T> dqkv = attend_backward(cache.qkv, heads, cache.weights, dmixed);
    const tensor<T> dnormal = qkv.backward(values, cache.normal, dqkv, grads);
    tensor<T> dx = norm.backward(values, cache.x, cache.stats, dnormal, grads);
    dx.array() += dy.array();
    return dx;
  }
};

}  // namespace mnist
