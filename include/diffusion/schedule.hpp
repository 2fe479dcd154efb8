#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/noise_level.hpp"

namespace diffusion {

/// Maps a time to a noise level. Time grows with noise.
template <class S>
concept NoiseSchedule = requires(const S& schedule, typename S::time_type t) {
  { schedule.level(t) } -> std::same_as<noise_level>;
};

/// Variance preserving schedule over steps t = 1 … T; t = 0 is clean data (Ho et al. 2020, section 2).
/// `Real` is the type of the stored table; it is computed in double.
template <std::floating_point Real = double>
class discrete_schedule {
 public:
  using time_type = int;

  /// From β_1 … β_T. Each lies in (0, 1); the last may be 1 (zero terminal SNR).
  [[nodiscard]] static discrete_schedule from_betas(std::span<const double> betas) {
    discrete_schedule s(betas.size());
    double log_alpha_bar = 0;
    for (std::size_t t = 1; t <= betas.size(); ++t) {
      const double beta = betas[t - 1];
      const bool last = t == betas.size();
      if (!(beta > 0 && (beta < 1 || (last && beta == 1))))
        detail::invalid(detail::text("beta_", t), beta, last ? "(0, 1]" : "(0, 1), only the last may be 1");
      log_alpha_bar += std::log1p(-beta);
      const double alpha = std::exp(log_alpha_bar / 2);
      if (alpha == 0 && !last)
        detail::invalid(detail::text("alpha_bar_", t), 0,
                        "(0, 1): so many betas of this size leave no signal");
      s.set(t, beta, alpha, std::sqrt(-std::expm1(log_alpha_bar)));
    }
    return s;
  }

  /// From ᾱ_1 … ᾱ_T, strictly decreasing in (0, 1); the last may be 0.
  [[nodiscard]] static discrete_schedule from_alpha_bars(std::span<const double> alpha_bars) {
    discrete_schedule s(alpha_bars.size());
    double previous = 1;
    for (std::size_t t = 1; t <= alpha_bars.size(); ++t) {
      const double alpha_bar = alpha_bars[t - 1];
      const bool last = t == alpha_bars.size();
      if (!(alpha_bar < previous && (alpha_bar > 0 || (last && alpha_bar == 0))))
        detail::invalid(detail::text("alpha_bar_", t), alpha_bar,
                        detail::text(last ? "[0, " : "(0, ", previous, "), strictly decreasing"));
      s.set(t, (previous - alpha_bar) / previous, std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar));
      previous = alpha_bar;
    }
    return s;
  }

  /// T.
  [[nodiscard]] int steps() const noexcept { return static_cast<int>(table_.size()) - 1; }

  /// Level of step t in 0 … T.
  [[nodiscard]] noise_level level(int t) const {
    const entry& e = at(t, 0);
    return {static_cast<double>(e.alpha), static_cast<double>(e.sigma)};
  }

  /// β_t, the variance of one step, t in 1 … T.
  [[nodiscard]] double beta(int t) const { return static_cast<double>(at(t, 1).beta); }

  /// ᾱ_t = Π (1-β), the signal power, t in 0 … T.
  [[nodiscard]] double alpha_bar(int t) const {
    const double alpha = static_cast<double>(at(t, 0).alpha);
    return alpha * alpha;
  }

 private:
  struct entry {
    Real beta, alpha, sigma;
  };

  explicit discrete_schedule(std::size_t steps) : table_(steps + 1, entry{0, 1, 0}) {
    if (steps == 0) detail::invalid("steps", 0, "at least 1");
  }
  void set(std::size_t t, double beta, double alpha, double sigma) {
    table_[t] = {static_cast<Real>(beta), static_cast<Real>(alpha), static_cast<Real>(sigma)};
  }
  const entry& at(int t, int first) const {
    if (t < first || t > steps()) detail::invalid("t", t, detail::text("[", first, ", ", steps(), "]"));
    return table_[static_cast<std::size_t>(t)];
  }

  std::vector<entry> table_;
};

namespace detail {

inline void require_max_beta(double max_beta) {
  if (!(max_beta > 0 && max_beta <= 1)) invalid("max_beta", max_beta, "(0, 1]");
}

/// n values from first to last inclusive; n = 1 gives first.
inline std::vector<double> linspace(double first, double last, int n) {
  if (n < 1) invalid("steps", n, "at least 1");
  std::vector<double> values(static_cast<std::size_t>(n), first);
  for (int i = 1; i < n; ++i)
    values[static_cast<std::size_t>(i)] = i == n - 1 ? last : first + i * ((last - first) / (n - 1));
  return values;
}

}  // namespace detail
}  // namespace diffusion
