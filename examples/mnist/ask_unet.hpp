// The network of a model as a predictor for the library's samplers.
#pragma once

#include <cstddef>
#include <span>

#include "checkpoint.hpp"
#include "diffusion/predictor.hpp"

namespace mnist {

/// Asks the network about all images `x_t` at time t in 1 ... T, see unet::forward. Compiled once, apart from
/// those who call it: the network takes a compiler a minute.
void ask_network(model& m, std::span<const float> x_t, std::size_t count, double t, const int* classes,
                 std::span<float> out);

/// The same with the product of a row v for each image and the network's Jacobian there: vᵀ ∂out/∂x_t.
void ask_vector_jacobian(model& m, std::span<const float> x_t, std::size_t count, double t,
                         const int* classes, std::span<const float> v, std::span<float> out,
                         std::span<float> product);

/// A predictor that asks a network about all images at one time, and knows its derivatives.
struct unet_predictor {
  model* m;
  const int* classes;  ///< the label of each image; null: the network is told none

  template <class Time>
  void operator()(diffusion::rows<const float> x_t, const diffusion::time_point<Time>& at,
                  diffusion::rows<float> out) const {
    ask_network(*m, x_t.data(), x_t.count(), static_cast<double>(at.t), classes, out.data());
  }
  template <class Time>
  void vector_jacobian(diffusion::rows<const float> x_t, const diffusion::time_point<Time>& at,
                       diffusion::rows<const float> v, diffusion::rows<float> out,
                       diffusion::rows<float> product) const {
    ask_vector_jacobian(*m, x_t.data(), x_t.count(), static_cast<double>(at.t), classes, v.data(), out.data(),
                        product.data());
  }
};

/// The predictor of `m`. Both `m` and `classes` must outlive it.
[[nodiscard]] inline auto ask_unet(model& m, const int* classes) {
  return diffusion::predicts(m.process.kind(), unet_predictor{&m, classes});
}

}  // namespace mnist
