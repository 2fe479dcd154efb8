// `mnist sample` and `mnist eval`.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "generate.hpp"
#include "io/atomic_file.hpp"
#include "io/png.hpp"
#include "lenet.hpp"
#include "nn/parallel.hpp"
#include "progress.hpp"
#include "shared_options.hpp"

namespace mnist {

/// Options of both commands.
struct draw_settings {
  std::string weights = MNIST_DIR "/weights/mnist.safetensors";
  generate_options options;
  std::optional<double> guidance;
  int count = 100;
  int threads = available_threads();
};

struct sample_settings : draw_settings {
  std::optional<int> digit;
  std::string out = "mnist_samples.png";
  std::string strip;
};

struct eval_settings : draw_settings {
  std::string classifier = MNIST_DIR "/classifier/lenet.safetensors";
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
}

inline CLI::App* add_sample(CLI::App& app, sample_settings& s) {
  auto* sample = app.add_subcommand("sample", "Draw digits with a trained network");
  add_draw_options(*sample, s);
  sample->add_option("--class", s.digit, "Draw this digit only, 0 to 9")->default_str("all in turn");
  sample->add_option("--out", s.out, "File for the picture (PNG)");
  sample->add_option("--strip", s.strip,
                     "File for a picture of the way to the first digits: predicted x0 by step");
  return sample;
}

inline CLI::App* add_eval(CLI::App& app, eval_settings& s) {
  s.count = 1000;
  auto* eval = app.add_subcommand("eval", "Score drawn digits with a classifier");
  add_draw_options(*eval, s);
  eval->add_option("--classifier", s.classifier, "Weights of the classifier");
  return eval;
}

namespace detail {

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
  model m = load_model(s.weights);
  m.net.set_threads(s.threads);
  s.options.guidance = s.guidance.value_or(m.net.config().classes > 0 ? default_guidance : 1);
  return m;
}

inline void show_step(progress& report, std::size_t step, std::size_t steps) {
  if (report.due()) report.show("step " + std::to_string(step) + "/" + std::to_string(steps));
}

/// Collects predictions of x0 of the first few images over a run: a row of the picture for each image.
class strip_recorder {
 public:
  static constexpr std::size_t most_rows = 10, most_columns = 10;

  strip_recorder(std::size_t count, std::size_t steps)
      : rows_(std::min(count, most_rows)),
        columns_(std::min(steps, most_columns)),
        steps_(steps),
        x0_(count * pixels),
        values_(rows_ * columns_ * pixels) {}

  /// Keeps the prediction of this step if it is one of the columns: evenly spaced, the last step included.
  template <class Run>
  void operator()(const Run& run) {
    if (column_ == columns_ || run.stage_index() + 1 != (column_ + 1) * steps_ / columns_) return;
    run.preview(diffusion::rows<float>(x0_, x0_.size() / pixels));
    for (std::size_t row = 0; row < rows_; ++row)
      std::copy_n(x0_.begin() + static_cast<std::ptrdiff_t>(row * pixels), pixels,
                  values_.begin() + static_cast<std::ptrdiff_t>((row * columns_ + column_) * pixels));
    ++column_;
  }

  [[nodiscard]] grey_image picture() const {
    return grid(values_, 28, 28, {.columns = columns_, .scale = 2});
  }

 private:
  static constexpr std::size_t pixels = 28 * 28;
  std::size_t rows_, columns_, steps_, column_ = 0;
  std::vector<float> x0_, values_;
};

}  // namespace detail

/// Draws digits and writes their picture. Throws what files, options and sampling throw.
inline void run_sample(sample_settings s, std::ostream& out, bool live) {
  require_writable(s.out);
  if (!s.strip.empty()) require_writable(s.strip);
  model m = detail::prepare(s);
  const auto labels = detail::labels_for(m, s.count, s.digit);
  const auto count = static_cast<std::size_t>(s.count);

  progress report(out, live);
  std::optional<detail::strip_recorder> strip;
  if (!s.strip.empty()) strip.emplace(count, static_cast<std::size_t>(s.options.steps));
  const auto images = generate(m, s.options, count, labels, [&](const auto& run) {
    if (strip) (*strip)(run);
    detail::show_step(report, run.stage_index() + 1, run.stages());
  });
  const double seconds = report.seconds();
  report.clear();
  write_png(s.out, grid(images, 28, 28, {.columns = 10, .scale = 2}));
  out << "picture      " << s.out << '\n';
  if (strip) {
    write_png(s.strip, strip->picture());
    out << "strip        " << s.strip << '\n';
  }
  char text[96];
  out << "sampler      " << s.options.sampler << ", " << s.options.steps << " steps, " << s.options.spacing
      << " spacing";
  if (s.options.sampler == "ddim") out << ", eta " << s.options.eta;
  out << ", guidance " << s.options.guidance << '\n';
  std::snprintf(text, sizeof text, "evaluations  %d for each of %d digits\nseconds      %.2f\n",
                evaluations(s.options), s.count, seconds);
  out << text << std::flush;
}

/// Draws digits, as many of each class, and prints what a classifier thinks of them.
inline void run_eval(eval_settings s, std::ostream& out, bool live) {
  model m = detail::prepare(s);
  const lenet classifier(s.classifier);
  const auto labels = detail::labels_for(m, s.count, {});

  progress report(out, live);
  const auto images = generate(m, s.options, static_cast<std::size_t>(s.count), labels, [&](const auto& run) {
    detail::show_step(report, run.stage_index() + 1, run.stages());
  });
  report.clear();
  const auto result = score(classifier, to_bytes(images));
  std::array<int, 10> histogram{};
  int agreed = 0;
  for (std::size_t i = 0; i < result.predicted.size(); ++i) {
    ++histogram[static_cast<std::size_t>(result.predicted[i])];
    if (!labels.empty()) agreed += result.predicted[i] == labels[i];
  }
  char text[160];
  std::snprintf(text, sizeof text, "count            %d\nmean confidence  %.4f\nabove 0.9        %.4f\n",
                s.count, result.mean_confidence, result.share_confident);
  out << text;
  if (!labels.empty()) {
    std::snprintf(text, sizeof text, "label agreement  %.4f\n", static_cast<double>(agreed) / s.count);
    out << text;
  }
  out << "histogram       ";
  for (const int n : histogram) out << ' ' << n;
  out << std::endl;
}

}  // namespace mnist
