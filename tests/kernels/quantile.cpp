#include "diffusion/kernels/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;

namespace {

template <class T>
double sorted_quantile(std::vector<T> values, double ratio) {
  std::sort(values.begin(), values.end());
  const double position = ratio * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double fraction = position - static_cast<double>(below);
  const double low = static_cast<double>(values[below]);
  return fraction == 0 ? low : low + (static_cast<double>(values[below + 1]) - low) * fraction;
}

template <class T>
void check_quantiles(const std::vector<T>& magnitudes) {
  for (const double ratio : {0.0, 0.001, 0.3, 0.5, 0.9, 0.995, 0.99999, 1.0}) {
    CAPTURE(magnitudes.size(), ratio);
    auto scratch = magnitudes;
    CHECK(detail::quantile(std::span<T>(scratch), ratio) == sorted_quantile(magnitudes, ratio));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A quantile is that of a plain sort, for few values and for many", "", float, double) {
  for (const std::size_t size : {1u, 2u, 3u, 784u, 4095u, 4096u, 4097u, 50'001u}) {
    auto magnitudes = support::normals<TestType>(size, size);
    for (TestType& value : magnitudes) value = std::abs(value);
    check_quantiles(magnitudes);
    // Values of all sizes, equal ones, subnormal ones and zeros: nearly empty and overfull bins.
    for (std::size_t i = 0; i < size; ++i)
      magnitudes[i] = i % 5 == 0 ? TestType(1.5) : std::pow(magnitudes[i], TestType(i % 31));
    check_quantiles(magnitudes);
    std::fill(magnitudes.begin(), magnitudes.end(), TestType(2));
    check_quantiles(magnitudes);
    magnitudes.front() = 0;
    check_quantiles(magnitudes);
  }
}

TEMPLATE_TEST_CASE("A quantile of many values survives infinities above it, and one NaN makes it a NaN", "",
                   float, double) {
  std::vector<TestType> magnitudes(5000, TestType(1));
  std::fill(magnitudes.begin(), magnitudes.begin() + 2000, std::numeric_limits<TestType>::infinity());
  auto scratch = magnitudes;
  CHECK(detail::quantile(std::span<TestType>(scratch), 0.5) == 1);
  scratch = magnitudes;
  CHECK(detail::quantile(std::span<TestType>(scratch), 0.9999) == HUGE_VAL);
  for (const std::size_t place : {0u, 1u, 4999u}) {
    scratch = magnitudes;
    scratch[place] = std::numeric_limits<TestType>::quiet_NaN();
    CHECK(std::isnan(detail::quantile(std::span<TestType>(scratch), 0.5)));
  }
}
