// The products behind the convolutions, for more channels and windows than the reference vectors have.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "nn/correlation.hpp"
#include "nn/tensor.hpp"
#include "support/catch.hpp"

using mnist::buffer_pool;
using mnist::Index;
using mnist::tensor;

namespace {

struct shape {
  int n, h, w, ins, outs;
  mnist::window k;
};

// One output channel; output channels below, at, between and above one and two rows of SIMD registers; edges
// of one pixel; widths below, at and above a tile; odd sizes.
const shape shapes[] = {
    {2, 5, 7, 3, 20, {3, 1, 1}},  {1, 1, 1, 2, 5, {3, 1, 1}},  {3, 4, 3, 17, 33, {3, 1, 1}},
    {2, 6, 7, 5, 16, {3, 2, 1}},  {1, 7, 5, 9, 8, {3, 2, 1}},  {2, 1, 4, 4, 12, {3, 2, 1}},
    {2, 6, 10, 18, 7, {4, 2, 1}}, {1, 2, 2, 1, 1, {4, 2, 1}},  {1, 9, 9, 6, 40, {3, 1, 1}},
    {2, 6, 9, 5, 1, {3, 1, 1}},   {1, 3, 14, 8, 1, {3, 2, 1}}, {1, 4, 7, 16, 24, {3, 1, 1}}};

class random_numbers {
 public:
  template <class T>
  void fill(T* first, Index count) {
    for (Index i = 0; i < count; ++i)
      first[i] = static_cast<T>(static_cast<std::int32_t>(engine_())) * T(0x1p-31);
  }
  template <class T>
  void fill(tensor<T>& x) {
    fill(x.data(), x.size());
  }

 private:
  std::mt19937 engine_{1};
};

template <class T>
std::vector<T> random_filter(random_numbers& numbers, const shape& s) {
  std::vector<T> filter(static_cast<std::size_t>(s.outs * s.ins * s.k.area()));
  numbers.fill(filter.data(), static_cast<Index>(filter.size()));
  return filter;
}

/// The definition, one sum for each output.
template <class T>
tensor<T> by_definition(const tensor<T>& x, const std::vector<T>& filter, const shape& s) {
  tensor<T> y(x.pool(), s.n, s.k.count(s.h), s.k.count(s.w), s.outs);
  for (int image = 0; image < s.n; ++image) {
    for (int i = 0; i < y.h; ++i) {
      for (int j = 0; j < y.w; ++j) {
        for (int o = 0; o < s.outs; ++o) {
          double sum = 0;
          for (int c = 0; c < s.ins; ++c) {
            for (int u = 0; u < s.k.area(); ++u) {
              const int row = i * s.k.stride - s.k.pad + u / s.k.kernel;
              const int column = j * s.k.stride - s.k.pad + u % s.k.kernel;
              if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
              sum += static_cast<double>(filter[static_cast<std::size_t>((o * s.ins + c) * s.k.area() + u)]) *
                     static_cast<double>(x.image(image)(row * s.w + column, c));
            }
          }
          y.image(image)(i * y.w + j, o) = static_cast<T>(sum);
        }
      }
    }
  }
  return y;
}

template <class T>
double inner(const tensor<T>& a, const tensor<T>& b) {
  return (a.array().template cast<double>() * b.array().template cast<double>()).sum();
}

}  // namespace

TEMPLATE_TEST_CASE("A correlation is what its definition says", "", float, double) {
  for (const shape& s : shapes) {
    random_numbers numbers;
    buffer_pool<TestType> pool;
    tensor<TestType> x(pool, s.n, s.h, s.w, s.ins);
    numbers.fill(x);
    const auto filter = random_filter<TestType>(numbers, s);
    std::vector<TestType> bias(static_cast<std::size_t>(s.outs));
    numbers.fill(bias.data(), s.outs);
    const auto found = mnist::correlate<TestType>(x, filter.data(), s.outs, s.k, bias.data());
    auto expected = by_definition(x, filter, s);
    expected.matrix().rowwise() += mnist::const_array_view<TestType>(bias.data(), s.outs).matrix();
    REQUIRE(found.size() == expected.size());
    // Sums of m products of numbers in [-1, 1], and a bias, added one after the other: off by at most m ulp
    // of a sum below m.
    const double m = s.ins * s.k.area() + 1;
    CHECK((found.array() - expected.array()).abs().maxCoeff() <=
          m * m * std::numeric_limits<TestType>::epsilon());
  }
}

TEST_CASE("The transposed correlation and the gradient of the filter are adjoints of the correlation") {
  // <y, correlate(x, w)> is linear in each argument: it equals <correlate_transposed(y, w), x> and <dfilter,
  // w>.
  for (const shape& s : shapes) {
    random_numbers numbers;
    buffer_pool<double> pool;
    tensor<double> x(pool, s.n, s.h, s.w, s.ins);
    tensor<double> y(pool, s.n, s.k.count(s.h), s.k.count(s.w), s.outs);
    numbers.fill(x);
    numbers.fill(y);
    const auto filter = random_filter<double>(numbers, s);
    const double expected = inner(y, by_definition(x, filter, s));
    // All three are sums of the same m products below 1 in size.
    const double m = static_cast<double>(y.size()) * s.ins * s.k.area();
    const double tolerance = m * std::numeric_limits<double>::epsilon();

    const auto back = mnist::correlate_transposed<double>(y, filter.data(), s.ins, s.k, nullptr, s.h, s.w);
    CHECK(std::abs(inner(back, x) - expected) <= tolerance);
    std::vector<double> dfilter(filter.size());
    mnist::correlate_filter(x, y, s.k, dfilter.data());
    double product = 0;
    for (std::size_t i = 0; i < filter.size(); ++i) product += dfilter[i] * filter[i];
    CHECK(std::abs(product - expected) <= tolerance);
  }
}

TEST_CASE("An output pixel does not depend on the other images of the batch") {
  random_numbers numbers;
  buffer_pool<float> pool;
  tensor<float> both(pool, 2, 5, 5, 3), second(pool, 1, 5, 5, 3);
  numbers.fill(both);
  second.matrix() = both.image(1);
  const auto filter = random_filter<float>(numbers, {1, 5, 5, 3, 20, {}});
  const auto y = mnist::correlate<float>(both, filter.data(), 20, {}, nullptr);
  CHECK(
      (y.image(1).array() == mnist::correlate<float>(second, filter.data(), 20, {}, nullptr).image(0).array())
          .all());
}

TEST_CASE("A pool serves a sequence of requests that it has seen from the same buffers") {
  buffer_pool<float> pool;
  const auto sequence = [&] {
    tensor<float> a(pool, 1, 2, 3, 4), b(pool, 1, 2, 3, 4);
    std::vector<const float*> seen{a.data(), b.data()};
    b = tensor<float>(pool, 2, 2, 3, 4);
    seen.push_back(b.data());
    a = std::move(b);
    seen.push_back(tensor<float>(pool, 1, 2, 3, 4).data());
    std::sort(seen.begin(), seen.end());
    return seen;
  };
  const auto first = sequence();
  CHECK(sequence() == first);
}
