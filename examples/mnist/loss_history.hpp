// The losses of a whole run in little space.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mnist {

/// Sums of the losses of equally many steps each: at most `most_points` over a run of `total` steps.
class loss_history {
 public:
  static constexpr std::int64_t most_points = 2000;

  explicit loss_history(std::int64_t total) : interval_((total + most_points - 1) / most_points) {}

  /// Steps that share a point.
  [[nodiscard]] std::int64_t interval() const { return interval_; }
  /// Sums of the points begun so far; what is needed to continue.
  [[nodiscard]] const std::vector<double>& sums() const { return sums_; }
  [[nodiscard]] std::vector<double>& sums() { return sums_; }
  /// Points of a run after `step` steps.
  [[nodiscard]] std::size_t points(std::int64_t step) const {
    return static_cast<std::size_t>((step + interval_ - 1) / interval_);
  }

  /// The loss of step 0, 1, ...
  void add(std::int64_t step, double loss) {
    if (step % interval_ == 0) sums_.push_back(0);
    sums_.back() += loss;
  }

  /// The mean loss of every point after `step` steps.
  [[nodiscard]] std::vector<double> means(std::int64_t step) const {
    std::vector<double> result;
    for (const double sum : sums_) {
      const auto first = static_cast<std::int64_t>(result.size()) * interval_;
      result.push_back(sum / static_cast<double>(std::min(interval_, step - first)));
    }
    return result;
  }

 private:
  std::int64_t interval_;
  std::vector<double> sums_;
};

}  // namespace mnist
