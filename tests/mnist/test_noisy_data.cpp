// Training from noisy images, and drawing with a network that learnt from them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/noisy_data.hpp"
#include "editing.hpp"
#include "generate.hpp"
#include "program_runs.hpp"
#include "samplers.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"
#include "training.hpp"

namespace {

using namespace program_runs;

constexpr double noisy_data = 0.3;
constexpr std::size_t pixels = 28 * 28;

/// Twelve images of one grey each.
mnist::labelled_images grey_images() {
  mnist::labelled_images data{{12, 28, 28, {}}, {}};
  for (int i = 0; i < 12; ++i) {
    data.images.pixels.insert(data.images.pixels.end(), pixels, static_cast<std::uint8_t>(20 * i));
    data.labels.push_back(static_cast<std::uint8_t>(i % 10));
  }
  return data;
}

/// The noisy images behind a batch of all twelve, by number: what x_t and target leave no choice for.
std::vector<double> noisy_images(const mnist::process_config& process, const mnist::batch_options& options,
                                 std::uint64_t step) {
  mnist::batch_source batches(grey_images(), process, options);
  batches.draw(step);
  const auto schedule = process.make_schedule();
  const auto order = mnist::detail::image_order(options.seed, step, 12);
  std::vector<double> images(12 * pixels);
  for (std::size_t i = 0; i < 12; ++i) {
    const auto level = schedule.level(static_cast<int>(batches.times()[i]) + 1);
    const auto clean = diffusion::x0_map(process.kind(), level);
    const auto r = diffusion::recorrupt(level, options.naive ? 0 : options.noisy_data);
    for (std::size_t j = 0; j < pixels; ++j) {
      const double x_t = batches.x_t()[i * pixels + j], target = batches.target()[i * pixels + j];
      // The copy in the place of x_0, y - second z; with x_t = α y + added z that gives z, and then y.
      const double second = clean(x_t, target);
      const double z = (x_t - level.alpha * second) / (level.alpha * r.second + r.added.sigma);
      images[order[i] * pixels + j] = second + r.second * z;
    }
  }
  return images;
}

mnist::training_options small_training(const std::string& objective = "ambient") {
  mnist::training_options options;
  options.images = 58;
  options.batch = 12;
  options.warmup = 2;
  options.noisy_objective = objective;
  options.process = {.steps = 50, .noisy_data = noisy_data};
  options.network = {.base = 4, .mults = {1, 1}, .groups = 2, .mid_attn = false, .classes = 10};
  return options;
}

std::string finish(mnist::trainer run) {
  const temporary_folder folder;
  while (!run.done()) run.advance();
  run.save_average(folder / "w");
  return read_bytes(folder / "w");
}
std::string trained(const mnist::training_options& options) {
  return finish(mnist::trainer(options, grey_images()));
}

}  // namespace

TEST_CASE("an image has the same noise whenever it is shown, for every objective", "[mnist][noisy]") {
  const auto reference = noisy_images({.steps = 50}, {.size = 12, .noisy_data = noisy_data}, 0);
  double mean = 0, square = 0, product = 0;
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < pixels; ++j) {
      const auto noise = [&](std::size_t image) {
        return reference[image * pixels + j] - (20.0 * static_cast<double>(image) / 127.5 - 1);
      };
      mean += noise(i);
      square += noise(i) * noise(i);
      product += noise(i) * noise((i + 1) % 12);
    }
  // Five standard errors of 9408 normals; other images have other noise.
  const double n = 12 * pixels, variance = noisy_data * noisy_data;
  CHECK(std::abs(mean / n) <= 5 * noisy_data / std::sqrt(n));
  CHECK(std::abs(square / n - variance) <= 5 * variance * std::sqrt(2 / n));
  CHECK(std::abs(product / n) <= 5 * variance / std::sqrt(n));

  for (const auto& [name, kind] : mnist::predictions)
    for (const bool naive : {false, true})
      for (const std::uint64_t step : {0u, 7u}) {
        INFO(name << ", naive " << naive << ", step " << step);
        const mnist::process_config process{.prediction = std::string(name), .steps = 50};
        const auto shown = noisy_images(
            process, {.size = 12, .min_snr_gamma = 2, .noisy_data = noisy_data, .naive = naive}, step);
        double worst = 0;
        for (std::size_t i = 0; i < shown.size(); ++i)
          worst = std::max(worst, std::abs(shown[i] - reference[i]));
        // Floats below 8/α are off by at most 2^-22/α, a few times, and epsilon divides by α again; α ≥ 0.03
        // but for the last time.
        CHECK(worst < 8 * 0x1p-22 / (0.03 * 0.03));
      }
  const auto other = noisy_images({.steps = 50}, {.size = 12, .seed = 2, .noisy_data = noisy_data}, 0);
  CHECK(std::abs(other[0] - reference[0]) > 1e-3);
}

TEST_CASE("times above the noise of the images are drawn evenly, and weighted", "[mnist][noisy]") {
  const mnist::process_config process{.steps = 60};
  const auto schedule = process.make_schedule();
  const int first = mnist::first_time(schedule, noisy_data);
  CHECK(diffusion::noise_to_signal(schedule.level(first)) > noisy_data);
  CHECK(diffusion::noise_to_signal(schedule.level(first - 1)) <= noisy_data);
  CHECK(mnist::first_time(schedule, 0) == 1);
  for (const double gamma : {0.0, 3.0}) {
    mnist::batch_source batches(grey_images(), process,
                                {.size = 12, .min_snr_gamma = gamma, .noisy_data = noisy_data});
    REQUIRE(batches.weights() != nullptr);
    std::vector<int> counts(61);
    for (std::uint64_t step = 0; step < 100; ++step) {
      batches.draw(step);
      for (int i = 0; i < 12; ++i) {
        const int t = static_cast<int>(batches.times()[i]) + 1;
        ++counts[static_cast<std::size_t>(t)];
        const auto level = schedule.level(t);
        const double base = gamma > 0 ? diffusion::output_weight(process.kind(), level,
                                                                 diffusion::min_snr_weights(level, gamma))
                                      : 1;
        CHECK(batches.weights()[i] == base * diffusion::recorrupt(level, noisy_data).weight);
      }
    }
    const auto drawn = counts.begin() + first;
    CHECK(std::count(counts.begin(), drawn, 0) == first);
    // 1200 draws over 60 - first + 1 = 49 times: 24.5 of each, one in each of 12 parts of a batch.
    CHECK(*std::min_element(drawn, counts.end()) >= 5);
    CHECK(*std::max_element(drawn, counts.end()) <= 60);
  }
  mnist::batch_source naive(grey_images(), process, {.size = 12, .noisy_data = noisy_data, .naive = true});
  CHECK(naive.weights() == nullptr);
  naive.draw(0);
  CHECK(*std::min_element(naive.times(), naive.times() + 12) < static_cast<float>(first - 1));
}

TEST_CASE("training from noisy images resumes to the bit, and every choice matters", "[mnist][noisy]") {
  const temporary_folder folder;
  std::vector<std::string> endings;
  for (const std::string objective : {"ambient", "naive"}) {
    endings.push_back(trained(small_training(objective)));
    mnist::trainer part(small_training(objective), grey_images());
    part.advance();
    part.advance();
    part.save(folder / "c");
    CHECK((finish(mnist::trainer::resume(folder / "c", grey_images())) == endings.back()));
  }
  auto other = small_training();
  other.process.noisy_data = 0.2;
  endings.push_back(trained(other));
  other.process.noisy_data = 0;
  endings.push_back(trained(other));
  for (std::size_t i = 0; i < endings.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK((endings[i] != endings[j]));
}

TEST_CASE("a checkpoint from before there were noisy images goes on", "[mnist][noisy]") {
  const temporary_folder folder;
  auto options = small_training();
  options.process.noisy_data = 0;
  mnist::trainer part(options, grey_images());
  part.advance();
  part.save(folder / "c");
  auto file = mnist::read_safetensors(folder / "c");
  auto json = nlohmann::json::parse(file.metadata.at("training"));
  CHECK(json.erase("noisy_objective") == 1);
  CHECK(!json.at("process").contains("noisy_data"));
  file.metadata["training"] = json.dump();
  mnist::write_safetensors(folder / "c", file);
  CHECK((finish(mnist::trainer::resume(folder / "c", grey_images())) == trained(options)));
}

TEST_CASE("weights say what noise they know no level below", "[mnist][noisy]") {
  const temporary_folder folder;
  const auto metadata = [&](const std::string& objective, double noise) {
    auto options = small_training(objective);
    options.process.noisy_data = noise;
    mnist::trainer(options, grey_images()).save_average(folder / "w");
    return mnist::load_model(folder / "w").process.noisy_data;
  };
  CHECK(metadata("ambient", noisy_data) == noisy_data);
  CHECK(metadata("naive", noisy_data) == 0);
  CHECK(metadata("ambient", 0) == 0);
  CHECK(mnist::read_safetensors(folder / "w").metadata.at("diffusion") ==
        R"({"prediction":"v","schedule":"cosine","steps":50})");
}

TEST_CASE("a run keeps all its steps above the noise of the images, whatever the spacing", "[mnist][noisy]") {
  const mnist::process_config process{.noisy_data = noisy_data};
  for (const auto& [name, points] : mnist::spacings)
    for (const std::string schedule : {"", "linear"}) {
      INFO(name << " along " << schedule);
      const auto trained_on = process.make_schedule();
      const auto along =
          mnist::process_config{.schedule = schedule.empty() ? "cosine" : schedule}.make_schedule();
      const auto make = [&, spacing = name] {
        return mnist::make_path(trained_on, along, schedule.empty(), process.noisy_data, spacing, 20);
      };
      if (name == "edm_vp") {  // a formula whose β would have to be negative
        CHECK(contains(message_of([&] { (void)make(); }), "beta_d = -"));
        continue;
      }
      const auto path = make();
      REQUIRE(path.size() == 20);
      double above = 1e9;
      for (std::size_t i = 0; i < path.size(); ++i) {
        const double noise = diffusion::noise_to_signal(path[i].from.level);
        CHECK(noise < above);
        CHECK(path[i].eval.t == path[i].from.t);
        above = noise;
      }
      // The lists end at the first time, trailing and open whole times a twentieth of the range later; one
      // time more where they round.
      const int first = mnist::first_time(along, noisy_data);
      const bool late = name == "trailing" || name == "open_linspace";
      const int last = first + 1 + (late ? (1000 - first + 1) / 20 : 0);
      CHECK(above > noisy_data);
      CHECK(above <= diffusion::noise_to_signal(along.level(last)));
      CHECK(path[19].to.level == diffusion::noise_level{1, 0});
    }
}

TEST_CASE("editing with a network that knows no level below stays above", "[mnist][noisy]") {
  const mnist::passage way{.t = 600, .steps = 50, .first = 180};
  const auto grid = way.grid();
  REQUIRE(grid.size() == 50);
  CHECK(grid[0].from == 600);
  CHECK(grid[49].from >= 180);
  CHECK(grid[49].to == 0);
  for (std::size_t i = 0; i < 49; ++i) CHECK(grid[i].to == grid[i + 1].from);
  CHECK(mnist::passage{.t = 182, .steps = 50, .first = 180}.grid().size() == 3);
  CHECK(contains(message_of([] { (void)mnist::passage{.t = 179, .first = 180}.grid(); }),
                 "time = 179, must be at least 180"));
}

TEST_CASE("the program learns from noisy images and draws without them", "[mnist][noisy][program]") {
  const workshop shop;
  const auto picture = (shop.folder / "p.png").string();
  REQUIRE(shop.train({"--noisy-data", "0.3"}).status == 0);
  const auto draw = [&](const std::string& command, const std::vector<std::string>& more) {
    return run(joined({command, "--weights", shop.weights, "--steps", "3", "--out", picture}, more));
  };
  CHECK(draw("sample", {"--n", "2"}).status == 0);
  CHECK(draw("sample", {"--n", "2", "--noisy-data", "0.3"}).status == 0);
  CHECK(contains(draw("sample", {"--n", "2", "--noisy-data", "0.2"}).err,
                 "the metadata say noisy_data = 0.3, not 0.2"));
  CHECK(draw("denoise", {"--noise", "0.5"}).status == 0);
  CHECK(contains(draw("denoise", {"--noise", "0.1"}).err, "must be at least"));
  CHECK(draw("interpolate", {}).status == 0);
  CHECK(draw("interpolate", {"--encode", "ddim"}).status == 0);
  CHECK(contains(draw("interpolate", {"--time", "3"}).err, "time = 3, must be at least"));
  CHECK(draw("inpaint", {"--n", "1", "--jump-length", "1", "--jump-n-sample", "1"}).status == 0);

  // A network of clean images may be told where to end its noise.
  REQUIRE(shop.train().status == 0);
  CHECK(draw("sample", {"--n", "2"}).status == 0);
  const auto whole = read_bytes(picture);
  CHECK(draw("sample", {"--n", "2", "--noisy-data", "0.3"}).status == 0);
  CHECK((read_bytes(picture) != whole));

  const std::vector<std::pair<std::vector<std::string>, std::string>> table{
      {{"--noisy-objective", "naive"}, "noisy-objective is an option of --noisy-data alone"},
      {{"--noisy-data", "0.3", "--noisy-objective", "n2n"}, "must be one of ambient, naive"},
      {{"--noisy-data", "-0.1"}, "noisy-data = -0.100000, must be at least 0 and below"},
      {{"--noisy-data", "nan"}, "noisy-data = nan"},
      {{"--noisy-data", "1e9"}, "noisy-data = 1000000000"},
      {{"--noisy-data", "0.3", "--resume", "x"}, "--resume excludes --"},
  };
  for (const auto& [words, message] : table) {
    const auto result = shop.train(words);
    INFO(message << " / " << result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, message));
  }
  const auto help = run({"train", "--help"}).out;
  CHECK(contains(help, "--noisy-data FLOAT=0"));
  CHECK(contains(help, "--noisy-objective TEXT=ambient"));
}
