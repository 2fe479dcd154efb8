// Drawing digits with a trained network and the library's samplers.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ask_unet.hpp"
#include "checkpoint.hpp"
#include "diffusion/ddpm.hpp"
#include "diffusion/guidance.hpp"
#include "names.hpp"

namespace mnist {

enum class sampler { ddim, ddpm };
inline constexpr std::array<std::pair<std::string_view, sampler>, 2> samplers{
    {{"ddim", sampler::ddim}, {"ddpm", sampler::ddpm}}};

/// How the n times of a run are chosen from 1 ... T.
inline constexpr std::array<std::pair<std::string_view, diffusion::time_grid (*)(int, int)>, 3> spacings{{
    {"trailing", diffusion::trailing_grid},
    {"linspace", diffusion::linspace_grid},
    {"leading", [](int train_steps, int n) { return diffusion::leading_grid(train_steps, n); }},
}};

struct generate_options {
  std::string sampler = "ddim";
  std::string spacing = "trailing";
  int steps = 50;
  double eta = 0;       ///< of ddim
  double guidance = 1;  ///< 1 = off; anything else needs labels
  std::uint64_t seed = 1;
};

/// Times that the network looks at each image.
[[nodiscard]] inline int evaluations(const generate_options& options) {
  return options.steps * (options.guidance == 1 ? 1 : 2);
}

/// Draws `count` images of 28 x 28 values in [-1, 1]. `labels` holds the digit that each shall show, or
/// nothing where the network shall choose. on_step(run) is called in each step, see diffusion::sample. Image
/// i depends on the seed, its label and i, not on the others. Throws std::invalid_argument for an option out
/// of range.
template <class OnStep>
[[nodiscard]] std::vector<float> generate(model& m, const generate_options& options, std::size_t count,
                                          std::span<const int> labels, OnStep&& on_step) {
  const auto schedule = m.process.make_schedule();
  const auto grid = by_name("spacing", options.spacing, spacings)(schedule.steps(), options.steps);
  const auto method = by_name("sampler", options.sampler, samplers);
  if (!labels.empty() && labels.size() != count)
    throw std::invalid_argument("one label is needed for each image");
  if (!std::isfinite(options.guidance) || (options.guidance != 1 && labels.empty()))
    throw std::invalid_argument("guidance = " + std::to_string(options.guidance) +
                                ", must be finite, and 1 for a network without classes");
  if (options.eta != 0 && method != sampler::ddim)
    throw std::invalid_argument("eta is an option of ddim alone");

  const std::size_t pixels = 28 * 28;
  std::vector<float> values(count * pixels), scratch(count * pixels);
  const diffusion::rows<float> x(values, count);
  diffusion::workspace<float> work;
  const diffusion::philox_normal noise{options.seed};
  diffusion::draw_noise(noise, 0, 0, x);

  const auto run = [&](auto step, auto predict) {
    diffusion::sample(schedule, grid, step, predict, noise, x, work, {.x0 = diffusion::x0_clip{}}, on_step);
  };
  const auto with = [&](auto step) {
    if (labels.empty())
      run(step, ask_unet(m, nullptr));
    else if (options.guidance == 1)
      run(step, ask_unet(m, labels.data()));
    else
      run(step, diffusion::guided<float>(ask_unet(m, labels.data()), ask_unet(m, nullptr), options.guidance,
                                         scratch));
  };
  if (method == sampler::ddim)
    with(diffusion::ddim{.eta = options.eta});
  else
    with(diffusion::ddpm{});
  return values;
}

}  // namespace mnist
