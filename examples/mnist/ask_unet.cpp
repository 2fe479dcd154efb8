#include "ask_unet.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace mnist {

void ask_network(model& m, std::span<const float> x_t, std::size_t count, double t, const int* classes,
                 std::span<float> out) {
  const std::vector<float> times(count, static_cast<float>(t - 1));  // the network counts from 0
  m.net.forward(static_cast<int>(count), x_t.data(), times.data(), classes, out.data());
}

void ask_vector_jacobian(model& m, std::span<const float> x_t, std::size_t count, double t,
                         const int* classes, std::span<const float> v, std::span<float> out,
                         std::span<float> product) {
  const std::vector<float> times(count, static_cast<float>(t - 1));
  std::vector<float> unused(m.net.values().size());  // the gradient of the parameters
  // The gradient of a loss whose gradient at the outputs is v.
  const auto loss = [&](int first, int images, std::span<const float> y, std::span<float> dy) {
    const std::size_t at = y.size() / static_cast<std::size_t>(images) * static_cast<std::size_t>(first);
    std::copy(y.begin(), y.end(), out.subspan(at).begin());
    std::copy_n(v.subspan(at).begin(), dy.size(), dy.begin());
    return 0.0;
  };
  m.net.gradient(static_cast<int>(count), x_t.data(), times.data(), classes, loss, unused, product.data());
}

}  // namespace mnist
