#pragma once

#include <algorithm>
#include <cstdint>

#include "diffusion/random/philox.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// Which elements a layer drops in training (Srivastava et al. 2014), drawn from the address (seed, image,
/// layer, element): the same whatever is computed beside it, and on whatever thread.
struct dropout {
  double rate = 0;  ///< share of elements that become 0, in [0, 1); the others grow by 1 / (1 - rate)
  std::uint64_t seed = 0;
  std::uint64_t image = 0;   ///< address of the first image
  std::uint32_t stream = 0;  ///< address of the first layer

  [[nodiscard]] dropout from_image(int i) const {
    return {rate, seed, image + static_cast<std::uint64_t>(i), stream};
  }
  [[nodiscard]] dropout in_layer(std::size_t i) const {
    return {rate, seed, image, stream + static_cast<std::uint32_t>(i)};
  }

  /// What every element of x is multiplied by, 0 or 1 / (1 - rate).
  template <class T>
  [[nodiscard]] tensor<T> factors(const tensor<T>& x) const {
    tensor<T> result = like(x);
    const auto dropped = static_cast<std::uint32_t>(rate * 0x1p32);  // so many of the 2^32 words
    const T kept = static_cast<T>(1 / (1 - rate));
    T* to = result.data();
    for (int i = 0; i < x.n; ++i) {
      const diffusion::addressed_words words(seed, image + static_cast<std::uint64_t>(i), stream);
      std::uint32_t block = 0;
      for (Index left = x.area() * x.channels; left > 0; left -= 4) {
        const auto four = words[block++];
        const Index count = std::min<Index>(left, 4);
        for (Index k = 0; k < count; ++k) *to++ = four[static_cast<std::size_t>(k)] < dropped ? T(0) : kept;
      }
    }
    return result;
  }
};

}  // namespace mnist
