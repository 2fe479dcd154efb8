// `mnist inpaint`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/commands.hpp"
#include "commands/edit.hpp"
#include "diffusion/inpaint.hpp"
#include "diffusion/samplers/repaint.hpp"

namespace mnist {
namespace {

constexpr std::array<std::pair<std::string_view, bool>, 2> labellings{{{"none", false}, {"true", true}}};

struct inpaint_settings : edit_settings {
  std::string mask = "left", mask_image, label = "none";
  int fills = 6, jump_length = 5, jump_n_sample = 5;
};

/// Hides a part of each image and fills it several times.
void run_inpaint(const inpaint_settings& s, const console& to) {
  require_writable(s.out);
  std::vector<float> mask = mask_of(by_name("mask", s.mask, masks), s.seed);
  if (!s.mask_image.empty()) {
    mask = read_picture(s.mask_image);
    std::transform(mask.begin(), mask.end(), mask.begin(), [](float v) { return v > 0 ? 1.0f : 0.0f; });
  }
  const bool told = by_name("label", s.label, labellings);
  model m = load_model(s);
  const auto schedule = m.process.make_schedule();
  const auto given = load_pictures(s.pictures, s.seed);
  const auto fills = static_cast<std::size_t>(s.fills);
  const std::size_t count = given.count() * fills;
  auto classes = classes_of(s, m, count);
  if (const int none = m.net.config().classes; classes.empty() && told && none > 0)
    for (std::size_t i = 0; i < count; ++i) classes.push_back(given.digits[i / fills].value_or(none));

  std::vector<float> known, x(count * image_pixels);
  for (std::size_t i = 0; i < count; ++i) append(known, image_of(given.values, i / fills));
  const diffusion::philox_normal noise{s.seed};
  const diffusion::rows<float> state(x, count);
  diffusion::draw_noise(noise, 0, 0, state);
  const diffusion::repaint<diffusion::ddim> method{
      .sampler = {.eta = s.eta}, .jump_length = s.jump_length, .jump_n_sample = s.jump_n_sample};
  const int first = first_time(schedule, m.process.noisy_data);
  const auto steps = from_first(first, diffusion::trailing_grid(schedule.steps() - first + 1, s.steps));
  const auto plan = diffusion::make_plan(schedule, steps, method);
  const auto asked = static_cast<std::size_t>(
      std::count_if(plan.stages.begin(), plan.stages.end(), [](const auto& stage) { return stage.asks; }));

  progress report(to);
  std::size_t done = 0;
  auto network = ask_unet(m, classes);
  auto ask = diffusion::predicts(m.process.kind(), [&](auto x_t, auto at, auto out) {
    show_step(report, ++done, asked);
    network(x_t, at, out);
  });
  diffusion::workspace<float> work;
  const diffusion::known_part<float> part{{std::span<const float>(known), count},
                                          {std::span<const float>(mask), 1}};
  diffusion::sample_inpaint(plan, part, ask, noise, state, work, {.x0 = diffusion::x0_clip{}});
  report.clear();

  std::vector<float> picture;
  for (std::size_t i = 0; i < given.count(); ++i) {
    const auto image = image_of(given.values, i);
    append(picture, image);
    for (std::size_t j = 0; j < image_pixels; ++j) picture.push_back(mask[j] * image[j]);
    append(picture, std::span(x).subspan(i * fills * image_pixels, fills * image_pixels));
  }
  write_png(s.out, grid(picture, 28, 28, {.columns = fills + 2, .scale = 2}));
  to.out << "picture      " << s.out << ": original, known part, " << fills << " fills\n"
         << "evaluations  " << asked << " for each fill" << std::endl;
}

}  // namespace

void add_inpaint(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<inpaint_settings>();
  s->out = "mnist_inpainted.png";
  s->eta = 1;
  auto* inpaint = app.add_subcommand("inpaint", "Fill a hidden part of images (RePaint)");
  add_edit_options(*inpaint, *s);
  inpaint->add_option("--n", s->fills, "Fills of each image")->check(CLI::Range(1, 1000));
  auto* mask = inpaint->add_option("--mask", s->mask, "Hidden part: " + names_of(masks));
  inpaint
      ->add_option("--mask-image", s->mask_image,
                   "File of a mask, PNG of 28 x 28 pixels: white is known, black is filled")
      ->excludes(mask)
      ->default_str("none");
  inpaint->add_option("--label", s->label,
                      "What the network is told without --class: " + names_of(labellings) +
                          "; true: the digit, where it is known");
  inpaint->add_option("--jump-length", s->jump_length, "Steps that a jump goes back");
  inpaint->add_option("--jump-n-sample", s->jump_n_sample, "Times that each stretch is gone; 1: no jumps");
  add_quiet(*inpaint, to);
  choose_if_given(*inpaint, chosen, [s, &to] { run_inpaint(*s, to); });
}

}  // namespace mnist
