// What the commands that edit images share: their options, and the network behind them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ask_unet.hpp"
#include "commands/draw.hpp"
#include "commands/pictures.hpp"
#include "commands/shared_options.hpp"
#include "diffusion/ddpm.hpp"
#include "editing.hpp"
#include "io/atomic_file.hpp"
#include "nn/parallel.hpp"

namespace mnist {

struct edit_settings {
  std::string weights = MNIST_DIR "/weights/mnist.safetensors";
  load_options load;
  picture_settings pictures;
  std::optional<int> digit;
  int steps = 50;
  double eta = 0;
  std::uint64_t seed = 1;
  int threads = available_threads();
  std::string out;
};

inline void add_edit_options(CLI::App& app, edit_settings& s) {
  app.add_option("--weights", s.weights, "Trained network");
  add_picture_options(app, s.pictures);
  app.add_option("--class", s.digit, "Tell the network that this digit is shown")->default_str("none");
  app.add_option("--steps", s.steps, "Steps of the sampler");
  app.add_option("--eta", s.eta, "Randomness of ddim, 0 to 1");
  add_unsigned(app, "--seed", s.seed, "Seed of the noise");
  add_threads(app, s.threads);
  app.add_option("--out", s.out, "File for the picture (PNG)");
  add_network_options(app, s.load);
  add_process_options(app, s.load);
}

/// The network of the settings.
[[nodiscard]] inline model load_model(const edit_settings& s) {
  model m = load_model(s.weights, s.load);
  m.net.set_threads(s.threads);
  return m;
}

/// The class of each of `count` images: what --class says, or nothing.
[[nodiscard]] inline std::vector<int> classes_of(const edit_settings& s, const model& m, std::size_t count) {
  return s.digit ? labels_for(m, static_cast<int>(count), s.digit) : std::vector<int>();
}

/// The network, told those classes.
[[nodiscard]] inline auto ask_unet(model& m, const std::vector<int>& classes) {
  return ask_unet(m, classes.empty() ? nullptr : classes.data());
}

}  // namespace mnist
