// `mnist interpolate`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/commands.hpp"
#include "commands/edit.hpp"

namespace mnist {
namespace {

enum class encoding { forward, ddim };
constexpr std::array<std::pair<std::string_view, encoding>, 2> encodings{
    {{"forward", encoding::forward}, {"ddim", encoding::ddim}}};

struct interpolate_settings : edit_settings {
  std::string encode = "forward", mix;
  std::vector<int> times;
  int columns = 9;
};

/// Encodes two images at a time, mixes, and decodes the mixtures: a row of the picture for each time.
void run_interpolate(interpolate_settings s, const console& to) {
  require_writable(s.out);
  const auto how = by_name("encode", s.encode, encodings);
  if (s.mix.empty()) s.mix = how == encoding::ddim ? "sphere" : "linear";
  const auto mix = by_name("mix", s.mix, mixings);
  model m = load_model(s);
  const auto schedule = m.process.make_schedule();
  const int last = schedule.steps(), first = first_time(schedule, m.process.noisy_data);
  if (s.times.empty())
    for (int k = 1; k < 8; ++k) s.times.push_back(first + std::max(0, k * (last - first + 1) / 8 - 1));
  for (const int t : s.times) (void)schedule.level(t);
  if (const auto t = std::min_element(s.times.begin(), s.times.end()); *t < 1)
    throw std::invalid_argument("time = " + std::to_string(*t) + ", must be in 1.." + std::to_string(last));
  const auto sources = load_pictures(s.pictures, s.seed);
  if (sources.count() != 2)
    throw std::invalid_argument(std::to_string(sources.count()) + " images, must be 2 to interpolate");
  const auto columns = static_cast<std::size_t>(s.columns);
  const auto classes = classes_of(s, m, columns);  // of the two sources: the first two

  progress report(to);
  std::vector<float> picture;
  for (std::size_t row = 0; row < s.times.size(); ++row) {
    const auto show = [&](const auto& run) {
      if (report.due())
        report.show("row " + std::to_string(row + 1) + "/" + std::to_string(s.times.size()) + ", step " +
                    std::to_string(run.stage_index() + 1) + "/" + std::to_string(run.stages()));
    };
    const passage way{.t = s.times[row], .steps = s.steps, .eta = s.eta, .first = first};
    std::vector<float> ends = sources.values;
    if (how == encoding::ddim) {
      encode(schedule, way, ask_unet(m, classes), diffusion::rows<float>(ends, 2), show);
    } else {
      std::vector<float> eps(image_pixels);  // one for both
      diffusion::philox_normal{s.seed}(0, 0, std::span<float>(eps));
      for (const std::size_t i : {0u, 1u})
        diffusion::q_sample(schedule.level(way.t), image_of(ends, i), eps, image_of(ends, i));
    }
    std::vector<float> x(columns * image_pixels);
    for (std::size_t k = 0; k < columns; ++k)
      mix(image_of(ends, 0), image_of(ends, 1), static_cast<double>(k) / static_cast<double>(columns - 1),
          image_of(x, k));
    decode(schedule, way, ask_unet(m, classes), s.seed, diffusion::rows<float>(x, columns), show);
    append(picture, image_of(sources.values, 0));
    append(picture, x);
    append(picture, image_of(sources.values, 1));
  }
  report.clear();
  write_png(s.out, grid(picture, 28, 28, {.columns = columns + 2, .scale = 2}));
  to.out << "picture  " << s.out << ": first image, mixtures, second image\n"
         << "rows     encoded by " << s.encode << ", mixed by " << s.mix << ", at the times";
  for (const int t : s.times) to.out << ' ' << t;
  to.out << " of " << last << std::endl;
}

}  // namespace

void add_interpolate(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<interpolate_settings>();
  s->out = "mnist_interpolated.png";
  s->pictures.count = 2;
  auto* interpolate = app.add_subcommand("interpolate", "Go from one image to another through the noise");
  add_edit_options(*interpolate, *s);
  interpolate->add_option("--time", s->times, "Times t to mix at, 1 to T, a row for each")
      ->default_str("eighths of T");
  interpolate->add_option("--encode", s->encode,
                          "Way to time t: " + names_of(encodings) + "; forward: with one noise for both");
  interpolate->add_option("--mix", s->mix, "Mixture: " + names_of(mixings))
      ->default_str("linear, for ddim sphere");
  interpolate->add_option("--columns", s->columns, "Mixtures in a row")->check(CLI::Range(2, 100));
  add_quiet(*interpolate, to);
  choose_if_given(*interpolate, chosen, [s, &to] { run_interpolate(*s, to); });
}

}  // namespace mnist
