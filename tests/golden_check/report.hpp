#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tolerance.hpp"

namespace golden {

/// Collects the comparisons of one file.
class report {
 public:
  explicit report(bool verbose) : verbose_(verbose) {}

  /// Compares element by element; NaN only equals NaN. The first difference beyond the tolerance is the
  /// file's failure.
  void compare(std::string_view what, std::span<const double> expected, std::span<const double> found,
               tolerance allowed);
  void compare(std::string_view what, double expected, double found, tolerance allowed);
  /// For integers, where nothing but the same value will do.
  void compare_exactly(std::string_view what, std::span<const int> expected, std::span<const int> found);

  /// Largest error of all comparisons, relative to what the tolerance says.
  [[nodiscard]] double largest_error() const noexcept { return largest_error_; }
  /// Empty if all comparisons hold.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
  void fail(std::string message);

  bool verbose_;
  double largest_error_ = 0;
  std::string failure_;
};

}  // namespace golden
