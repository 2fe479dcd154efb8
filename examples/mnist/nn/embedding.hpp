#pragma once

#include <cstddef>
#include <string>

#include "diffusion/timestep_embedding.hpp"
#include "nn/activation.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// The sinusoidal embeddings of n times, n x dim.
template <class T>
[[nodiscard]] tensor<T> timestep_embedding(buffer_pool<T>& pool, int dim, int n, const T* t) {
  tensor<T> y(pool, n, 1, 1, dim);
  for (int i = 0; i < n; ++i) {
    diffusion::timestep_embedding<T>(t[i], {y.image(i).data(), static_cast<std::size_t>(dim)});
  }
  return y;
}

/// What time_embedding::backward needs of the forward pass.
template <class T>
struct time_embedding_cache {
  tensor<T> waves, hidden, active;
};

/// fc2(silu(fc1(timestep_embedding(t)))).
struct time_embedding {
  linear fc1, fc2;

  /// Parameters are named prefix + "fc1.weight" and so on.
  time_embedding(parameter_layout& layout, const std::string& prefix, int dim, int out)
      : fc1(layout, prefix + "fc1", dim, out, false), fc2(layout, prefix + "fc2", out, out, false) {}

  /// n times -> n x out.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, buffer_pool<T>& pool, int n, const T* t,
                                  time_embedding_cache<T>& cache) const {
    cache.waves = timestep_embedding(pool, fc1.in, n, t);
    cache.hidden = fc1.forward(values, cache.waves);
    cache.active = silu(cache.hidden);
    return fc2.forward(values, cache.active);
  }

  /// Adds the gradients of the parameters to `grads`; dy is n x out.
  template <class T>
  void backward(const T* values, const time_embedding_cache<T>& cache, const tensor<T>& dy, T* grads) const {
    const tensor<T> dactive = fc2.backward(values, cache.active, dy, grads);
    const tensor<T> dwaves = fc1.backward(values, cache.waves, silu_backward(cache.hidden, dactive), grads);
  }
};

/// A learned vector for every label.
struct label_embedding {
  int labels = 0, out = 0;
  std::size_t weight = 0;  // labels x out

  label_embedding(parameter_layout& layout, const std::string& name, int labels_, int out_)
      : labels(labels_),
        out(out_),
        weight(layout.add(name + ".weight", {labels, out}, {initial_value::normal, 1})) {}

  /// Adds the vector of label[i] to row i of y, n x out.
  template <class T>
  void add(const T* values, const int* label, tensor<T>& y) const {
    for (int i = 0; i < y.n; ++i) {
      y.matrix().row(i) += const_matrix_view<T>(values + weight, labels, out).row(label[i]);
    }
  }

  /// Adds the gradients of the vectors that were used to `grads`.
  template <class T>
  void backward(const int* label, const tensor<T>& dy, T* grads) const {
    for (int i = 0; i < dy.n; ++i) {
      matrix_view<T>(grads + weight, labels, out).row(label[i]) += dy.matrix().row(i);
    }
  }
};

}  // namespace mnist
