// Checks with messages that say where and by how much.
#pragma once

#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace support {

/// Largest relative error of one rounding.
template <class T = double>
inline constexpr double roundoff = std::numeric_limits<T>::epsilon() / 2;

/// Catch2 prints 10 decimals, which hides the errors that these tests look for.
inline const int printed_decimals = Catch::StringMaker<double>::precision = 17;

/// Fails with the worst index unless |actual - expected| ≤ absolute + relative |expected| everywhere. A NaN
/// is never close; equal infinities are.
template <class A, class B>
void check_close(const A& actual, const B& expected, double absolute, double relative = 0) {
  REQUIRE(std::size(actual) == std::size(expected));
  std::size_t worst = 0;
  double excess = -1;
  for (std::size_t i = 0; i < std::size(actual); ++i) {
    if (actual[i] == expected[i]) continue;
    const double want = static_cast<double>(expected[i]);
    const double beyond =
        std::abs(static_cast<double>(actual[i]) - want) / (absolute + relative * std::abs(want));
    if (beyond > excess || std::isnan(beyond)) {
      excess = std::isnan(beyond) ? std::numeric_limits<double>::infinity() : beyond;
      worst = i;
    }
  }
  if (excess > 1) {
    CAPTURE(worst, actual[worst], expected[worst], absolute, relative);
    FAIL_CHECK("not close, worst error is " << excess << " tolerances");
  }
}

/// Fails with the first index that differs in value. Two NaN count as equal.
template <class A, class B>
void check_identical(const A& actual, const B& expected) {
  REQUIRE(std::size(actual) == std::size(expected));
  for (std::size_t i = 0; i < std::size(actual); ++i) {
    if (actual[i] == expected[i] || (actual[i] != actual[i] && expected[i] != expected[i])) continue;
    CAPTURE(i, actual[i], expected[i]);
    FAIL_CHECK("not identical");
    return;
  }
}

/// Fails unless f throws std::invalid_argument with a message that contains every part.
template <class F>
void check_refused(F f, std::initializer_list<std::string_view> parts) {
  std::string message;
  try {
    static_cast<void>(f());
    message = "(nothing was thrown)";
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  for (const std::string_view part : parts) {
    const bool named = message.find(part) != std::string::npos;
    CAPTURE(message, std::string(part));
    CHECK(named);
  }
}

/// Slope of log(error) over log(steps) between neighbouring measurements, each with twice as many steps.
inline double order_of(double coarse_error, double fine_error) {
  return std::log2(coarse_error / fine_error);
}

}  // namespace support
