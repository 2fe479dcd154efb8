#include "generate.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ask_unet.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/sample.hpp"
#include "names.hpp"
#include "nn/unet.hpp"
#include "samplers.hpp"

namespace mnist {

static_assert(drawing_block % unet<float>::chunk == 0);

std::string sampler_names() { return names_of(samplers); }
std::string spacing_names() { return names_of(spacings); }
std::string samplers_with_eta() { return samplers_with(&named_sampler::has_eta); }
std::string samplers_with_order() { return samplers_with(&named_sampler::has_order); }
std::string samplers_with_churn() { return samplers_with(&named_sampler::has_churn); }

diffusion::run_plan plan_for(const process_config& process, const generate_options& options) {
  const auto trained = process.make_schedule();
  process_config along = process;
  if (!options.schedule.empty()) along.schedule = options.schedule;
  const auto path = make_path(trained, along.make_schedule(), along == process, process.noisy_data,
                              options.spacing, options.steps);
  return plan_of(options.sampler, path, trained, {options.eta, options.order, options.churn});
}

std::size_t evaluations(const model& m, const generate_options& options) {
  return evaluations(plan_for(m.process, options)) * (options.guidance == 1 ? 1 : 2);
}

std::vector<float> draw(const diffusion::run_plan& plan, diffusion::prediction kind, const ask_images& ask,
                        std::size_t count, std::uint64_t seed, const on_drawing_step& on_step) {
  constexpr std::size_t pixels = 28 * 28;
  const diffusion::philox_normal noise{seed};
  const std::size_t looks = evaluations(plan), blocks = (count + drawing_block - 1) / drawing_block;
  std::vector<float> values(count * pixels);
  diffusion::workspace<float> work;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = block * drawing_block, size = std::min(drawing_block, count - first);
    const diffusion::rows<float> x(std::span<float>(values).subspan(first * pixels, size * pixels), size);
    diffusion::draw_noise(noise, 0, first, x);
    auto predict =
        diffusion::predicts(kind, [&](diffusion::rows<const float> x_t, const diffusion::path_point& at,
                                      diffusion::rows<float> out) { ask(first, x_t, at, out); });
    std::size_t look = 0;
    diffusion::sample(
        plan, predict, noise, x, work, {.x0 = diffusion::x0_clip{}, .first_sample = first},
        [&](const diffusion::stepper<float>& run) {
          on_step(
              {.run = run, .first = first, .look = look++, .looks = looks, .block = block, .blocks = blocks});
        });
  }
  return values;
}

std::vector<float> generate(model& m, const generate_options& options, std::size_t count,
                            std::span<const int> labels, const on_drawing_step& on_step) {
  const auto plan = plan_for(m.process, options);
  if (!labels.empty() && labels.size() != count)
    throw std::invalid_argument("one label is needed for each image");
  if (!std::isfinite(options.guidance) || (options.guidance != 1 && labels.empty()))
    throw std::invalid_argument("guidance = " + std::to_string(options.guidance) +
                                ", must be finite, and 1 for a network without classes");
  std::vector<float> scratch;
  const auto ask = [&](std::size_t first, diffusion::rows<const float> x, const diffusion::path_point& at,
                       diffusion::rows<float> out) {
    auto conditional = ask_unet(m, labels.empty() ? nullptr : labels.data() + first);
    if (options.guidance == 1) return conditional(x, at, out);
    scratch.resize(out.data().size());
    diffusion::guided<float>(conditional, ask_unet(m, nullptr), options.guidance, scratch)(x, at, out);
  };
  return draw(plan, m.process.kind(), ask, count, options.seed, on_step);
}

}  // namespace mnist
