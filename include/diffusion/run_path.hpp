#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/schedule.hpp"
#include "diffusion/time_grid.hpp"

namespace diffusion {

/// When a network is asked: discrete networks read `t`, networks over noise levels `level`.
template <class Time>
struct time_point {
  Time t{};
  noise_level level;
};

/// A schedule that knows its inverse: find(ς) is the time and the level where σ/α = ς. Samplers that ask the
/// network between the times of their grid need it.
template <class S>
concept InvertibleSchedule = NoiseSchedule<S> && requires(const S& schedule, double noise_to_signal) {
  { schedule.find(noise_to_signal) } -> std::same_as<time_point<typename S::time_type>>;
};

/// A time of a run and the level there. Integer times are exact in a double.
using path_point = time_point<double>;

/// One step of a run: the state moves between two points; the network is told `eval`.
struct path_step {
  path_point from, to, eval;
};

/// The points that a run passes: a grid with the levels of its times.
class run_path {
 public:
  template <NoiseSchedule Schedule>
  run_path(const Schedule& schedule, const basic_time_grid<typename Schedule::time_type>& grid) {
    const auto at = [&](const auto& t) { return path_point{static_cast<double>(t), schedule.level(t)}; };
    for (const auto& [from, to, eval] : grid) steps_.push_back({at(from), at(to), at(eval)});
    keep_inverse_of(schedule);
    require_levels();
  }

  /// The given points, one after the other. `find` may be empty.
  explicit run_path(std::span<const path_point> points, std::function<path_point(double)> find = {})
      : find_(std::move(find)) {
    if (points.size() < 2) detail::invalid("number of points", points.size(), "at least 2");
    for (std::size_t k = 0; k + 1 < points.size(); ++k)
      steps_.push_back({points[k], points[k + 1], points[k]});
    require_levels();
  }

  /// The given steps, which need not follow one from the other.
  explicit run_path(std::vector<path_step> steps) : steps_(std::move(steps)) {
    if (steps_.empty()) detail::invalid("number of steps", 0, "at least 1");
    require_levels();
  }

  /// The points where σ/α has the given values, of which only the last may be 0 (clean data, told as t = 0).
  template <InvertibleSchedule Schedule>
  run_path(const Schedule& schedule, std::span<const double> noise_to_signal)
      : run_path(std::span<const path_point>(points_at(schedule, noise_to_signal))) {
    keep_inverse_of(schedule);
  }

  [[nodiscard]] std::size_t size() const noexcept { return steps_.size(); }
  [[nodiscard]] const path_step& operator[](std::size_t k) const noexcept { return steps_[k]; }
  [[nodiscard]] auto begin() const noexcept { return steps_.begin(); }
  [[nodiscard]] auto end() const noexcept { return steps_.end(); }

  /// Point k in 0 … size(); the last is the end of the run.
  [[nodiscard]] const path_point& point(std::size_t k) const noexcept {
    return k < steps_.size() ? steps_[k].from : steps_.back().to;
  }
  /// λ = log(α/σ) of point k.
  [[nodiscard]] double half_log_snr(std::size_t k) const noexcept {
    return diffusion::half_log_snr(point(k).level);
  }
  /// ς = σ/α of point k.
  [[nodiscard]] double noise_to_signal(std::size_t k) const noexcept {
    return diffusion::noise_to_signal(point(k).level);
  }

  /// The point between the grid's where σ/α = ς. Throws where the schedule has no inverse.
  [[nodiscard]] path_point find(double noise_to_signal) const {
    if (!find_)
      detail::invalid("sigma / alpha", noise_to_signal,
                      "that of a time of the grid: this schedule has no inverse, see continuous()");
    return find_(noise_to_signal);
  }

  /// Throws unless every step starts where the one before it ended and asks the network at its start, as
  /// methods need that remember earlier steps.
  void require_chained() const {
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      if (k > 0 && !(steps_[k].from.level == steps_[k - 1].to.level))
        detail::invalid(detail::text("grid[", k, "].from"), steps_[k].from.t,
                        detail::text(steps_[k - 1].to.t, ", where the step before it ended"));
      if (!(steps_[k].eval.level == steps_[k].from.level))
        detail::invalid(detail::text("grid[", k, "].eval"), steps_[k].eval.t,
                        detail::text(steps_[k].from.t, ", where the step starts"));
    }
  }

 private:
  template <class Schedule>
  static std::vector<path_point> points_at(const Schedule& schedule,
                                           std::span<const double> noise_to_signal) {
    std::vector<path_point> points;
    for (std::size_t k = 0; k < noise_to_signal.size(); ++k) {
      if (noise_to_signal[k] == 0 && k > 0 && k + 1 == noise_to_signal.size()) {
        points.push_back({0, {1, 0}});
      } else {
        const auto [t, level] = schedule.find(noise_to_signal[k]);
        points.push_back({static_cast<double>(t), level});
      }
    }
    return points;
  }
  template <class Schedule>
  void keep_inverse_of(const Schedule& schedule) {
    if constexpr (InvertibleSchedule<Schedule>)
      find_ = [schedule](double noise_to_signal) {
        const auto [t, level] = schedule.find(noise_to_signal);
        return path_point{static_cast<double>(t), level};
      };
  }
  void require_levels() const {
    for (const path_step& step : steps_) {
      detail::require_level("from", step.from.level);
      detail::require_level("to", step.to.level);
      detail::require_level("eval", step.eval.level);
    }
  }

  std::vector<path_step> steps_;
  std::function<path_point(double)> find_;
};

}  // namespace diffusion
