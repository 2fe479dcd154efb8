// `mnist denoise`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "commands/edit.hpp"
#include "diffusion/denoise.hpp"
#include "samplers.hpp"

namespace mnist {
namespace {

struct denoise_settings : edit_settings {
  std::optional<double> noise;
  bool add_noise = false;
};

/// Starts the reverse process in the middle, at the noise that the images have.
void run_denoise(const denoise_settings& s, const console& to) {
  require_writable(s.out);
  model m = load_model(s);
  const auto schedule = m.process.make_schedule();
  const auto find = detail::between_steps(schedule);
  const int known = first_time(schedule, m.process.noisy_data);
  const double added = s.noise.value_or(1);
  const auto way_from = [&](int t) {
    const passage way{.t = t, .steps = s.steps, .eta = s.eta, .first = known};
    (void)way.grid();  // refuses a time that the network does not know
    return way;
  };
  (void)way_from(time_of_noise(schedule, added));
  const auto given = load_pictures(s.pictures, s.seed);
  const std::size_t count = given.count();
  const auto classes = classes_of(s, m, count);

  // Files are noisy already, unless it is said otherwise; then nobody knows the clean image.
  const auto clean = [&](std::size_t i) { return s.add_noise || given.digits[i]; };
  std::vector<float> noisy = given.values, eps(image_pixels);
  for (std::size_t i = 0; i < count; ++i) {
    if (!clean(i)) continue;
    diffusion::philox_normal{s.seed}(i, 0, std::span<float>(eps));
    diffusion::linear_combination(1, image_of(noisy, i), added, eps, image_of(noisy, i));
  }

  progress report(to);
  std::vector<double> noise;
  std::vector<int> times;
  for (std::size_t i = 0; i < count; ++i) {
    if (clean(i) || s.noise) {
      noise.push_back(added);
    } else {
      if (report.due()) report.show("noise of image " + std::to_string(i + 1) + "/" + std::to_string(count));
      // The network is asked about three states at once: as many labels.
      const std::vector<int> label(classes.empty() ? 0 : 3, classes.empty() ? 0 : classes[i]);
      noise.push_back(diffusion::estimate_noise_level(find, detail::listed_range(find, known),
                                                      ask_unet(m, label),
                                                      diffusion::rows<float>(image_of(noisy, i), 1))[0]);
    }
    times.push_back(time_of_noise(schedule, noise[i]));
  }

  std::vector<float> x(noisy.size()), one_shot(noisy.size());
  diffusion::workspace<float> work;
  for (std::size_t first = 0, last = 0; first < count; first = last) {  // images of one level together
    while (last < count && times[last] == times[first]) ++last;
    const auto images = [&](std::vector<float>& values) {
      return diffusion::rows<float>(
          std::span(values).subspan(first * image_pixels, (last - first) * image_pixels), last - first);
    };
    auto network = ask_unet(m, classes.empty() ? nullptr : classes.data() + first);
    const diffusion::noise_level level = schedule.level(times[first]);
    diffusion::denoise(find, diffusion::noise_to_signal(level), network, images(noisy), images(one_shot),
                       work, diffusion::x0_clip{});
    std::transform(images(noisy).data().begin(), images(noisy).data().end(), images(x).data().begin(),
                   [=](float value) { return static_cast<float>(level.alpha * value); });
    decode(
        schedule, way_from(times[first]), network, s.seed, images(x),
        [&](const auto& run) { show_step(report, run.stage_index() + 1, run.stages()); }, first);
  }
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
  to.out << "picture  " << s.out << ": " << (any_clean ? "clean, " : "") << "noisy, one shot, restored\n"
         << "times    1 to " << schedule.steps() << ", at most " << s.steps << " steps\n"
         << (any_clean ? "                              PSNR in dB\n" : "") << "   image     noise      time"
         << (any_clean ? "     noisy  one shot  restored\n" : "\n");
  char text[120];
  for (std::size_t i = 0; i < count; ++i) {
    std::snprintf(text, sizeof text, "%8zu  %8.4f  %8d", i, noise[i], times[i]);
    to.out << text;
    if (clean(i)) {
      for (auto* column : {&noisy, &one_shot, &x}) {
        std::snprintf(text, sizeof text, "  %8.2f", psnr(image_of(given.values, i), image_of(*column, i)));
        to.out << text;
      }
    }
    to.out << '\n';
  }
  to.out << std::flush;
}

}  // namespace

void add_denoise(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<denoise_settings>();
  s->out = "mnist_denoised.png";
  auto* denoise = app.add_subcommand("denoise", "Take the noise out of images");
  add_edit_options(*denoise, *s);
  denoise
      ->add_option("--noise", s->noise,
                   "Standard deviation of the noise where black is -1 and white 1; added to digits of the "
                   "test set")
      ->default_str("1, and estimated for --image");
  denoise->add_flag("--add-noise", s->add_noise, "Add the noise to the images of --image, too");
  add_quiet(*denoise, to);
  choose_if_given(*denoise, chosen, [s, &to] { run_denoise(*s, to); });
}

}  // namespace mnist
