// Every schedule, grid and sampler of the library under a name, for tests of properties that all share.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "diffusion/diffusion.hpp"

namespace support {

struct named_schedule {
  std::string name;
  diffusion::discrete_schedule<> schedule;
};

/// Every discrete schedule with its default options (and both readings where two exist), T ≥ 1.
template <class Use>
void for_each_schedule_factory(Use use) {
  using namespace diffusion;
  use("linear", [](auto real, int T) { return linear_schedule<decltype(real)>(T); });
  use("quadratic", [](auto real, int T) { return quadratic_schedule<decltype(real)>(T); });
  use("scaled linear", [](auto real, int T) { return scaled_linear_schedule<decltype(real)>(T); });
  use("constant", [](auto real, int T) { return constant_schedule<decltype(real)>(T); });
  use("cosine", [](auto real, int T) { return cosine_schedule<decltype(real)>(T); });
  use("sigmoid", [](auto real, int T) { return sigmoid_schedule<decltype(real)>(T); });
  use("sigmoid alpha_bar", [](auto real, int T) { return sigmoid_alpha_bar_schedule<decltype(real)>(T); });
  use("exponential", [](auto real, int T) { return exponential_schedule<decltype(real)>(T); });
  use("jsd", [](auto real, int T) { return jsd_schedule<decltype(real)>(T); });
  use("laplace", [](auto real, int T) { return laplace_schedule<decltype(real)>(T); });
  use("laplace of diffusers",
      [](auto real, int T) { return laplace_schedule<decltype(real)>(T, {.peer = compat::diffusers}); });
  use("warmup 10 %", [](auto real, int T) { return warmup_schedule<decltype(real)>(T, 0.1); });
  use("warmup 50 %", [](auto real, int T) { return warmup_schedule<decltype(real)>(T, 0.5); });
}

/// Every discrete schedule over T steps, from T = 2 on also with zero terminal SNR.
inline std::vector<named_schedule> all_schedules(int train_steps) {
  std::vector<named_schedule> all;
  for_each_schedule_factory([&](const char* name, auto make) {
    all.push_back({name, make(double{}, train_steps)});
    if (train_steps >= 2 && all.back().schedule.alpha_bar(train_steps) > 0)
      all.push_back({std::string(name) + ", zero terminal SNR",
                     diffusion::rescale_zero_terminal_snr(all.back().schedule)});
  });
  return all;
}

struct named_grid {
  std::string name;
  diffusion::time_grid grid;
};

/// Every way to choose n of T steps.
inline std::vector<named_grid> all_grids(int train_steps, int n) {
  using namespace diffusion;
  const int last_offset = train_steps - 1 - (n - 1) * (train_steps / n);
  return {{"leading", leading_grid(train_steps, n)},
          {"leading, last offset", leading_grid(train_steps, n, last_offset)},
          {"linspace", linspace_grid(train_steps, n)},
          {"trailing", trailing_grid(train_steps, n)},
          {"respaced", respaced_grid(train_steps, std::to_string(n))}};
}

struct named_sampler {
  std::string name;
  std::function<diffusion::step_coefficients(diffusion::noise_level, diffusion::noise_level)> step;
};

/// Every sampler that keeps the marginals, over its options. (Not here: ddpm with transition variance and
/// ddpm_learned, which do not.)
inline std::vector<named_sampler> all_samplers() {
  using diffusion::ddim;
  return {{"ddpm", diffusion::ddpm{}},
          {"ddim", ddim{}},
          {"ddim, eta 0.3", ddim{.eta = 0.3}},
          {"ddim, eta 1", ddim{.eta = 1}},
          {"ddim, own epsilon", ddim{.rederive_epsilon = false}},
          {"ddim, own epsilon, eta 0.3", ddim{.eta = 0.3, .rederive_epsilon = false}},
          {"ddim, own epsilon, eta 1", ddim{.eta = 1, .rederive_epsilon = false}}};
}

/// Levels of variance preserving, variance exploding and flow processes, from almost clean to almost noise.
inline std::vector<diffusion::noise_level> typical_levels() {
  std::vector<diffusion::noise_level> levels;
  for (const double log_snr : {-20.0, -6.0, -1.0, 0.0, 2.0, 9.0, 20.0})
    levels.push_back(diffusion::vp_level_from_log_snr(log_snr));
  for (const double sigma : {0.002, 0.5, 80.0}) levels.push_back({1, sigma});
  for (const double s : {0.001, 0.25, 0.999}) levels.push_back({1 - s, s});
  return levels;
}

}  // namespace support
