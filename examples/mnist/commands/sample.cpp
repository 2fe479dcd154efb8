// `mnist sample`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "commands/draw.hpp"
#include "io/atomic_file.hpp"
#include "io/png.hpp"

namespace mnist {
namespace {

struct sample_settings : draw_settings {
  std::optional<int> digit;
  std::string out = "mnist_samples.png";
  std::string strip;
};

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

/// Draws digits and writes their picture. Throws what files, options and sampling throw.
void run_sample(sample_settings s, const console& to) {
  require_writable(s.out);
  if (!s.strip.empty()) require_writable(s.strip);
  model m = prepare(s);
  const auto labels = labels_for(m, s.count, s.digit);
  const auto count = static_cast<std::size_t>(s.count);

  progress report(to);
  std::optional<strip_recorder> strip;
  if (!s.strip.empty()) strip.emplace(count, static_cast<std::size_t>(s.options.steps));
  const auto images = generate(m, s.options, count, labels, [&](const auto& run) {
    if (strip) (*strip)(run);
    show_step(report, run.stage_index() + 1, run.stages());
  });
  const double seconds = report.seconds();
  report.clear();
  write_png(s.out, grid(images, 28, 28, {.columns = 10, .scale = 2}));
  to.out << "picture      " << s.out << '\n';
  if (strip) {
    write_png(s.strip, strip->picture());
    to.out << "strip        " << s.strip << '\n';
  }
  char text[96];
  to.out << "sampler      " << describe(s.options) << '\n';
  std::snprintf(text, sizeof text, "evaluations  %d for each of %d digits\nseconds      %.2f\n",
                evaluations(s.options), s.count, seconds);
  to.out << text << std::flush;
}

}  // namespace

void add_sample(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<sample_settings>();
  auto* sample = app.add_subcommand("sample", "Draw digits with a trained network");
  add_draw_options(*sample, *s);
  sample->add_option("--class", s->digit, "Draw this digit only, 0 to 9")->default_str("all in turn");
  sample->add_option("--out", s->out, "File for the picture (PNG)");
  sample->add_option("--strip", s->strip,
                     "File for a picture of the way to the first digits: predicted x0 by step");
  add_quiet(*sample, to);
  sample->final_callback([s, &to, &chosen] {
    chosen = [s, &to] {
      run_sample(*s, to);
      return 0;
    };
  });
}

}  // namespace mnist
