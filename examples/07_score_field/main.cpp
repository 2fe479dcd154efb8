// Learns the score of points in the plane by denoising score matching, and draws from it with annealed
// Langevin dynamics and along the probability flow. docs/score_models.md explains it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "diffusion/sample.hpp"
#include "diffusion/samplers/heun.hpp"
#include "diffusion/samplers/langevin.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "draw.hpp"
#include "measure.hpp"
#include "network.hpp"
#include "score_matching.hpp"
#include "spirals.hpp"

using namespace diffusion;
using namespace score_field;

namespace {

// Samples of the same seed that are drawn apart from those of training.
constexpr std::uint64_t data_to_show = 1ull << 40, data_to_compare = 2ull << 40, drawn = 3ull << 40;
constexpr std::size_t count = 2000;

class stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Draws points with a sampler, from noise at the first level; on_step as for `sample`.
template <class Score, class OnStep>
std::vector<float> draw_with(const run_plan& plan, Score& score, std::uint64_t seed, OnStep on_step) {
  std::vector<float> values(2 * count);
  const rows<float> x(values, count);
  const philox_normal noise{seed};
  draw_noise(noise, 0, drawn, x);
  for (float& value : values) value *= static_cast<float>(plan.stages.front().from.level.sigma);
  workspace<float> work;
  sample(plan, score, noise, x, work, {.first_sample = drawn}, on_step);
  return values;
}

void run(const std::string& out, const training_options& training) {
  const mixture data = two_spirals();
  network net(data.scale(), training.seed);
  std::printf("%zu weights, %d steps of %zu points\n", net.values.size(), training.steps, training.batch);
  const stopwatch total;
  double loss_sum = 0;
  int since = 0;
  train(net, data, training, [&](int step, double loss) {
    loss_sum += loss;
    ++since;
    if (step * 10 / training.steps == (step - 1) * 10 / training.steps) return;
    std::printf("step %5d  loss %.4f  %.1f s\n", step, loss_sum / since, total.seconds());
    std::fflush(stdout);
    loss_sum = since = 0;
  });

  auto score = score_of(net);
  const std::vector<double> levels = exponential_sigmas(12, training.sigmas);
  std::printf("\nsquared error of the learnt score, of the exact score's square\n");
  for (const double sigma : levels) {
    const auto [exact, difference] = measure_score(data, score, sigma, count, training.seed, data_to_compare);
    std::printf("sigma %6.3f  %6.2f %%\n", sigma, 100 * difference / exact);
  }

  // The levels and steps of Song & Ermon 2019, from a little farther away.
  const run_plan langevin = make_plan(run_path(sigma_schedule{}, with_final(levels)), annealed_langevin{});
  const std::vector<float> by_langevin = draw_with(langevin, score, training.seed, [](const auto&) {});

  const run_plan flow =
      make_plan(run_path(sigma_schedule{}, with_final(karras_sigmas(20, training.sigmas))), heun{});
  constexpr std::size_t shown = 150;
  std::vector<std::vector<float>> paths;
  const auto remember = [&](std::span<const float> x) {
    paths.emplace_back(x.begin(), x.begin() + 2 * shown);
  };
  const std::vector<float> by_flow = draw_with(flow, score, training.seed, [&](const auto& run) {
    if (run.stage_index() % 2 == 0) remember(run.x().data());  // odd ones are in the middle of a step of Heun
  });
  remember(by_flow);

  std::vector<float> some_data(2 * count), fresh_data(2 * count);
  data.draw(training.seed, data_to_show, rows<float>(some_data, count));
  data.draw(training.seed, data_to_compare, rows<float>(fresh_data, count));
  const auto print_distance = [&](const char* name, const std::vector<float>& x) {
    const rows<const float> points(x, count);
    std::printf("%-18s %19.4f %17.3f\n", name,
                sliced_wasserstein(points, rows<const float>(fresh_data, count)),
                mean_log_density(data, points));
  };
  std::printf("\n%zu points          distance to the data  mean log density\n", count);
  print_distance("data", some_data);
  print_distance("annealed Langevin", by_langevin);
  print_distance("probability flow", by_flow);

  const double middle = levels[6], small = levels[8];
  const auto field_title = [](double sigma) {
    char text[64];
    std::snprintf(text, sizeof text, "Score at sigma = %.2f", sigma);
    return std::string(text);
  };
  const panel panels[] = {
      {"Data", draw_points(data, rows<const float>(some_data, count))},
      {field_title(middle), draw_field(data, score, middle)},
      {field_title(small), draw_field(data, score, small)},
      {"Samples: annealed Langevin", draw_points(data, rows<const float>(by_langevin, count))},
      {"Samples: probability flow", draw_points(data, rows<const float>(by_flow, count))},
      {"Paths of the flow", draw_paths(data, paths)},
  };
  plot::write_png(
      out,
      draw("Two spirals: their score, learnt, and what is drawn with it",
           "Arrows: the learnt score (black) over the exact one (orange), on the density of the noised data",
           panels));
  std::printf("\nwrote %s, %.1f s\n", out.c_str(), total.seconds());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns the score of two spirals and draws samples with it", "score_field");
  std::string out = "score_field.png";
  training_options training{.sigmas = {.min = 0.01, .max = 3}};
  app.add_option("--out", out, "Picture to write")->capture_default_str();
  app.add_option("--steps", training.steps, "Steps of training")->capture_default_str();
  app.add_option("--seed", training.seed, "Of all random numbers")->capture_default_str();
  try {
    app.parse(argc, argv);
    run(out, training);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "score_field: %s\n", error.what());
    return 2;
  }
}
