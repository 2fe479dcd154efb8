#include "diffusion/random/torch_cuda.hpp"

#include <concepts>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

namespace {

const cuda_device a100{108, 2048};

template <class T>
std::vector<T> randn(torch_cuda_generator& g, std::size_t size) {
  std::vector<T> z(size);
  g.randn(z);
  return z;
}

template <class T>
std::vector<T> take(const std::vector<T>& values, std::initializer_list<std::size_t> places) {
  std::vector<T> taken;
  for (const std::size_t i : places) taken.push_back(values.at(i));
  return taken;
}

// Expected values with four decimals were printed by PyTorch on a CUDA device and published: in its issue
// tracker (with the devices), in course notes and in other projects' documentation. A device's sine in float
// is good to about 2⁻²¹; the radius is at most 6.8.
constexpr double printed = 0.5e-4;
constexpr double fast_sine = 6.8 * 0x1p-21;

}  // namespace

TEST_CASE("Published CUDA normals in float are reproduced, also those of later calls") {
  const double tolerance = printed + fast_sine;
  torch_cuda_generator g(0, a100);
  check_close(take(randn<float>(g, 80), {0, 1, 2, 3, 7, 8, 11, 31, 63, 64, 79}),
              std::vector{-0.9247, -0.4253, -2.6438, 0.1452, -0.3284, -1.0745, 2.2655, -0.2879, -1.0823,
                          -0.0334, -0.5043},
              tolerance);
  check_close(randn<float>(g, 10),
              std::vector{0.1808, -0.5523, 0.9238, -0.7350, 1.3800, 0.8676, 0.1297, -0.9406, 0.8109, 0.8821},
              tolerance);
  check_close(take(randn<float>(g, 80), {0, 1, 2, 3, 78, 79}),
              std::vector{2.5441, -0.7163, -0.4934, 0.1267, -1.2587, -0.8183}, tolerance);

  torch_cuda_generator ten(10, a100);
  check_close(randn<float>(ten, 3), std::vector{-0.1029, 1.6810, -0.2708}, tolerance);

  torch_cuda_generator h(42, a100);
  for (const auto& expected :
       {std::vector{0.1940, 2.1614, -0.1721, 0.8491}, std::vector{0.1391, -0.1082, -0.7174, 0.7566},
        std::vector{-0.5187, 1.2268, 0.6255, -0.9117}, std::vector{-0.6974, -1.8688, -0.8832, -1.6627},
        std::vector{-1.2682, -0.0383, -0.1029, 1.4400}, std::vector{1.4640, -0.3238, 0.7740, 1.5892}})
    check_close(randn<float>(h, 4), expected, tolerance);
}

TEST_CASE("Published CUDA normals in double are reproduced, also those of a second call") {
  torch_cuda_generator g(0, a100);
  const auto x = randn<double>(g, 64);
  check_close(take(x, {0, 1, 2, 3, 4, 5, 6, 7, 8, 24, 56, 62, 63}),
              std::vector{-0.3104, -0.0343, 0.1756, -2.2804, 0.5039, 0.5596, -0.0750, 0.9691, -0.2357, 3.1702,
                          0.5576, -1.3645, -0.0069},
              printed);
  check_close(randn<double>(g, 16),
              std::vector{0.3292, 0.2507, 0.9055, -0.4100, -0.9453, 2.1075, -0.5062, 0.0700, -1.0990, 0.9257,
                          0.4166, 0.0783, 2.2135, -1.1410, 0.6921, -0.3034},
              printed);
}

TEST_CASE("Published CUDA normals of tensors larger than a device are reproduced, each with its device") {
  const double tolerance = printed + fast_sine;
  const auto tail = [](const cuda_device& device) {
    torch_cuda_generator g(1, device);
    const auto z = randn<float>(g, 49 * 12 * 112 * 144);
    return std::vector<float>(z.end() - 3, z.end());
  };
  check_close(tail(a100), std::vector{0.1549, -0.6797, -0.1656}, tolerance);
  check_close(tail({132, 2048}), std::vector{-0.6970, -0.7780, 0.3267}, tolerance);  // H100 SXM

  torch_cuda_generator rtx3060(42, {28, 1536});
  check_close(take(randn<float>(rtx3060, 131072),
                   {0, 2047, 2048, 6143, 124928, 124929, 126976, 129023, 129024, 131069, 131070, 131071}),
              std::vector{0.1940, -0.8932, -0.4574, -0.6955, -0.4861, 0.3358, 0.7881, -0.4091, -1.2356,
                          -0.4841, 1.2850, -0.0282},
              tolerance);

  torch_cuda_generator a6000(43, {84, 1536});
  check_close(take(randn<float>(a6000, 3 * 128 * 128), {0, 16384, 32768}),
              std::vector{1.9983, 0.8704, 2.1127}, tolerance);

  // normal_(5, √5) on an RTX A4000.
  torch_cuda_generator a4000(14, {48, 1536});
  std::vector<double> x;
  for (const float z : randn<float>(a4000, 100000)) x.push_back(5 + std::sqrt(5.0) * double{z});
  check_close(take(x, {0, 1, 2, 97, 98, 99, 99700, 99701, 99702, 99797, 99798, 99799, 99900, 99901, 99997,
                       99998, 99999}),
              std::vector{2.8731, 5.2727, 2.9889, 1.6853, 9.6331, 6.6319, 8.6297, 2.3137, 6.2596, 7.9358,
                          4.4697, 2.7475, 2.7337, 2.2106, 8.2207, 6.5395, 4.2604},
              printed + std::sqrt(5.0) * fast_sine);
}

TEST_CASE("NVIDIA's curand, compiled for a processor and called in PyTorch's order, gives the same normals") {
  // Recorded with the headers of CUDA 13.0 for 3072 threads: 20000 in double, 13000 in float, 3 in double.
  torch_cuda_generator g(0x123456789abcdef, {2, 1536});
  // log, sin and cos good to an ulp, an angle that is rounded once more: 2π · 2⁻⁵³ · 6.8 in all.
  const double tolerance = 2 * std::numbers::pi * 6.8 * 0x1p-53;
  check_close(
      take(randn<double>(g, 20000), {0, 3071, 3072, 6143, 6144, 12287, 12288, 19999}),
      std::vector{0.096553940474434108, -0.55468955682728516, -0.7134790715091881, -0.8015584442348177,
                  -1.4262300083547641, -0.016342158982940357, 0.70537532085901933, 0.027511461107922634},
      tolerance);
  // There sinf of an angle in float, up to 2π and rounded twice: 2π · 2 · 2⁻²⁴ · 6.8.
  check_close(take(randn<float>(g, 13000), {0, 3072, 9216, 12287, 12288, 12999}),
              std::vector{-0.874468684, 0.416236371, -0.382970691, 1.69642639, -1.34006202, 1.89511561},
              2 * std::numbers::pi * 2 * 0x1p-24 * 6.8);
  check_close(randn<double>(g, 3), std::vector{-0.13554337599301461, -1.144778779343024, 0.58838459270260934},
              tolerance);
}

TEMPLATE_TEST_CASE("Up to its number of threads a device does not matter, beyond it does", "", float,
                   double) {
  torch_cuda_generator small(3, {1, 1024});  // 1024 threads
  torch_cuda_generator large(3, a100);
  for (const std::size_t size : {1U, 255U, 256U, 257U, 1024U})
    support::check_identical(randn<TestType>(small, size), randn<TestType>(large, size));
  const auto beyond = randn<TestType>(small, 1025);
  const auto within = randn<TestType>(large, 1025);
  CHECK(std::equal(beyond.begin(), beyond.end() - 1, within.begin()));
  CHECK(beyond[1024] != within[1024]);
}

TEST_CASE("A CUDA generator takes every bit of its seed and goes on in copies; no elements draw nothing") {
  torch_cuda_generator g(1, a100);
  randn<float>(g, 0);
  torch_cuda_generator copy = g;
  torch_cuda_generator high((std::uint64_t{1} << 32) + 1, a100);
  const auto first = randn<double>(g, 5);
  support::check_identical(randn<double>(copy, 5), first);
  CHECK(randn<double>(high, 5) != first);
  support::check_identical(randn<float>(copy, 5), randn<float>(g, 5));
  STATIC_REQUIRE(std::copyable<torch_cuda_generator>);
  STATIC_REQUIRE(!std::default_initializable<torch_cuda_generator>);
}

TEST_CASE("CUDA generators refuse devices without threads and tensors that PyTorch splits") {
  check_refused([] { return torch_cuda_generator(0, {0, 2048}); }, {"multiprocessors = 0", "at least 1"});
  check_refused([] { return torch_cuda_generator(0, {-3, 2048}); }, {"multiprocessors = -3"});
  check_refused(
      [] {
        return torch_cuda_generator(0, {108, 255});
      },
      {"threads_per_multiprocessor = 255", "256"});
  // Refused before anything is written, so the memory need not exist.
  torch_cuda_generator g(0, a100);
  float one = 0;
  const std::size_t limit = std::size_t{1} << 29;
  check_refused([&] { return g.randn(std::span<float>(&one, limit + 1)), 0; },
                {"size of out = 536870913", "at most 536870912"});
}

TEST_CASE("curand's normals stay finite at the ends of the words") {
  const float turn = 0x1p-32F * 2 * std::numbers::pi_v<float>;
  const auto z = detail::curand_normals({0, 0, 0xffffffff, 0xffffffff}, float{});
  const double radius = std::sqrt(66 * std::log(2.0));  // u = 2⁻³³
  CHECK(z[0] == Approx(radius * turn / 2).epsilon(1e-6));
  CHECK(z[1] == Approx(radius).epsilon(1e-6));
  CHECK(z[2] == 0);  // u rounds to 1
  CHECK(z[3] == 0);
  const auto wide = detail::curand_normals({0, 0, 0, 0}, double{});
  const double wide_radius = std::sqrt(108 * std::log(2.0));  // u = 2⁻⁵⁴
  CHECK(wide[0] == Approx(wide_radius * std::numbers::pi * 0x1p-53).epsilon(1e-12));
  CHECK(wide[1] == Approx(wide_radius).epsilon(1e-12));
}
