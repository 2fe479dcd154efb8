// `mnist eval --elbo`.
#include "commands/elbo.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ask_unet.hpp"
#include "diffusion/variational_bound.hpp"
#include "io/atomic_file.hpp"
#include "io/plot.hpp"
#include "io/png.hpp"
#include "names.hpp"

namespace mnist {
namespace {

using diffusion::bits_per_dimension, diffusion::running_mean, diffusion::sample_bound;

constexpr std::array<std::pair<std::string_view, diffusion::fixed_variance>, 2> variances{{
    {"posterior", diffusion::fixed_variance::posterior},
    {"transition", diffusion::fixed_variance::transition},
}};

/// Images that are asked about at all times, to learn where the others should be: at most so many.
constexpr std::size_t most_pilots = 4;
/// Rows that the network is asked about at a time.
constexpr std::size_t batch = 64;

/// The images in [-1, 1] that are told one label, or none.
struct image_group {
  std::vector<int> labels;  ///< of a batch; empty: the network is told none
  std::vector<float> x0;
};

std::vector<image_group> group(const labelled_images& images, bool by_label) {
  const std::size_t area = images.images.rows * images.images.cols;
  std::vector<image_group> groups(by_label ? 10 : 1);
  for (std::size_t i = 0; i < images.images.count; ++i) {
    const auto label = images.labels[i];
    image_group& to = groups[by_label ? label : 0];
    if (by_label) to.labels.assign(batch, label);
    const auto values = to_values(std::span(images.images.pixels).subspan(i * area, area));
    to.x0.insert(to.x0.end(), values.begin(), values.end());
  }
  std::erase_if(groups, [](const image_group& g) { return g.x0.empty(); });
  return groups;
}

/// The bounds of images, and what each step adds to them.
struct elbo_run {
  model& m;
  diffusion::run_path path;
  diffusion::fixed_variance variance;
  std::uint64_t seed;
  std::size_t area;

  std::vector<running_mean> terms, squares;  ///< of each step, in bits per dimension

  /// Bounds of the images x0, the first of which is image number `first`. `on_term` is called after every
  /// evaluation.
  template <class OnTerm>
  std::vector<sample_bound> operator()(const image_group& g, std::span<const float> x0, std::size_t first,
                                       std::size_t draws, std::span<const double> weights, OnTerm on_term) {
    std::vector<sample_bound> bounds(x0.size() / area);
    diffusion::workspace<float> work;
    diffusion::variational_bound(
        path, diffusion::discretized_gaussian{}, ask_unet(m, g.labels.empty() ? nullptr : g.labels.data()),
        diffusion::philox_normal{seed}, diffusion::rows<const float>(x0, bounds.size()), work, bounds,
        {.variance = variance,
         .x0 = diffusion::x0_clip{1},
         .first_sample = first,
         .batch = batch,
         .draws = draws,
         .weights = weights},
        [&](std::size_t step, std::size_t, double nats) {
          const double bits = bits_per_dimension(nats, area);
          terms[step].add(bits);
          squares[step].add(bits * bits);
          on_term();
        });
    return bounds;
  }
};

/// Probabilities of the steps in proportion to √E[L²], with which the estimate has the smallest error, from
/// what was found so far; a tenth of the mean more for each, as the pilots may have met nothing there.
std::vector<double> importance(std::span<const running_mean> squares) {
  std::vector<double> weights;
  double sum = 0;
  for (const running_mean& square : squares.first(squares.size() - 1))  // not the decoder's
    sum += weights.emplace_back(std::sqrt(square.mean()));
  for (double& w : weights) w += 0.1 * sum / static_cast<double>(weights.size()) + 1e-12;
  return weights;
}

/// Terms over t, and their sum from T down.
plot::canvas terms_over_time(const elbo_run& run) {
  std::vector<double> times, terms, sums;
  double sum = 0;
  for (std::size_t k = 0; k < run.path.size(); ++k) {
    sum += run.terms[k].mean();
    times.push_back(run.path[k].from.t);
    terms.push_back(run.terms[k].mean());
    sums.push_back(sum);
  }
  const double last = run.path[0].from.t;
  return plot::draw("Variational bound, bits per dimension",
                    std::vector<plot::panel>{
                        {"Term of the step from t", "t", last, {{"", plot::palette[0], times, terms}}, true},
                        {"Sum of the terms from T to t", "t", last, {{"", plot::palette[1], times, sums}}},
                    });
}

}  // namespace

std::string elbo_variances() { return names_of(variances); }

void run_elbo(model& m, const labelled_images& images, const elbo_settings& s, std::uint64_t seed,
              const console& to) {
  m.process.require_clean_data();
  require_writable(s.plot);
  const std::size_t count = images.images.count;
  const std::size_t area = images.images.rows * images.images.cols;
  if (s.labels && m.net.config().classes < 10)
    throw std::invalid_argument("labels, allowed: for networks that know ten classes");
  const auto schedule = m.process.make_schedule();
  const int steps = schedule.steps();
  elbo_run run{m,
               diffusion::run_path(schedule, diffusion::full_grid(steps)),
               by_name("variance", s.variance, variances),
               seed,
               area,
               std::vector<running_mean>(static_cast<std::size_t>(steps)),
               std::vector<running_mean>(static_cast<std::size_t>(steps))};
  const auto groups = group(images, s.labels);
  std::vector<std::size_t> pilots;  // of each group: of many groups one each
  std::size_t all_pilots = 0;
  for (const image_group& g : groups) {
    const std::size_t wanted = std::min(most_pilots - all_pilots, groups.size() == 1 ? most_pilots : 1);
    all_pilots += pilots.emplace_back(std::min(wanted, g.x0.size() / area));
  }
  const std::size_t looks = all_pilots * run.path.size() + count * (static_cast<std::size_t>(s.draws) + 1);

  progress report(to);
  std::size_t look = 0;
  const auto on_term = [&] {
    ++look;
    if (report.due()) report.show("evaluation " + std::to_string(look) + "/" + std::to_string(looks));
  };
  // The pilots' noise is of no other image, so what they say of the times makes no bias.
  std::size_t address = count;
  for (std::size_t g = 0; g < groups.size(); address += pilots[g++])
    if (pilots[g] > 0)
      (void)run(groups[g], std::span(groups[g].x0).first(pilots[g] * area), address, 0, {}, on_term);
  const auto weights = importance(run.squares);
  running_mean total, prior, terms, decoder;
  std::size_t first = 0;
  for (const image_group& g : groups)
    for (const sample_bound& bound :
         run(g, g.x0, first, static_cast<std::size_t>(s.draws), weights, on_term)) {
      total.add(bits_per_dimension(bound.total(), area));
      prior.add(bits_per_dimension(bound.prior, area));
      terms.add(bits_per_dimension(bound.steps, area));
      decoder.add(bits_per_dimension(bound.decoder, area));
      ++first;
    }
  const double seconds = report.seconds();
  report.clear();
  plot::write_png(s.plot, terms_over_time(run));

  char text[160];
  std::snprintf(text, sizeof text, "images       %zu of the test set, bound of -log2 p(%s)\n", count,
                s.labels ? "x | label" : "x");
  to.out << text << "bits per dimension, with standard errors\n";
  for (const auto& [name, mean] :
       {std::pair{"bound", &total}, {"  prior", &prior}, {"  steps", &terms}, {"  decoder", &decoder}}) {
    std::snprintf(text, sizeof text, "%-12s %.4f +- %.4f\n", name, mean->mean(), mean->standard_error());
    to.out << text;
  }
  std::snprintf(
      text, sizeof text,
      "times        %d of %d for each image\nvariance     %s\nseconds      %.2f for %zu evaluations\n",
      s.draws, steps, s.variance.c_str(), seconds, looks);
  to.out << text << "plot         " << s.plot << '\n' << std::flush;
}

}  // namespace mnist
