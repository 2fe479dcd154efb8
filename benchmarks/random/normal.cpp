// Normals: the library's by rounds of Philox and without SIMD, and std::normal_distribution.
#include "diffusion/random/normal.hpp"

#include <random>

#include "roofline.hpp"

namespace {

using namespace diffusion;

template <class Noise, class Arch = default_arch>
constexpr auto fill = []<class T>(bench::arrays<T> in) {
  return [z = in[0], step = std::uint32_t{0}](const auto& executor) mutable {
    Noise{42}.row(0, ++step).template fill<Arch>(z, executor);
  };
};

[[maybe_unused]] const bool added[] = {
    bench::add_roofline("noise", bench::streams<>(), bench::streams<0>()),
    bench::add_all("noise/library", fill<philox_normal>),
    bench::add<float, double>("noise/library, fused products", fill<fused_philox_normal>),
    bench::add<float, double>("noise/library, 10 rounds", fill<philox10_normal>),
    bench::add<float, double>("noise/library, without SIMD", fill<philox_normal, scalar_arch>),
    bench::add<float, double>("noise/std::normal_distribution",
                              []<class T>(bench::arrays<T> in) {
                                return [z = in[0], generator = std::mt19937(42),
                                        normal = std::normal_distribution<T>()](serial) mutable {
                                  for (T& value : z) value = normal(generator);
                                };
                              }),
};

}  // namespace
