// What the commands that draw digits share: their options, and the network behind them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "commands/load_options.hpp"
#include "commands/progress.hpp"
#include "commands/shared_options.hpp"
#include "generate.hpp"
#include "nn/parallel.hpp"

namespace mnist {

/// Options of the commands that draw digits.
struct draw_settings {
  std::string weights = MNIST_DIR "/weights/mnist.safetensors";
  load_options load;
  generate_options options;
  std::optional<double> guidance;
  int count = 100;
  int threads = available_threads();
};

/// Guidance where none is asked for and the network knows classes.
inline constexpr double default_guidance = 1.5;

inline void add_draw_options(CLI::App& app, draw_settings& s) {
  app.add_option("--weights", s.weights, "Trained network");
  app.add_option("--n", s.count, "Number of digits")->check(CLI::Range(1, 100000));
  app.add_option("--sampler", s.options.sampler, "Sampler: " + names_of(samplers));
  app.add_option("--steps", s.options.steps, "Steps of the sampler");
  app.add_option("--eta", s.options.eta, "Randomness of ddim, 0 to 1");
  app.add_option("--spacing", s.options.spacing, "Times of the steps: " + names_of(spacings));
  app.add_option("--guidance", s.guidance, "Push towards the digit, 1: off")
      ->default_str(nlohmann::json(default_guidance).dump());
  add_unsigned(app, "--seed", s.options.seed, "Seed of the noise");
  add_threads(app, s.threads);
  add_network_options(app, s.load);
  add_process_options(app, s.load);
}

/// The digit of each image: `digit`, or 0 1 2 ... 9 in turn; none for a network without classes.
inline std::vector<int> labels_for(const model& m, int count, std::optional<int> digit) {
  const int classes = m.net.config().classes;
  if (digit && (*digit < 0 || *digit >= classes))
    throw std::invalid_argument(
        "class = " + std::to_string(*digit) + ", must be " +
        (classes > 0 ? "in 0.." + std::to_string(classes - 1) : "absent: the network has no classes"));
  std::vector<int> labels;
  for (int i = 0; i < count && classes > 0; ++i) labels.push_back(digit.value_or(i % classes));
  return labels;
}

/// Loads the network and completes the options from it.
inline model prepare(draw_settings& s) {
  model m = load_model(s.weights, s.load);
  m.net.set_threads(s.threads);
  s.options.guidance = s.guidance.value_or(m.net.config().classes > 0 ? default_guidance : 1);
  return m;
}

inline void show_step(progress& report, std::size_t step, std::size_t steps) {
  if (report.due()) report.show("step " + std::to_string(step) + "/" + std::to_string(steps));
}

}  // namespace mnist
