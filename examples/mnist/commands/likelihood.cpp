// `mnist likelihood`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "ask_unet.hpp"
#include "commands/commands.hpp"
#include "commands/load_options.hpp"
#include "commands/pictures.hpp"
#include "diffusion/elbo.hpp"
#include "diffusion/interop/odeint.hpp"
#include "diffusion/running_mean.hpp"
#include "diffusion/training_times.hpp"
#include "nn/parallel.hpp"
#include "samplers.hpp"

namespace mnist {
namespace {

struct likelihood_settings {
  std::string weights = MNIST_DIR "/weights/mnist.safetensors";
  load_options load;
  picture_settings pictures;
  std::size_t probes = 2;
  double tolerance = 1e-3;
  std::uint64_t seed = 1;
  int threads = available_threads();
};

/// Distance of two shades where black is -1 and white 1.
constexpr double grey_level = diffusion::discretized_gaussian::bin_width;

/// An image of 8 bits as a draw of a density: each pixel anywhere among the values that round to its shade.
void dequantize(std::uint64_t seed, std::uint64_t image, std::span<float> pixels) {
  const diffusion::addressed_words words(seed, image, 0xffff'ffffu);  // no probe has this step
  for (std::uint32_t i = 0; i < pixels.size(); ++i) {
    const double u = diffusion::unit_uniform(words[i / 4][i % 4]);
    pixels[i] += static_cast<float>((u - 0.5) * grey_level);
  }
}

/// Bits per dimension of an image of 8 bits whose dequantized pixels have this log-density: an upper bound in
/// the mean (Theis et al. 2016).
double bits(double nats) { return diffusion::bits_per_dimension(-nats, image_pixels, grey_level); }

void run_likelihood(const likelihood_settings& s, const console& to) {
  model m = load_model(s.weights, s.load);
  m.process.require_clean_data();
  m.net.set_threads(s.threads);
  auto given = load_pictures(s.pictures, s.seed);
  const auto schedule = detail::between_steps(m.process.make_schedule());
  diffusion::log_likelihood_options options{
      .divergence = diffusion::hutchinson{.probes = s.probes, .seed = s.seed},
      .atol = s.tolerance,
      .rtol = s.tolerance};

  progress report(to);
  std::vector<diffusion::log_likelihood_result> results;
  diffusion::running_mean mean;
  for (std::size_t i = 0; i < given.count(); ++i) {
    if (i > 0 && report.due()) {
      char text[80];
      std::snprintf(text, sizeof text, "image %zu/%zu, %.3f bits/dim so far", i + 1, given.count(),
                    mean.mean());
      report.show(text);
    }
    const auto image = image_of(given.values, i);
    dequantize(s.seed, i, image);
    options.first_sample = i;
    results.push_back(diffusion::log_likelihood(schedule, detail::listed_range(schedule, 1),
                                                ask_unet(m, nullptr), diffusion::rows<float>(image, 1),
                                                options)[0]);
    mean.add(bits(results.back().log_likelihood));
  }
  const double seconds = report.seconds();
  report.clear();

  char text[120];
  to.out << "   image  digit      nats  bits/dim  std error  evaluations\n";
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& r = results[i];
    char error[16] = "-";
    if (s.probes > 1)
      std::snprintf(error, sizeof error, "%.4f",
                    diffusion::bits_per_dimension(r.standard_error, image_pixels));
    std::snprintf(text, sizeof text, "%8zu  %5s  %8.2f  %8.4f  %9s  %11zu\n", i,
                  given.digits[i] ? std::to_string(*given.digits[i]).c_str() : "-", r.log_likelihood,
                  bits(r.log_likelihood), error, r.evaluations);
    to.out << text;
  }
  std::snprintf(text, sizeof text, "mean     %.4f bits/dim", mean.mean());
  to.out << text;
  if (mean.count() > 1) {
    std::snprintf(text, sizeof text, ", standard error %.4f", mean.standard_error());
    to.out << text;
  }
  std::snprintf(text, sizeof text, "\nseconds  %.1f\n", seconds);
  to.out << text << std::flush;
}

}  // namespace

void add_likelihood(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<likelihood_settings>();
  s->pictures.count = 16;
  auto* likelihood =
      app.add_subcommand("likelihood", "Bits that the network needs for images (probability flow)");
  likelihood->add_option("--weights", s->weights, "Trained network");
  add_picture_options(*likelihood, s->pictures);
  likelihood->add_option("--probes", s->probes, "Probes of the divergence; from two on their error is known")
      ->check(CLI::Range(1, 784));
  likelihood->add_option("--tolerance", s->tolerance, "Of a step of the solver, in pixels and nats");
  add_unsigned(*likelihood, "--seed", s->seed, "Seed of the choice of digits, the probes and the rounding");
  add_threads(*likelihood, s->threads);
  add_quiet(*likelihood, to);
  add_network_options(*likelihood, s->load);
  add_process_options(*likelihood, s->load);
  choose_if_given(*likelihood, chosen, [s, &to] { run_likelihood(*s, to); });
}

}  // namespace mnist
