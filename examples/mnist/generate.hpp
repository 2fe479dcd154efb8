// Drawing digits with a trained network and the library's samplers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "diffusion/stepper.hpp"

namespace mnist {

struct generate_options {
  std::string sampler = "dpmpp_2m_sde";
  std::string schedule{};  ///< to sample along; empty: the one that the network was trained on
  std::string spacing = "exponential";
  int steps = 20;
  std::optional<double> eta{};    ///< of samplers that have it; empty: their default
  std::optional<int> order{};     ///< of samplers that have it; empty: their default
  std::optional<double> churn{};  ///< of samplers that have it; empty: their default
  double guidance = 1;            ///< 1 = off; anything else needs labels
  std::uint64_t seed = 1;
};

// The names that the options may have, separated by commas, and those of the samplers that have an option.
[[nodiscard]] std::string sampler_names();
[[nodiscard]] std::string spacing_names();
[[nodiscard]] std::string samplers_with_eta();
[[nodiscard]] std::string samplers_with_order();
[[nodiscard]] std::string samplers_with_churn();

/// The run that the options mean for a network of this process. Throws std::invalid_argument for an option
/// that is unknown, out of range or none of the sampler's.
[[nodiscard]] diffusion::run_plan plan_for(const process_config& process, const generate_options& options);

/// Times that the network looks at each image.
[[nodiscard]] std::size_t evaluations(const model& m, const generate_options& options);

/// So many images at most are drawn at a time, which bounds the memory. Whole chunks of the network.
inline constexpr std::size_t drawing_block = 512;

/// A moment of a drawing: the network has looked at a block of images, which move next.
struct drawing_step {
  const diffusion::stepper<float>& run;  ///< of the block
  std::size_t first = 0;                 ///< number of the block's first image
  std::size_t look = 0, looks = 0;       ///< this time of all times that the network looks at the block
  std::size_t block = 0, blocks = 0;

  /// How far the whole drawing is.
  [[nodiscard]] std::size_t stage_index() const { return block * looks + look; }
  [[nodiscard]] std::size_t stages() const { return blocks * looks; }
};
using on_drawing_step = std::function<void(const drawing_step&)>;

/// Answers for the images x, the first of which is image number `first`.
using ask_images = std::function<void(std::size_t first, diffusion::rows<const float> x,
                                      const diffusion::path_point& at, diffusion::rows<float> out)>;

/// Draws `count` images along a plan with any network that answers with this kind of prediction. Image i
/// depends on the plan, the seed, the answers to it and i, not on the other images.
[[nodiscard]] std::vector<float> draw(const diffusion::run_plan& plan, diffusion::prediction kind,
                                      const ask_images& ask, std::size_t count, std::uint64_t seed,
                                      const on_drawing_step& on_step);

/// Draws `count` images of 28 x 28 values in [-1, 1]. `labels` holds the digit that each shall show, or
/// nothing where the network shall choose. `on_step` is called whenever the network has looked at a block of
/// images. Image i depends on the seed, its label and i, not on the others. Throws std::invalid_argument for
/// an option out of range.
[[nodiscard]] std::vector<float> generate(model& m, const generate_options& options, std::size_t count,
                                          std::span<const int> labels, const on_drawing_step& on_step);

}  // namespace mnist
