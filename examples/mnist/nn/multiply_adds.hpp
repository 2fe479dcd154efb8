#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "nn/config.hpp"
#include "nn/parameters.hpp"

namespace mnist {

/// Multiplications with an addition that the matrix products and convolutions of a forward pass take for one
/// image; a step of training takes three times as many.
[[nodiscard]] inline double multiply_adds(const unet_config& config, const parameter_layout& layout) {
  const auto area = [&](int level) {
    const double side = config.image / (1 << level);
    return side * side;
  };
  double sum = 0;
  for (const parameter_info& p : layout.entries()) {
    if (p.shape.size() < 2 || p.name.starts_with("class_emb")) continue;
    const auto has = [&](const char* part) { return p.name.find(part) != std::string::npos; };
    const bool down = p.name.starts_with("down."), up = p.name.starts_with("up.");
    const int level = down || up                  ? std::stoi(p.name.substr(p.name.find('.') + 1))
                      : p.name.starts_with("mid") ? config.levels() - 1
                                                  : 0;
    double positions = area(level);
    if (p.shape.size() == 2) positions = 1;                        // layers of the embedding
    if (down && has(".down.weight")) positions = area(level + 1);  // written with stride 2
    if (up && has(".up.conv.weight")) positions = area(level - 1);
    sum += positions * static_cast<double>(p.size);
    if (has(".qkv.")) sum += 2 * area(level) * area(level) * p.shape[1];  // q kᵀ and its product with v
  }
  return sum;
}

}  // namespace mnist
