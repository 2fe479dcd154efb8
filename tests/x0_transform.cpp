#include "diffusion/x0_transform.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
const prediction_map output_is_x0{0, 1, 1};

/// x̂0 after the transform, for a network that predicts x0.
template <class Arch = default_arch, class T>
std::vector<T> transformed(const x0_transform& transform, const std::vector<T>& x0) {
  const std::vector<T> x_t(x0.size());
  std::vector<T> scratch(x0.size());
  std::vector<T> result(x0.size());
  const x0_clamp clamp =
      clamp_for<Arch>(transform, output_is_x0, std::span<const T>(x_t), x0, std::span<T>(scratch));
  predict_x0<Arch>(output_is_x0, clamp, x_t, x0, std::span<T>(result));
  return result;
}

/// Linear interpolation between order statistics, by sorting.
double sorted_quantile(std::vector<double> values, double ratio) {
  std::sort(values.begin(), values.end());
  const double position = ratio * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const auto above = std::min(below + 1, values.size() - 1);
  const double part = position - static_cast<double>(below);
  return values[below] * (1 - part) + values[above] * part;
}

}  // namespace

TEST_CASE("Keeping and clipping do what they say") {
  const std::vector<double> x0{-3, -0.5, 0, 0.5, 3, inf, -inf};
  support::check_identical(transformed(x0_keep{}, x0), x0);
  support::check_identical(transformed(x0_clip{}, x0), std::vector<double>{-1, -0.5, 0, 0.5, 1, 1, -1});
  support::check_identical(transformed(x0_clip{2}, x0), std::vector<double>{-2, -0.5, 0, 0.5, 2, 2, -2});
  support::check_identical(transformed(x0_clip{inf}, x0), x0);
}

TEMPLATE_TEST_CASE("A NaN survives clipping and does not touch its neighbours", "", float, double) {
  // 19 elements: full packs and a tail on every architecture.
  for (std::size_t place = 0; place < 19; ++place) {
    std::vector<TestType> x0(19, TestType(2));
    std::vector<TestType> want(19, TestType(1));
    x0[place] = want[place] = std::numeric_limits<TestType>::quiet_NaN();
    support::check_identical(transformed(x0_clip{}, x0), want);
    support::check_identical(transformed<scalar_arch>(x0_clip{}, x0), want);
  }
}

TEST_CASE("Dynamic thresholding divides by the quantile of a plain sort") {
  for (const std::size_t size : {1u, 2u, 3u, 10u, 101u, 784u})
    for (const double ratio : {0.0, 0.25, 0.5, 0.9, 0.995, 1.0})
      for (const double max : {1.0, 1.5, inf}) {
        CAPTURE(size, ratio, max);
        std::vector<double> x0 = support::normals(size, size);
        for (double& value : x0) value *= 2;
        std::vector<double> magnitudes = x0;
        for (double& value : magnitudes) value = std::abs(value);
        const double s = std::clamp(sorted_quantile(magnitudes, ratio), 1.0, max);
        std::vector<double> want = x0;
        for (double& value : want) value = std::clamp(value, -s, s) / s;
        support::check_close(transformed(dynamic_threshold{ratio, max}, x0), want, 8 * roundoff<>);
        support::check_close(transformed<scalar_arch>(dynamic_threshold{ratio, max}, x0), want,
                             8 * roundoff<>);
      }
}

TEST_CASE("Dynamic thresholding leaves data in [-1, 1] alone, and clips at its default maximum of 1") {
  const std::vector<double> small{-1, -0.25, 0.5, 0.75};
  support::check_identical(transformed(dynamic_threshold{.ratio = 0.5, .max = 9}, small), small);
  const std::vector<double> large{-4, -0.25, 0.5, 4};
  support::check_identical(transformed(dynamic_threshold{}, large), transformed(x0_clip{}, large));
}

TEST_CASE("Dynamic thresholding is per sample") {
  const std::vector<float> a{4, 0.5F, -2};
  const std::vector<float> b{0.1F, 0.2F, -0.3F};
  const x0_transform transform = dynamic_threshold{.ratio = 1, .max = 100};
  CHECK(transformed(transform, a)[0] == 1);
  CHECK(transformed(transform, b)[2] == -0.3F);
}

TEST_CASE("Dynamic thresholding makes a sample with a NaN all NaN") {
  for (const double value : transformed(dynamic_threshold{.max = 3}, std::vector<double>{1, quiet_nan, 2}))
    CHECK(std::isnan(value));
}

TEST_CASE("Dynamic thresholding survives an infinite element outside its quantile") {
  // The median of five is an order statistic: nothing is interpolated.
  const x0_transform median = dynamic_threshold{.ratio = 0.5, .max = 9};
  support::check_identical(transformed(median, std::vector<double>{1, 2, 4, inf, -inf}),
                           std::vector<double>{0.25, 0.5, 1, 1, -1});
  const x0_transform largest = dynamic_threshold{.ratio = 1, .max = 2};
  support::check_identical(transformed(largest, std::vector<double>{1, 2, inf}),
                           std::vector<double>{0.5, 1, 1});
}

TEST_CASE("Transforms with illegal limits are refused by name, value and range") {
  const auto require = [](x0_transform transform) {
    return [=] {
      detail::require_x0_transform(transform);
      return 0;
    };
  };
  check_refused(require(x0_clip{0}), {"x0_clip.limit = 0", "(0, inf]"});
  check_refused(require(x0_clip{-1}), {"x0_clip.limit = -1"});
  check_refused(require(x0_clip{quiet_nan}), {"x0_clip.limit = nan"});
  check_refused(require(dynamic_threshold{.ratio = 1.5}), {"dynamic_threshold.ratio = 1.5", "[0, 1]"});
  check_refused(require(dynamic_threshold{.ratio = quiet_nan}), {"dynamic_threshold.ratio = nan"});
  check_refused(require(dynamic_threshold{.max = 0.5}), {"dynamic_threshold.max = 0.5", "[1, inf]"});
  CHECK_NOTHROW(require(x0_keep{})());
  CHECK_NOTHROW(require(dynamic_threshold{0, inf})());
}
