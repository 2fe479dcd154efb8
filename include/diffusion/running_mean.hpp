#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

namespace diffusion {

/// Mean of independent draws, and how far it may be from what it estimates (Welford 1962).
class running_mean {
 public:
  void add(double value) noexcept {
    ++count_;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (value - mean_);
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// 0 without draws.
  [[nodiscard]] double mean() const noexcept { return mean_; }
  /// Standard deviation of mean(), itself estimated from the draws: NaN below two.
  [[nodiscard]] double standard_error() const noexcept {
    if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
    const double n = static_cast<double>(count_);
    return std::sqrt(squares_ / (n * (n - 1)));
  }

 private:
  std::size_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

}  // namespace diffusion
