// `mnist denoise`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "commands/edit.hpp"

namespace mnist {
namespace {

struct denoise_settings : edit_settings {
  double noise = 1;
  bool add_noise = false;
};

/// Starts the reverse process in the middle, at the noise that the images have.
void run_denoise(const denoise_settings& s, const console& to) {
  require_writable(s.out);
  model m = load_model(s);
  const auto schedule = m.process.make_schedule();
  const passage way{.t = time_of_noise(schedule, s.noise),
                    .steps = s.steps,
                    .eta = s.eta,
                    .first = first_time(schedule, m.process.noisy_data)};
  const auto given = load_pictures(s.pictures, s.seed);
  const std::size_t count = given.count();
  const auto classes = classes_of(s, m, count);

  // Files are noisy already, unless it is said otherwise; then nobody knows the clean image.
  const auto clean = [&](std::size_t i) { return s.add_noise || given.digits[i]; };
  std::vector<float> noisy = given.values, eps(image_pixels);
  for (std::size_t i = 0; i < count; ++i) {
    if (!clean(i)) continue;
    diffusion::philox_normal{s.seed}(i, 0, std::span<float>(eps));
    diffusion::linear_combination(1, image_of(noisy, i), s.noise, eps, image_of(noisy, i));
  }
  std::vector<float> x(noisy.size()), one_shot(noisy.size());
  const double alpha = schedule.level(way.t).alpha;
  std::transform(noisy.begin(), noisy.end(), x.begin(),
                 [=](float value) { return static_cast<float>(alpha * value); });

  progress report(to);
  decode(schedule, way, ask_unet(m, classes), s.seed, diffusion::rows<float>(x, count), [&](const auto& run) {
    if (run.stage_index() == 0) run.preview(diffusion::rows<float>(one_shot, count));
    show_step(report, run.stage_index() + 1, run.stages());
  });
  report.clear();

  const bool any_clean = std::any_of(given.digits.begin(), given.digits.end(),
                                     [&](const auto& digit) { return s.add_noise || digit; });
  const std::vector<float> black(image_pixels, -1);
  std::vector<float> picture;
  for (std::size_t i = 0; i < count; ++i) {
    if (any_clean) append(picture, clean(i) ? image_of(given.values, i) : std::span<const float>(black));
    for (auto* column : {&noisy, &one_shot, &x}) append(picture, image_of(*column, i));
  }
  write_png(s.out, grid(picture, 28, 28, {.columns = any_clean ? 4u : 3u, .scale = 3}));
  to.out << "picture  " << s.out << ": " << (any_clean ? "clean, " : "") << "noisy, one shot, restored\n";
  char text[120];
  std::snprintf(text, sizeof text, "time     %d of %d, %zu steps\n", way.t, schedule.steps(),
                way.grid().size());
  to.out << text;
  if (any_clean) to.out << "PSNR in dB\n   image     noisy  one shot  restored\n";
  for (std::size_t i = 0; i < count; ++i) {
    if (!clean(i)) continue;
    const auto against = [&](std::vector<float>& column) {
      return psnr(image_of(given.values, i), image_of(column, i));
    };
    std::snprintf(text, sizeof text, "%8zu  %8.2f  %8.2f  %8.2f\n", i, against(noisy), against(one_shot),
                  against(x));
    to.out << text;
  }
  to.out << std::flush;
}

}  // namespace

void add_denoise(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<denoise_settings>();
  s->out = "mnist_denoised.png";
  auto* denoise = app.add_subcommand("denoise", "Take the noise out of images");
  add_edit_options(*denoise, *s);
  denoise->add_option("--noise", s->noise,
                      "Standard deviation of the noise where black is -1 and white 1; added to digits of the "
                      "test set");
  denoise->add_flag("--add-noise", s->add_noise, "Add the noise to the images of --image, too");
  add_quiet(*denoise, to);
  choose_if_given(*denoise, chosen, [s, &to] { run_denoise(*s, to); });
}

}  // namespace mnist
