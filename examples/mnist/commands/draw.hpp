// What the commands that draw digits share: their options, and the network behind them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "commands/load_options.hpp"
#include "commands/progress.hpp"
#include "commands/shared_options.hpp"
#include "generate.hpp"
#include "names.hpp"
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
inline constexpr double default_guidance = 1.1;

inline void add_draw_options(CLI::App& app, draw_settings& s) {
  app.add_option("--weights", s.weights, "Trained network");
  app.add_option("--n", s.count, "Number of digits")->check(CLI::Range(1, 100000));
  app.add_option("--sampler", s.options.sampler, "Sampler: " + sampler_names());
  app.add_option("--steps", s.options.steps, "Steps of the sampler");
  const auto own = [&](const char* name, auto& value, const std::string& text, const std::string& samplers) {
    return app.add_option(name, value, text + "; of " + samplers)->default_str("the sampler's own");
  };
  own("--eta", s.options.eta, "Share of fresh noise, 0 to 1", samplers_with_eta());
  own("--order", s.options.order, "Order of the solver", samplers_with_order())->check(CLI::Range(1, 8));
  own("--churn", s.options.churn, "Noise added and removed again, over the run", samplers_with_churn());
  app.add_option("--spacing", s.options.spacing,
                 "How the steps are spread, by time or by sigma/alpha: " + spacing_names());
  app.add_option("--schedule", s.options.schedule,
                 "Schedule to sample along: " + names_of(schedules) +
                     "; the network is told the time of its own with the same sigma/alpha")
      ->default_str("the one of the training");
  app.add_option("--guidance", s.guidance, "Push towards the digit, 1: off")
      ->default_str(nlohmann::json(default_guidance).dump());
  add_unsigned(app, "--seed", s.options.seed, "Seed of the noise");
  add_threads(app, s.threads);
  add_network_options(app, s.load);
  add_process_options(app, s.load);
}

/// The digit of each image: those given, or 0 1 2 ... 9, in turn; none for a network without classes.
inline std::vector<int> labels_in_turn(const model& m, int count, std::vector<int> digits) {
  const int classes = m.net.config().classes;
  for (const int digit : digits)
    if (digit < 0 || digit >= classes)
      throw std::invalid_argument(
          "class = " + std::to_string(digit) + ", must be " +
          (classes > 0 ? "in 0.." + std::to_string(classes - 1) : "absent: the network has no classes"));
  if (digits.empty())
    for (int digit = 0; digit < classes; ++digit) digits.push_back(digit);
  std::vector<int> labels;
  for (int i = 0; i < count && classes > 0; ++i)
    labels.push_back(digits[static_cast<std::size_t>(i) % digits.size()]);
  return labels;
}

/// The same for one digit or all.
inline std::vector<int> labels_for(const model& m, int count, std::optional<int> digit) {
  return labels_in_turn(m, count, digit ? std::vector<int>{*digit} : std::vector<int>{});
}

/// Loads the network and completes the options from it.
inline model prepare(draw_settings& s) {
  model m = load_model(s.weights, s.load);
  m.net.set_threads(s.threads);
  s.options.guidance = s.guidance.value_or(m.net.config().classes > 0 ? default_guidance : 1);
  return m;
}

/// The options in words: "ddim, 50 steps, trailing spacing, eta 0.5, guidance 1.5".
inline std::string describe(const generate_options& options) {
  std::ostringstream text;
  text << options.sampler << ", " << options.steps << " steps, " << options.spacing << " spacing";
  if (!options.schedule.empty()) text << " along " << options.schedule;
  if (options.eta) text << ", eta " << *options.eta;
  if (options.order) text << ", order " << *options.order;
  if (options.churn) text << ", churn " << *options.churn;
  text << ", guidance " << options.guidance;
  return text.str();
}

inline void show_step(progress& report, std::size_t step, std::size_t steps) {
  if (report.due()) report.show("step " + std::to_string(step) + "/" + std::to_string(steps));
}

}  // namespace mnist
