#include "ask_unet.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace mnist {

void ask_network(model& m, std::span<const float> x_t, std::size_t count, double t, const int* classes,
                 std::span<float> out) {
  const std::vector<float> times(count, static_cast<float>(t - 1));  // the network counts from 0
  m.net.forward(static_cast<int>(count), x_t.data(), times.data(), classes, out.data());
}

}  // namespace mnist
