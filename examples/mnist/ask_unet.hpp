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

/// A predictor that asks the network of `m`, which must outlive it, about all images at one time. `classes`
/// holds the label of each image and outlives it too; null: the network is told none.
[[nodiscard]] inline auto ask_unet(model& m, const int* classes) {
  return diffusion::predicts(m.process.kind(), [&m, classes](auto x_t, auto at, auto out) {
    ask_network(m, x_t.data(), x_t.count(), static_cast<double>(at.t), classes, out.data());
  });
}

}  // namespace mnist
