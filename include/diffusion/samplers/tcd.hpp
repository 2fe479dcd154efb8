#pragma once

#include <concepts>

#include "diffusion/renoise.hpp"
#include "diffusion/run_plan.hpp"
#include "diffusion/samplers/ddim.hpp"

namespace diffusion {

/// Trajectory consistency distillation, "strategic stochastic sampling" (Zheng et al. 2024): a
/// step goes by ddim beyond its end, to the time s = (1 - η) t_to, and is noised again up to t_to. η = 0 is
/// ddim, η = 1 noises the predicted data (of time 0). Every step keeps the marginals. Grids: distilled_grid.
///
/// Over a discrete schedule s = ⌊(1 - η)(t_to - 1)⌋ + 1: TCDs are distilled with times that count from 0 at
/// the first noised level, which is t = 1. A step to clean data has s = 0.
template <NoiseSchedule Schedule>
struct tcd {
  Schedule schedule;  ///< of the path: tells the level at s
  double eta = 0.3;   ///< γ of the paper, in [0, 1]

  [[nodiscard]] run_plan plan(const run_path& path) const {
    if (!(eta >= 0 && eta <= 1)) detail::invalid("eta", eta, "[0, 1]");
    run_plan plan;
    plan.stages.reserve(path.size());
    for (const auto& [from, to, eval] : path) {
      const noise_level beyond = schedule.level(time_beyond(to.t));
      plan.stages.push_back({.from = from,
                             .to = to,
                             .eval = eval,
                             .next = {renoise(ddim{}(from.level, beyond), beyond, to.level), {}},
                             .keep = {}});
    }
    return plan;
  }

 private:
  using time_type = typename Schedule::time_type;

  [[nodiscard]] time_type time_beyond(double to) const {
    if constexpr (std::integral<time_type>)
      return to < 1 ? time_type{0} : static_cast<time_type>((1 - eta) * (to - 1)) + 1;
    else
      return (1 - eta) * to;
  }
};
template <class Schedule>
tcd(Schedule) -> tcd<Schedule>;
template <class Schedule>
tcd(Schedule, double) -> tcd<Schedule>;

}  // namespace diffusion
