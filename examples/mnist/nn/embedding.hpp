#pragma once

#include <cmath>
#include <cstddef>

#include "nn/activation.hpp"
#include "nn/linear.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Sinusoids of n times: dim x n, row k = sin(t f_k), row dim/2 + k = cos(t f_k), with
/// f_k = 10000^(-k / (dim/2 - 1)). dim is even and at least 4. Computed in double, as a float loses 1e-5 at t
/// = 1000.
template <class T>
[[nodiscard]] tensor<T> timestep_embedding(buffer_pool<T>& pool, int dim, int n, const T* t) {
  tensor<T> y(pool, dim, n, 1, 1);
  const int half = dim / 2;
  for (int k = 0; k < half; ++k) {
    const double frequency = std::exp(-std::log(10000.0) * k / (half - 1));
    for (int i = 0; i < n; ++i) {
      y.matrix()(k, i) = static_cast<T>(std::sin(t[i] * frequency));
      y.matrix()(half + k, i) = static_cast<T>(std::cos(t[i] * frequency));
    }
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

  /// n times -> out x n.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, buffer_pool<T>& pool, int n, const T* t,
                                  time_embedding_cache<T>& cache) const {
    cache.waves = timestep_embedding(pool, fc1.in, n, t);
    cache.hidden = fc1.forward(values, cache.waves);
    cache.active = silu(cache.hidden);
    return fc2.forward(values, cache.active);
  }

  /// Adds the gradients of the parameters to `grads`; dy is out x n.
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

  /// y += row label[i] in column i; y is out x n.
  template <class T>
  void add(const T* values, const int* label, tensor<T>& y) const {
    for (int i = 0; i < y.n; ++i) {
      y.matrix().col(i) += const_matrix_view<T>(values + weight, labels, out).row(label[i]).transpose();
    }
  }

  /// Adds the gradients of the rows that were used to `grads`.
  template <class T>
  void backward(const int* label, const tensor<T>& dy, T* grads) const {
    for (int i = 0; i < dy.n; ++i) {
      matrix_view<T>(grads + weight, labels, out).row(label[i]) += dy.matrix().col(i).transpose();
    }
  }
};

}  // namespace mnist
