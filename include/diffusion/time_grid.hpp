#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/detail/error.hpp"

namespace diffusion {

/// One step of a run: the state moves from the level of `from` to that of `to`; the network is asked at time
/// `eval`.
template <class Time>
struct interval {
  Time from{};
  Time to{};
  Time eval{};
  friend bool operator==(const interval&, const interval&) = default;
};

/// The steps of a run, in order: all towards the data (from > to) or, for inversion, all away from it.
template <class Time>
class basic_time_grid {
 public:
  using time_type = Time;

  /// Throws unless there is a step and `from` moves strictly in the direction of every step.
  explicit basic_time_grid(std::vector<interval<Time>> steps) : steps_(std::move(steps)) {
    if (steps_.empty()) detail::invalid("steps", 0, "at least 1");
    const bool down = !(steps_.front().to > steps_.front().from);
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      const auto& [from, to, eval] = steps_[k];
      const char* side = down ? "below " : "above ";
      if (down ? !(to < from) : !(to > from))
        detail::invalid(detail::text("grid[", k, "].to"), to, detail::text(side, from));
      if (k > 0 && (down ? !(from < steps_[k - 1].from) : !(from > steps_[k - 1].from)))
        detail::invalid(detail::text("grid[", k, "].from"), from, detail::text(side, steps_[k - 1].from));
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return steps_.size(); }
  [[nodiscard]] const interval<Time>& operator[](std::size_t k) const noexcept { return steps_[k]; }
  [[nodiscard]] auto begin() const noexcept { return steps_.begin(); }
  [[nodiscard]] auto end() const noexcept { return steps_.end(); }
  friend bool operator==(const basic_time_grid&, const basic_time_grid&) = default;

 private:
  std::vector<interval<Time>> steps_;
};

/// Grid over the steps t = 1 … T of a discrete schedule; 0 is clean data. Several Python libraries count 0 …
/// T-1 instead: their index k is t = k + 1 here.
using time_grid = basic_time_grid<int>;

namespace detail {

/// numerator / denominator to the nearest integer, halves to even (NumPy's round), without floating point.
[[nodiscard]] constexpr int round_half_even(std::int64_t numerator, std::int64_t denominator) noexcept {
  const std::int64_t quotient = numerator / denominator;
  const std::int64_t twice_rest = 2 * (numerator % denominator);
  const bool up = twice_rest > denominator || (twice_rest == denominator && quotient % 2 != 0);
  return static_cast<int>(quotient + (up ? 1 : 0));
}

inline void require_steps(int train_steps, int n) {
  if (train_steps < 1) invalid("train_steps", train_steps, "at least 1");
  if (n < 1 || n > train_steps) invalid("steps", n, text("[1, ", train_steps, "]"));
}

/// The run over t_0 > t_1 > … > t_{n-1} and then to clean data, time_of(k) = t_k.
template <class F>
[[nodiscard]] time_grid chain(int n, F time_of) {
  std::vector<interval<int>> steps;
  steps.reserve(static_cast<std::size_t>(n));
  for (int k = 0; k < n; ++k) {
    const int from = time_of(k);
    steps.push_back({from, k + 1 < n ? time_of(k + 1) : 0, from});
  }
  return time_grid(std::move(steps));
}

}  // namespace detail

/// T, T-1, …, 1: every step of the training process.
[[nodiscard]] inline time_grid full_grid(int train_steps) {
  detail::require_steps(train_steps, train_steps);
  return detail::chain(train_steps, [=](int k) { return train_steps - k; });
}

/// n times, ⌊T/n⌋ apart, from 1 + offset up ("leading"). Does not reach T: for few steps prefer
/// trailing_grid.
[[nodiscard]] inline time_grid leading_grid(int train_steps, int n, int offset = 0) {
  detail::require_steps(train_steps, n);
  const int stride = train_steps / n;
  const int free = train_steps - 1 - (n - 1) * stride;
  if (offset < 0 || offset > free) detail::invalid("offset", offset, detail::text("[0, ", free, "]"));
  return detail::chain(n, [=](int k) { return (n - 1 - k) * stride + offset + 1; });
}

/// n times evenly from 1 to T, rounded half to even ("linspace"). One step is t = 1, as linspace(0, T-1, 1)
/// has it.
[[nodiscard]] inline time_grid linspace_grid(int train_steps, int n) {
  detail::require_steps(train_steps, n);
  return detail::chain(n, [=](int k) {
    return n == 1 ? 1 : 1 + detail::round_half_even(std::int64_t{n - 1 - k} * (train_steps - 1), n - 1);
  });
}

/// n times evenly from T down in strides of T/n, rounded half to even ("trailing"): always starts at T, the
/// right choice for few steps and for zero terminal SNR (Lin et al. 2024, section 3.3).
[[nodiscard]] inline time_grid trailing_grid(int train_steps, int n) {
  detail::require_steps(train_steps, n);
  return detail::chain(n,
                       [=](int k) { return detail::round_half_even(std::int64_t{n - k} * train_steps, n); });
}

/// The given times, strictly decreasing in 1 … T, and then to clean data.
[[nodiscard]] inline time_grid explicit_grid(int train_steps, std::span<const int> times) {
  if (times.empty()) detail::invalid("number of times", 0, "at least 1");
  for (std::size_t k = 0; k < times.size(); ++k) {
    const int t = times[k];
    if (t < 1 || t > train_steps) detail::invalid("t", t, detail::text("[1, ", train_steps, "]"));
    if (k > 0 && t >= times[k - 1])
      detail::invalid("t", t, detail::text("below ", times[k - 1], ", strictly decreasing"));
  }
  return detail::chain(static_cast<int>(times.size()),
                       [=](int k) { return times[static_cast<std::size_t>(k)]; });
}

/// Respaced process of Nichol & Dhariwal 2021. "10,20,30": that many times evenly in each of equal sections
/// of the T steps, the section nearest to the data first. "ddim25": 25 times at a constant integer stride;
/// throws if none exists.
[[nodiscard]] time_grid respaced_grid(int train_steps, std::string_view sections);

/// The same steps backwards, from data to noise (DDIM inversion). The network is asked at the noisier end of
/// each step.
template <class Time>
[[nodiscard]] basic_time_grid<Time> inverted(const basic_time_grid<Time>& grid) {
  std::vector<interval<Time>> steps;
  steps.reserve(grid.size());
  for (std::size_t k = grid.size(); k-- > 0;) steps.push_back({grid[k].to, grid[k].from, grid[k].eval});
  return basic_time_grid<Time>(std::move(steps));
}

namespace detail {

inline int parse_count(std::string_view text, std::string_view whole) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1)
    invalid("respacing", whole, R"("ddimN" or positive counts separated by commas)");
  return count;
}

/// 1, 1 + stride, …: the only integer stride, if any, that gives n times.
inline std::vector<int> constant_stride_times(int train_steps, int n) {
  for (int stride = 1; stride <= train_steps; ++stride) {
    if ((train_steps + stride - 1) / stride != n) continue;
    std::vector<int> times;
    for (int t = 1; t <= train_steps; t += stride) times.push_back(t);
    return times;
  }
  invalid("ddim steps", n, text("a count that a constant integer stride over ", train_steps, " steps gives"));
}

}  // namespace detail

inline time_grid respaced_grid(int train_steps, std::string_view sections) {
  detail::require_steps(train_steps, 1);
  std::vector<int> times;
  if (sections.starts_with("ddim")) {
    times = detail::constant_stride_times(train_steps, detail::parse_count(sections.substr(4), sections));
  } else {
    std::vector<int> counts;
    for (std::string_view rest = sections;;) {
      const std::size_t comma = rest.find(',');
      counts.push_back(detail::parse_count(rest.substr(0, comma), sections));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    const int n = static_cast<int>(counts.size());
    int start = 1;
    for (int i = 0; i < n; ++i) {
      const int size = train_steps / n + (i < train_steps % n ? 1 : 0);
      const int count = counts[static_cast<std::size_t>(i)];
      if (count > size)
        detail::invalid(detail::text("times in section ", i), count, detail::text("[1, ", size, "]"));
      for (int j = 0; j < count; ++j)
        times.push_back(start +
                        (count == 1 ? 0 : detail::round_half_even(std::int64_t{j} * (size - 1), count - 1)));
      start += size;
    }
  }
  const std::size_t last = times.size() - 1;
  return detail::chain(static_cast<int>(times.size()),
                       [&](int k) { return times[last - static_cast<std::size_t>(k)]; });
}

}  // namespace diffusion
