// `mnist eval`.
#include <CLI/CLI.hpp>
#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>

#include "commands/commands.hpp"
#include "commands/draw.hpp"
#include "io/png.hpp"
#include "lenet.hpp"

namespace mnist {
namespace {

struct eval_settings : draw_settings {
  std::string classifier = MNIST_DIR "/classifier/lenet.safetensors";
};

/// Draws digits, as many of each class, and prints what a classifier thinks of them.
void run_eval(eval_settings s, const console& to) {
  model m = prepare(s);
  const lenet classifier(s.classifier);
  const auto labels = labels_for(m, s.count, {});

  progress report(to);
  const auto images = generate(m, s.options, static_cast<std::size_t>(s.count), labels, [&](const auto& run) {
    show_step(report, run.stage_index() + 1, run.stages());
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
  to.out << text;
  if (!labels.empty()) {
    std::snprintf(text, sizeof text, "label agreement  %.4f\n", static_cast<double>(agreed) / s.count);
    to.out << text;
  }
  to.out << "histogram       ";
  for (const int n : histogram) to.out << ' ' << n;
  to.out << std::endl;
}

}  // namespace

void add_eval(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<eval_settings>();
  s->count = 1000;
  auto* eval = app.add_subcommand("eval", "Score drawn digits with a classifier");
  add_draw_options(*eval, *s);
  eval->add_option("--classifier", s->classifier, "Weights of the classifier");
  add_quiet(*eval, to);
  eval->final_callback([s, &to, &chosen] {
    chosen = [s, &to] {
      run_eval(*s, to);
      return 0;
    };
  });
}

}  // namespace mnist
