#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "diffusion/compat.hpp"
#include "diffusion/distilled_grid.hpp"
#include "diffusion/schedules/beta_sigmas.hpp"
#include "diffusion/schedules/continuous.hpp"
#include "diffusion/solver_grids.hpp"

namespace diffusion {

/// What a run may be asked for beside its number of steps: for schedules that shift with the size of the
/// image
/// ("dynamic shifting") the number of tokens, or μ itself.
struct run_request {
  std::optional<double> image_tokens{};
  std::optional<double> mu{};
};

/// Where the times of a run lie.
enum class time_spacing { leading, linspace, trailing };

/// How σ is spread between its ends, where it does not follow from times.
enum class sigma_spacing { of_times, karras, exponential, beta };

/// Whether the times that belong to a list of σ are made whole.
enum class whole_times { no, nearest, below };

/// Where a run ends.
enum class run_end {
  clean,        ///< σ = 0
  first_level,  ///< the least noisy level of the training process, or of the list of σ
  repeat_last,  ///< the last level again, a step without length; only to reproduce a peer
};

namespace detail {

inline constexpr int max_configured_steps = 100'000;

inline void require_configured_steps(int n) {
  if (n < 1 || n > max_configured_steps) invalid("steps", n, text("[1, ", max_configured_steps, "]"));
}

inline std::vector<double> spread_sigmas(sigma_spacing spacing, int n, sigma_range range, double rho = 7) {
  switch (spacing) {
    case sigma_spacing::karras:
      return karras_sigmas(n, range, rho);
    case sigma_spacing::exponential:
      return exponential_sigmas(n, range);
    case sigma_spacing::beta:
      return beta_sigmas(n, range);
    case sigma_spacing::of_times:
      break;
  }
  invalid("sigma_spacing", static_cast<int>(spacing), "karras, exponential, beta");
}

inline run_path path_through(const std::vector<path_point>& points,
                             std::function<path_point(double)> find = {}) {
  return run_path(std::span<const path_point>(points), std::move(find));
}

}  // namespace detail

/// Runs over a discrete schedule, in the three ways in which diffusers' classes place their points.
struct vp_grid {
  enum class family {
    index,  ///< n whole times (DDPM, DDIM, PNDM)
    sigma,  ///< n times, fractional for linspace; lists of σ between the ends of those (Euler, Heun, LMS, …)
    solver,  ///< n of n + 1 whole times; lists of σ between the ends of the table (DPM-Solver, UniPC, DEIS)
  };

  discrete_schedule<> schedule;
  continuous_schedule between;
  family kind = family::index;
  time_spacing spacing = time_spacing::leading;
  int offset = 0;
  sigma_spacing list = sigma_spacing::of_times;
  bool log_linear = false;  ///< ln σ even between the ends of the times
  std::optional<double> sigma_min{}, sigma_max{};
  whole_times whole = whole_times::no;  ///< only what the network is told; the levels stay those of the list
  run_end end = run_end::clean;
  double lowest_half_log_snr = -std::numeric_limits<double>::infinity();
  compat peer = compat::none;

  [[nodiscard]] path_point at(double t) const {
    // diffusers' classes in σ have no level without signal.
    const bool between_steps = t != std::floor(t) || (kind != family::index && peer == compat::diffusers);
    return {t, between_steps ? between.level(t) : schedule.level(static_cast<int>(t))};
  }

  /// The n times at which the network is asked, where no list of σ replaces them.
  [[nodiscard]] std::vector<double> times(int n) const {
    const int last =
        std::isfinite(lowest_half_log_snr) ? steps_above(between, lowest_half_log_snr) : schedule.steps();
    const auto starts = [](const auto& grid) {
      std::vector<double> result;
      for (const auto& step : grid) result.push_back(static_cast<double>(step.from));
      return result;
    };
    switch (spacing) {
      case time_spacing::leading:
        return starts(kind == family::solver ? open_leading_grid(last, n, offset)
                                             : leading_grid(last, n, offset));
      case time_spacing::linspace:
        if (kind == family::sigma) return starts(fractional_linspace_grid(last, n));
        return starts(kind == family::solver ? open_linspace_grid(last, n) : linspace_grid(last, n));
      case time_spacing::trailing:
        return starts(trailing_grid(last, n));
    }
    detail::invalid("spacing", static_cast<int>(spacing), "leading, linspace, trailing");
  }

  [[nodiscard]] run_path operator()(int n, const run_request& = {}) const {
    const std::vector<double> grid = times(n);
    std::vector<path_point> points;
    // A list that ends at its own least σ has no further step there.
    const bool ends_within = peer == compat::none && end != run_end::clean;
    const bool spread = list != sigma_spacing::of_times;
    if (!spread && !log_linear) {
      for (const double t : grid) points.push_back(at(t));
    } else if (log_linear && !spread && peer == compat::diffusers) {
      // It makes n + 1 values, tells the times of the grid, and appends the end after a run that stops
      // before.
      const std::vector<double> sigmas = exponential_sigmas(n + 1, range(grid));
      for (std::size_t k = 0; k < sigmas.size(); ++k)
        points.push_back({k < grid.size() ? grid[k] : 0, between.find(sigmas[k]).level});
      return detail::path_through(points, finder());
    } else {
      const int count = ends_within ? n + 1 : n;
      for (const double sigma :
           detail::spread_sigmas(spread ? list : sigma_spacing::exponential, count, range(grid)))
        points.push_back(told(between.find(sigma)));
      if (ends_within) return detail::path_through(points, finder());
    }
    if (end == run_end::clean)
      points.push_back({0, {1, 0}});
    else
      points.push_back(end == run_end::first_level ? at(1) : points.back());
    return detail::path_through(points, finder());
  }

 private:
  [[nodiscard]] path_point told(path_point point) const {
    const double nearest = std::nearbyint(point.t);
    if (std::abs(point.t - nearest) < 1e-9) point.t = nearest;  // a time of the table up to rounding
    if (whole == whole_times::nearest) point.t = std::nearbyint(point.t - 1) + 1;
    if (whole == whole_times::below) point.t = std::floor(point.t);
    return point;
  }
  [[nodiscard]] sigma_range range(const std::vector<double>& grid) const {
    const double first = kind == family::solver ? between.steps() : grid.front();
    const double last = kind == family::solver ? 1 : grid.back();
    return {sigma_min.value_or(noise_to_signal(between.level(last))),
            sigma_max.value_or(noise_to_signal(between.level(first)))};
  }
  [[nodiscard]] std::function<path_point(double)> finder() const {
    return [between = between](double noise_to_signal) { return between.find(noise_to_signal); };
  }
};

/// The times that a network was distilled on, then clean data (LCM, TCD).
struct distilled_run_grid {
  discrete_schedule<> schedule;
  int original_steps = 50;
  int end = 0;  ///< time of the end: 0, or 1 as diffusers' TCD has it

  [[nodiscard]] run_path operator()(int n, const run_request& = {}) const {
    return run_path(schedule, distilled_grid(schedule.steps(), original_steps, n, 1, end));
  }
};

}  // namespace diffusion
