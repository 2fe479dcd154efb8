#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/detail/error.hpp"

namespace diffusion {

// Times of a batch, by functions of u uniform in (0, 1). In continuous time u itself is one, or a quantile
// function of it (schedules/training_sigmas.hpp).

/// A random word as a number in (0, 1), such as one of addressed_words.
[[nodiscard]] constexpr double unit_uniform(std::uint32_t word) noexcept { return (word + 0.5) * 0x1p-32; }

namespace detail {
inline void require_place(double u, std::size_t i, std::size_t count) {
  if (!(u >= 0 && u < 1)) invalid("u", u, "[0, 1)");
  if (i >= count) invalid("i", i, text("below the count ", count));
}
}  // namespace detail

/// The i-th of `count` values, one in each of as many equal parts of [0, 1), from a u of its own. Each part
/// is always met: the loss of a batch varies less than with free draws.
[[nodiscard]] inline double stratified(double u, std::size_t i, std::size_t count) {
  detail::require_place(u, i, count);
  return (static_cast<double>(i) + u) / static_cast<double>(count);
}

/// The same from one u for the whole batch: evenly spaced, and every single value is uniform in [0, 1)
/// (Kingma et al. 2021, appendix I.1).
[[nodiscard]] inline double low_discrepancy(double u, std::size_t i, std::size_t count) {
  detail::require_place(u, i, count);
  const double sum = u + static_cast<double>(i) / static_cast<double>(count);
  return sum < 1 ? sum : sum - 1;
}

/// A step of 1 … T, all alike, from u in [0, 1].
[[nodiscard]] inline int uniform_time(double u, int steps) {
  if (!(u >= 0 && u <= 1)) detail::invalid("u", u, "[0, 1]");
  if (steps < 1) detail::invalid("steps", steps, "at least 1");
  return std::min(1 + static_cast<int>(u * steps), steps);
}

/// A drawn step and the factor 1/(T p_t) of its loss that keeps the mean over draws that over all steps.
struct weighted_time {
  int t = 1;
  double weight = 1;
};

/// The latest losses of every step 1 … T: all that loss_aware_times remembers.
struct loss_history {
  std::size_t kept = 10;       ///< losses remembered of a step, at least 1
  std::vector<double> losses;  ///< T rows of `kept`, oldest first; the places not filled yet count as none
  std::vector<std::size_t> counts;  ///< T numbers of filled places
};

/// Draws steps in proportion to the root mean square of their latest losses, which minimises the variance of
/// the loss (Nichol & Dhariwal 2021, section 3.3; guided-diffusion's "loss-second-moment"), mixed with
/// `uniform_share` of uniform draws. Uniform until the history is full, and where all losses are 0.
class loss_aware_times {
 public:
  /// Starts without history. Throws unless steps ≥ 1, kept ≥ 1 and uniform_share in (0, 1].
  explicit loss_aware_times(int steps, std::size_t kept = 10, double uniform_share = 0.001)
      : loss_aware_times(empty(steps, kept), uniform_share) {}

  /// Continues with a history that was saved.
  explicit loss_aware_times(loss_history history, double uniform_share = 0.001)
      : history_(std::move(history)),
        uniform_share_(uniform_share),
        probabilities_(history_.counts.size()),
        cumulative_(history_.counts.size()) {
    if (!(uniform_share > 0 && uniform_share <= 1)) detail::invalid("uniform_share", uniform_share, "(0, 1]");
    if (history_.kept == 0) detail::invalid("kept", 0, "at least 1");
    if (history_.counts.empty()) detail::invalid("steps", 0, "at least 1");
    detail::require_size("losses", history_.losses.size(), history_.counts.size() * history_.kept);
    for (const std::size_t count : history_.counts)
      if (count > history_.kept) detail::invalid("count", count, detail::text("[0, ", history_.kept, "]"));
    for (const double loss : history_.losses) require_loss(loss);
    accumulate();
  }

  /// T.
  [[nodiscard]] int steps() const noexcept { return static_cast<int>(cumulative_.size()); }
  [[nodiscard]] const loss_history& history() const noexcept { return history_; }

  /// Takes the losses of a batch, without the weights of the draws, with their steps 1 … T.
  void update(std::span<const int> times, std::span<const double> losses) {
    detail::require_size("losses", losses.size(), times.size());
    for (const int t : times) require_time(t);
    for (const double loss : losses) require_loss(loss);
    for (std::size_t i = 0; i < times.size(); ++i) {
      const auto row = static_cast<std::size_t>(times[i] - 1);
      double* const oldest = history_.losses.data() + row * history_.kept;
      std::size_t& count = history_.counts[row];
      if (count < history_.kept)
        oldest[count++] = losses[i];
      else
        *std::shift_left(oldest, oldest + count, 1) = losses[i];
    }
    accumulate();
  }

  /// p_t, of a step 1 … T.
  [[nodiscard]] double probability(int t) const {
    require_time(t);
    return probabilities_[static_cast<std::size_t>(t - 1)];
  }

  /// A step from u in [0, 1]; stratified ones will do.
  [[nodiscard]] weighted_time draw(double u) const {
    if (!(u >= 0 && u <= 1)) detail::invalid("u", u, "[0, 1]");
    const auto above = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, u);
    const int t = 1 + static_cast<int>(above - cumulative_.begin());
    return {t, 1 / (steps() * probability(t))};
  }

 private:
  static loss_history empty(int steps, std::size_t kept) {
    if (steps < 1) detail::invalid("steps", steps, "at least 1");
    const auto size = static_cast<std::size_t>(steps);
    return {kept, std::vector<double>(size * kept), std::vector<std::size_t>(size)};
  }
  static void require_loss(double loss) {
    if (!(std::abs(loss) <= 1e100)) detail::invalid("loss", loss, "[-1e100, 1e100]");  // squares stay finite
  }
  void require_time(int t) const {
    if (t < 1 || t > steps()) detail::invalid("t", t, detail::text("[1, ", steps(), "]"));
  }

  void accumulate() {
    const std::size_t kept = history_.kept;
    double total = 0;
    bool full = true;
    for (std::size_t row = 0; row < probabilities_.size(); ++row) {
      full = full && history_.counts[row] == kept;
      double squares = 0;
      for (std::size_t k = 0; k < kept; ++k)
        squares += history_.losses[row * kept + k] * history_.losses[row * kept + k];
      total += probabilities_[row] = std::sqrt(squares);
    }
    const bool aware = full && total > 0;
    double sum = 0;
    for (std::size_t row = 0; row < probabilities_.size(); ++row) {
      double& p = probabilities_[row];
      p = aware ? (1 - uniform_share_) * (p / total) + uniform_share_ / steps() : 1.0 / steps();
      cumulative_[row] = sum += p;
    }
  }

  loss_history history_;
  double uniform_share_;
  std::vector<double> probabilities_;
  std::vector<double> cumulative_;  // p_1 + … + p_t
};

}  // namespace diffusion
