#pragma once

#include <cmath>
#include <string>

#include "nn/group_norm.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

namespace detail {

/// Rows [first, first + rows) of the columns that belong to one image.
template <class T>
auto image_block(tensor<T>& x, int first, int rows, int image) {
  return x.matrix().block(first, image * x.area(), rows, x.area());
}
template <class T>
auto image_block(const tensor<T>& x, int first, int rows, int image) {
  return x.matrix().block(first, image * x.area(), rows, x.area());
}

}  // namespace detail

/// Scaled dot-product attention between the N = h * w positions of each image. `qkv` holds queries, keys and
/// values one below the other, 3c x n x h x w; head j owns channels [j d, (j + 1) d) of each, d = c / heads:
/// y_i = sum_j A_ij v_j with A = softmax over j of q_i . k_j / sqrt(d). Returns y, c x n x h x w; `weights`
/// becomes the matrices A, one N x N block for each image and head.
template <class T>
[[nodiscard]] tensor<T> attend(const tensor<T>& qkv, int heads, tensor<T>& weights) {
  const int c = qkv.channels / 3, d = c / heads, positions = static_cast<int>(qkv.area());
  const T scale = 1 / std::sqrt(static_cast<T>(d));
  tensor<T> y = like(qkv, c);
  weights = tensor<T>(qkv.pool(), qkv.n * heads, 1, positions, positions);
  for (int image = 0; image < qkv.n; ++image) {
    for (int j = 0; j < heads; ++j) {
      const auto q = detail::image_block(qkv, j * d, d, image);
      const auto k = detail::image_block(qkv, c + j * d, d, image);
      const auto v = detail::image_block(qkv, 2 * c + j * d, d, image);
      matrix_view<T> a(weights.plane(image * heads + j, 0).data(), positions, positions);
      a.noalias() = q.transpose() * k;
      for (int i = 0; i < positions; ++i) {
        auto row = a.row(i).array();
        row = ((row - row.maxCoeff()) * scale).exp();
        row *= 1 / row.sum();
      }
      detail::image_block(y, j * d, d, image).noalias() = v * a.transpose();
    }
  }
  return y;
}

/// dL/dqkv of `attend` from dL/dy, given the `weights` of the forward pass.
template <class T>
[[nodiscard]] tensor<T> attend_backward(const tensor<T>& qkv, int heads, const tensor<T>& weights,
                                        const tensor<T>& dy) {
  const int c = qkv.channels / 3, d = c / heads, positions = static_cast<int>(qkv.area());
  const T scale = 1 / std::sqrt(static_cast<T>(d));
  tensor<T> dqkv = like(qkv);
  tensor<T> logits(qkv.pool(), 1, 1, positions, positions);
  matrix_view<T> ds(logits.data(), positions, positions);
  for (int image = 0; image < qkv.n; ++image) {
    for (int j = 0; j < heads; ++j) {
      const auto q = detail::image_block(qkv, j * d, d, image);
      const auto k = detail::image_block(qkv, c + j * d, d, image);
      const auto v = detail::image_block(qkv, 2 * c + j * d, d, image);
      const auto out = detail::image_block(dy, j * d, d, image);
      const const_matrix_view<T> a(weights.plane(image * heads + j, 0).data(), positions, positions);
      detail::image_block(dqkv, 2 * c + j * d, d, image).noalias() = out * a;
      ds.noalias() = out.transpose() * v;  // dL/dA, turned into the gradient of the logits row by row
      for (int i = 0; i < positions; ++i) {
        const T mean = ds.row(i).dot(a.row(i));
        ds.row(i).array() = (ds.row(i).array() - mean) * a.row(i).array() * scale;
      }
      detail::image_block(dqkv, j * d, d, image).noalias() = k * ds.transpose();
      detail::image_block(dqkv, c + j * d, d, image).noalias() = q * ds;
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

  /// channels x n x h x w -> the same shape.
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
