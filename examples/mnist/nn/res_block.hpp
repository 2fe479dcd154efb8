#pragma once

#include <optional>
#include <string>
#include <utility>

#include "nn/convolution.hpp"
#include "nn/dropout.hpp"
#include "nn/group_norm.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// What res_block::backward needs of the forward pass.
template <class T>
struct res_block_cache {
  tensor<T> x, stats1, active1, h, stats2, active2;
  tensor<T> factors;  // of dropout; empty without
};

/// h = conv1(silu(norm1(x))) + emb(e) for every pixel; y = conv2(silu(norm2(h))) + x, or + skip(x) with a 1x1
/// convolution where the number of channels changes. e is the embedding of time and class, after its SiLU. In
/// training, dropout may come before conv2, as in Ho et al. 2020.
struct res_block {
  group_norm norm1;
  conv2d conv1;
  linear emb;
  group_norm norm2;
  conv2d conv2;
  std::optional<linear> skip;

  res_block(parameter_layout& layout, const std::string& name, int in, int out, int embedding, int groups)
      : norm1(layout, name + ".norm1", in, groups, activation::silu),
        conv1(layout, name + ".conv1", in, out),
        emb(layout, name + ".emb", embedding, out, false),
        norm2(layout, name + ".norm2", out, groups, activation::silu),
        conv2(layout, name + ".conv2", out, out, {}, true) {
    if (in != out) skip.emplace(layout, name + ".skip", in, out, true);
  }

  /// n x h x w x in, n embeddings -> n x h x w x out.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, tensor<T> x, const tensor<T>& e, res_block_cache<T>& cache,
                                  const dropout& drop = {}) const {
    cache.x = std::move(x);
    cache.active1 = norm1.forward(values, cache.x, cache.stats1);
    cache.h = conv1.forward(values, cache.active1);
    const tensor<T> shift = emb.forward(values, e);
    for (int image = 0; image < e.n; ++image) cache.h.image(image).rowwise() += shift.matrix().row(image);
    cache.active2 = norm2.forward(values, cache.h, cache.stats2);
    cache.factors = drop.rate > 0 ? drop.factors(cache.active2) : tensor<T>();
    if (drop.rate > 0) cache.active2.array() *= cache.factors.array();
    tensor<T> y = conv2.forward(values, cache.active2);
    if (skip) {
      y.array() += skip->forward(values, cache.x).array();
    } else {
      y.array() += cache.x.array();
    }
    return y;
  }

  /// Returns dL/dx from dL/dy; adds the gradients of the parameters to `grads` and dL/de to `de`.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const res_block_cache<T>& cache, const tensor<T>& e,
                                   const tensor<T>& dy, T* grads, tensor<T>& de) const {
    tensor<T> dactive2 = conv2.backward(values, cache.active2, dy, grads);
    if (cache.factors.size() > 0) dactive2.array() *= cache.factors.array();
    const tensor<T> dh = norm2.backward(values, cache.h, cache.stats2, dactive2, grads);
    tensor<T> dshift = like(e, conv1.out);
    for (int image = 0; image < e.n; ++image) dshift.matrix().row(image) = dh.image(image).colwise().sum();
    de.array() += emb.backward(values, e, dshift, grads).array();
    const tensor<T> dactive1 = conv1.backward(values, cache.active1, dh, grads);
    tensor<T> dx = norm1.backward(values, cache.x, cache.stats1, dactive1, grads);
    if (skip) {
      dx.array() += skip->backward(values, cache.x, dy, grads).array();
    } else {
      dx.array() += dy.array();
    }
    return dx;
  }
};

}  // namespace mnist
