#pragma once

#include <cmath>
#include <span>

#include "diffusion/rows.hpp"

namespace diffusion {

/// Frequencies f_i = max_period^(-i/(half - frequency_shift)), i < half = dim/2. The defaults are those of Ho
/// et al. 2020;
/// {.cosine_first = true, .frequency_shift = 0} is guided-diffusion's.
struct timestep_embedding_options {
  bool cosine_first = false;
  double frequency_shift = 1;  ///< below dim/2
  double scale = 1;            ///< multiplies the angle t f_i
  double max_period = 10000;   ///< > 0
};

/// Sinusoidal embedding of a time (Vaswani et al. 2017): [sin(t f_i) …, cos(t f_i) …]. An odd size ends in 0.
template <Scalar T>
void timestep_embedding(double t, std::span<T> embedding, timestep_embedding_options options = {}) {
  const std::size_t half = embedding.size() / 2;
  const double denominator = static_cast<double>(half) - options.frequency_shift;
  if (half == 0) detail::invalid("embedding size", embedding.size(), "at least 2");
  if (!(denominator > 0) && half > 1)
    detail::invalid("frequency_shift", options.frequency_shift, detail::text("below ", half));
  if (!(options.max_period > 0)) detail::invalid("max_period", options.max_period, "(0, inf)");
  for (std::size_t i = 0; i < half; ++i) {
    const double frequency =
        i == 0 ? 1 : std::exp(-std::log(options.max_period) * (static_cast<double>(i) / denominator));
    const double angle = options.scale * t * frequency;
    embedding[options.cosine_first ? half + i : i] = static_cast<T>(std::sin(angle));
    embedding[options.cosine_first ? i : half + i] = static_cast<T>(std::cos(angle));
  }
  if (embedding.size() % 2 == 1) embedding.back() = 0;
}

}  // namespace diffusion
