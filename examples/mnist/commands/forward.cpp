// `mnist forward`.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "commands/pictures.hpp"
#include "commands/shared_options.hpp"
#include "diffusion/ddpm.hpp"
#include "io/atomic_file.hpp"
#include "io/plot.hpp"
#include "process.hpp"

namespace mnist {
namespace {

struct forward_settings {
  picture_settings pictures;
  std::vector<std::string> schedules{"cosine", "linear", "sigmoid_alpha_bar"};
  int steps = 1000, columns = 11;
  std::uint64_t seed = 1;
  std::string out = "mnist_forward.png", curves;
};

/// Signal, signal-to-noise ratio and step variance of schedules over time.
plot::canvas curves_of(const std::vector<std::string>& names, const std::vector<vp_schedule>& drawn) {
  plot::panel signal{"alpha_bar", "t", 0, {}}, ratio{"log10 SNR", "t", 0, {}}, beta{"log10 beta", "t", 0, {}};
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const vp_schedule& schedule = drawn[i];
    for (auto* panel : {&signal, &ratio, &beta}) {
      panel->last_x = schedule.steps();
      panel->lines.push_back({names[i], plot::palette[i], {}, {}});
    }
    for (int t = 1; t <= schedule.steps(); ++t) {
      signal.lines[i].y.push_back(schedule.alpha_bar(t));
      ratio.lines[i].y.push_back(std::log10(diffusion::snr(schedule.level(t))));
      beta.lines[i].y.push_back(std::log10(schedule.beta(t)));
      for (auto* panel : {&signal, &ratio, &beta}) panel->lines[i].x.push_back(t);
    }
  }
  return plot::draw("Noise schedules", std::vector{signal, ratio, beta}, 1200);
}

/// Shows images on their way to noise: a row for each image and schedule, with one noise for all of an image.
void run_forward(const forward_settings& s, const console& to) {
  require_writable(s.out);
  if (!s.curves.empty()) require_writable(s.curves);
  if (!s.curves.empty() && s.schedules.size() > plot::palette.size())
    throw std::invalid_argument(std::to_string(s.schedules.size()) +
                                " schedules, allowed with --curves: at most " +
                                std::to_string(plot::palette.size()));
  std::vector<vp_schedule> drawn;
  for (const auto& name : s.schedules)  // v is defined for every schedule
    drawn.push_back(process_config{.schedule = name, .prediction = "v", .steps = s.steps}.make_schedule());
  const auto given = load_pictures(s.pictures, s.seed);

  std::vector<float> picture, eps(image_pixels), x_t(image_pixels);
  for (std::size_t i = 0; i < given.count(); ++i) {
    diffusion::philox_normal{s.seed}(i, 0, std::span<float>(eps));
    for (const auto& schedule : drawn)
      for (int k = 0; k < s.columns; ++k) {
        const auto t = static_cast<int>(std::int64_t{k} * s.steps / (s.columns - 1));
        diffusion::q_sample(schedule.level(t), image_of(given.values, i), eps, std::span<float>(x_t));
        append(picture, x_t);
      }
  }
  write_png(s.out, grid(picture, 28, 28, {.columns = static_cast<std::size_t>(s.columns), .scale = 2}));
  to.out << "picture  " << s.out << ": t = 0 to " << s.steps << ", rows:";
  for (const auto& name : s.schedules) to.out << ' ' << name;
  to.out << '\n';
  if (!s.curves.empty()) {
    plot::write_png(s.curves, curves_of(s.schedules, drawn));
    to.out << "curves   " << s.curves << '\n';
  }
  to.out << std::flush;
}

}  // namespace

void add_forward(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<forward_settings>();
  s->pictures.count = 1;
  auto* forward = app.add_subcommand("forward", "Show images on their way to noise; needs no network");
  add_picture_options(*forward, s->pictures);
  forward->add_option("--schedule", s->schedules, "Noise schedules: " + names_of(schedules))->delimiter(',');
  forward->add_option("--steps", s->steps, "Number T of noise levels");
  forward->add_option("--columns", s->columns, "Times in a row, from 0 to T")->check(CLI::Range(2, 100));
  add_unsigned(*forward, "--seed", s->seed, "Seed of the noise");
  forward->add_option("--out", s->out, "File for the picture (PNG)");
  forward->add_option("--curves", s->curves,
                      "File for a picture of the schedules over time: alpha_bar, SNR, beta");
  choose_if_given(*forward, chosen, [s, &to] { run_forward(*s, to); });
}

}  // namespace mnist
