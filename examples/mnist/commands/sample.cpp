// `mnist sample`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/commands.hpp"
#include "commands/draw.hpp"
#include "io/apng.hpp"
#include "io/atomic_file.hpp"
#include "io/png.hpp"

namespace mnist {
namespace {

struct sample_settings : draw_settings {
  std::vector<int> digits;
  std::string out = "mnist_samples.png";
  int columns = 10, scale = 2;
  std::string files, animation, strip;
  std::string show = "x0";
};

constexpr std::size_t pixels = 28 * 28;

/// Keeps moments of the way to the first block's images: the state, and the prediction of x0 from it.
class way_recorder {
 public:
  struct moment {
    std::vector<float> state, x0;
  };

  /// Moments are evenly spaced, the last evaluation included, `most` of them at most.
  explicit way_recorder(std::size_t most) : most_(most) {}

  void operator()(const drawing_step& step) {
    const std::size_t wanted = std::min(most_, step.looks), next = moments_.size() + 1;
    if (step.first != 0 || step.look + 1 != next * step.looks / wanted) return;
    const auto x = step.run.x();
    moments_.push_back({{x.data().begin(), x.data().end()}, std::vector<float>(x.data().size())});
    step.run.preview(diffusion::rows<float>(moments_.back().x0, x.count()));
  }

  [[nodiscard]] const std::vector<moment>& moments() const { return moments_; }

 private:
  std::size_t most_;
  std::vector<moment> moments_;
};

/// Two lines for each of the first images, a column for each moment: the state above its prediction of x0.
grey_image strip_picture(const std::vector<way_recorder::moment>& moments, std::size_t count) {
  std::vector<float> values;
  for (std::size_t image = 0; image < count; ++image)
    for (const auto part : {&way_recorder::moment::state, &way_recorder::moment::x0})
      for (const auto& moment : moments) {
        const auto from = std::span(moment.*part).subspan(image * pixels, pixels);
        values.insert(values.end(), from.begin(), from.end());
      }
  return grid(values, 28, 28, {.columns = moments.size(), .scale = 2});
}

/// The moments as frames of 80 ms, then the result for two seconds.
std::vector<animation_frame> animation_frames(const std::vector<way_recorder::moment>& moments,
                                              std::vector<float> way_recorder::moment::*part,
                                              std::span<const float> result, const grid_layout& layout) {
  std::vector<animation_frame> frames;
  for (const auto& moment : moments) frames.push_back({grid(moment.*part, 28, 28, layout), 80});
  frames.push_back({grid(result, 28, 28, layout), 2000});
  return frames;
}

/// "0007_3.png" for the eighth image, a three; without labels "0007.png".
std::string file_name(std::size_t image, std::span<const int> labels) {
  char text[32];
  std::snprintf(text, sizeof text, "%04zu", image);
  return text + (labels.empty() ? "" : "_" + std::to_string(labels[image])) + ".png";
}

inline constexpr std::pair<std::string_view, std::vector<float> way_recorder::moment::*> shown_parts[]{
    {"x0", &way_recorder::moment::x0}, {"state", &way_recorder::moment::state}};
constexpr std::size_t most_columns = 10, most_rows = 10, most_frames = 50;

/// Draws digits and writes their pictures. Throws what files, options and sampling throw.
void run_sample(sample_settings s, const console& to) {
  const std::filesystem::path folder = s.files;
  const auto shown = by_name("show", s.show, shown_parts);
  if (!s.animation.empty() && static_cast<std::size_t>(s.count) > drawing_block)
    throw std::invalid_argument("n = " + std::to_string(s.count) + ", allowed with an animation: [1, " +
                                std::to_string(drawing_block) + "]");
  for (const auto& file : {s.out, s.strip, s.animation})
    if (!file.empty()) require_writable(file);
  model m = prepare(s);
  const auto labels = labels_in_turn(m, s.count, s.digits);
  const auto count = static_cast<std::size_t>(s.count);
  const std::size_t looks = evaluations(m, s.options);
  if (!s.files.empty()) {
    std::filesystem::create_directories(folder);
    require_writable(folder / file_name(0, labels));
  }

  progress report(to);
  way_recorder strip(s.strip.empty() ? 0 : most_columns), animation(s.animation.empty() ? 0 : most_frames);
  const auto images = generate(m, s.options, count, labels, [&](const drawing_step& step) {
    if (!s.strip.empty()) strip(step);
    if (!s.animation.empty()) animation(step);
    show_step(report, step.stage_index() + 1, step.stages());
  });
  const double seconds = report.seconds();
  report.clear();
  const grid_layout layout{.columns = static_cast<std::size_t>(s.columns),
                           .scale = static_cast<std::size_t>(s.scale)};
  write_png(s.out, grid(images, 28, 28, layout));
  to.out << "picture      " << s.out << '\n';
  if (!s.files.empty()) {
    for (std::size_t i = 0; i < count; ++i)
      write_png(folder / file_name(i, labels),
                {28, 28, to_bytes(std::span(images).subspan(i * pixels, pixels))});
    to.out << "files        " << s.files << '\n';
  }
  if (!s.strip.empty()) {
    write_png(s.strip, strip_picture(strip.moments(), std::min(count, most_rows)));
    to.out << "strip        " << s.strip << '\n';
  }
  if (!s.animation.empty()) {
    write_apng(s.animation, animation_frames(animation.moments(), shown, images, layout));
    to.out << "animation    " << s.animation << '\n';
  }
  to.out << "sampler      " << describe(s.options) << '\n';
  char text[96];
  std::snprintf(text, sizeof text, "evaluations  %zu for each of %d digits\nseconds      %.2f\n", looks,
                s.count, seconds);
  to.out << text << std::flush;
}

}  // namespace

void add_sample(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<sample_settings>();
  auto* sample = app.add_subcommand("sample", "Draw digits with a trained network");
  add_draw_options(*sample, *s);
  sample->add_option("--class", s->digits, "Draw these digits only, 0 to 9, in turn")
      ->default_str("all in turn");
  sample->add_option("--out", s->out, "File for the picture (PNG)");
  sample->add_option("--columns", s->columns, "Digits in a row of the picture")->check(CLI::Range(1, 1000));
  sample->add_option("--scale", s->scale, "Size of a pixel of the picture")->check(CLI::Range(1, 8));
  sample->add_option("--files", s->files,
                     "Folder for a file of each digit: 0000_7.png, its number and the digit asked for");
  sample->add_option("--animation", s->animation,
                     "File for a moving picture of the way to the digits (animated PNG)");
  sample->add_option("--show", s->show, "What moves: " + names_of(shown_parts) + ", the prediction or x_t");
  sample->add_option(
      "--strip", s->strip,
      "File for a picture of the way to the first digits: x_t above its predicted x0, by step");
  add_quiet(*sample, to);
  choose_if_given(*sample, chosen, [s, &to] { run_sample(*s, to); });
}

}  // namespace mnist
