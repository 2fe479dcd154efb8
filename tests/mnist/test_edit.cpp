// The commands that edit images, and the mathematics behind them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "editing.hpp"
#include "io/png.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"
#include "support/oracle.hpp"

namespace {

using namespace program_runs;

/// A workshop with a test set: the images and labels it trains on.
struct editing_workshop : workshop {
  std::string picture = (folder / "p.png").string(), files = (folder / "image.png").string();

  editing_workshop() {
    for (const std::string kind : {"-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz"})
      std::filesystem::copy_file(folder / ("train" + kind), folder / ("t10k" + kind));
    const auto trained = train();
    INFO(trained.out << trained.err);
    REQUIRE(trained.status == 0);
    mnist::write_png(files, {.width = 28, .height = 28, .pixels = ramp()});
  }

  /// An image that is different everywhere: 0, 1, 2, ...
  static std::vector<std::uint8_t> ramp() {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 28 * 28; ++i) pixels.push_back(static_cast<std::uint8_t>(i));
    return pixels;
  }

  outcome edit(std::vector<std::string> words, const std::vector<std::string>& more = {}) const {
    if (words[0] != "forward") words = joined(words, {"--weights", weights, "--threads", "1"});
    return run(joined(joined(words, {"--data", data, "--out", picture}), more));
  }
  mnist::grey_image drawn(const std::vector<std::string>& words,
                          const std::vector<std::string>& more = {}) const {
    const auto result = edit(words, more);
    INFO(result.out << result.err);
    REQUIRE(result.status == 0);
    return mnist::read_png(picture);
  }
};

/// One image of a picture that `grid` made.
std::vector<std::uint8_t> cell(const mnist::grey_image& picture, std::size_t row, std::size_t column,
                               std::size_t scale) {
  std::vector<std::uint8_t> pixels;
  const std::size_t pitch = 28 * scale + 1;
  for (std::size_t y = 0; y < 28; ++y)
    for (std::size_t x = 0; x < 28; ++x)
      pixels.push_back(
          picture.pixels.at((1 + row * pitch + y * scale) * picture.width + 1 + column * pitch + x * scale));
  return pixels;
}

bool has_cells(const mnist::grey_image& picture, std::size_t rows, std::size_t columns, std::size_t scale) {
  return picture.width == columns * (28 * scale + 1) + 1 && picture.height == rows * (28 * scale + 1) + 1;
}

/// The largest difference in grey levels.
int distance(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  int worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

std::vector<std::uint8_t> shade(int value) {
  return std::vector<std::uint8_t>(28 * 28, static_cast<std::uint8_t>(value));
}

std::vector<float> normals(std::uint64_t sample, std::size_t size = 784) {
  std::vector<float> values(size);
  diffusion::philox_normal{5}(sample, 0, std::span<float>(values));
  return values;
}

double length(std::span<const float> v) {
  double squares = 0;
  for (const float x : v) squares += double{x} * x;
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("the time of a noise is the nearest one", "[mnist][edit]") {
  for (const auto& [name, make] : mnist::schedules) {
    const auto schedule = make(40);
    const auto distance_at = [&](int t, double noise) {
      return std::abs(diffusion::noise_to_signal(schedule.level(t)) - noise);
    };
    for (const double noise : {1e-6, 0.05, 0.3, 1.0, 2.5}) {
      int nearest = 1;
      for (int t = 2; t <= 40; ++t)
        if (distance_at(t, noise) < distance_at(nearest, noise)) nearest = t;
      INFO(name << ", noise " << noise);
      CHECK(mnist::time_of_noise(schedule, noise) == nearest);
    }
  }
  const auto schedule = diffusion::linear_schedule(1000);
  CHECK(mnist::time_of_noise(schedule, diffusion::noise_to_signal(schedule.level(1000))) == 1000);
  for (const double noise : {0.0, -1.0, 200.0, double(NAN), double(INFINITY)})
    CHECK(contains(message_of([&] { (void)mnist::time_of_noise(schedule, noise); }), "must be in (0, 157"));
}

TEST_CASE("a mixture starts at one image, ends at the other and keeps the length on the sphere",
          "[mnist][edit]") {
  const auto a = normals(0), b = normals(1);
  std::vector<float> to(784);
  for (const auto& [name, mix] : mnist::mixings) {
    INFO(name);
    mix(a, b, 0, to);
    CHECK(to == a);
    mix(a, b, 1, to);
    CHECK(to == b);
    // Nothing to go around: from an image to itself, to its double, from nothing.
    const std::vector<float> nothing(784, 0);
    mix(a, a, 0.25, to);
    for (std::size_t i = 0; i < 784; ++i) REQUIRE(to[i] == Approx(a[i]).epsilon(1e-6));
    mix(nothing, a, 0.5, to);
    CHECK(to[7] == Approx(a[7] / 2));
  }
  std::vector<float> c = b;
  for (float& x : c) x *= static_cast<float>(length(a) / length(b));
  mnist::mix_on_sphere(a, c, 0.3, to);
  CHECK(length(to) == Approx(length(a)).epsilon(1e-6));
  mnist::mix_linearly(a, c, 0.3, to);  // independent directions: √(0.7² + 0.3²) = 0.76 of it
  CHECK(length(to) < 0.85 * length(a));
}

TEST_CASE("masks hide what they are named after", "[mnist][edit]") {
  const auto hidden_in = [](mnist::hidden which, auto where) {
    const auto mask = mnist::mask_of(which, 1);
    int inside = 0, outside = 0;
    for (int i = 0; i < 784; ++i)
      if (mask[static_cast<std::size_t>(i)] == 0) ++(where(i % 28, i / 28) ? inside : outside);
    CHECK(outside == 0);
    return inside;
  };
  using mnist::hidden;
  CHECK(hidden_in(hidden::left, [](int x, int) { return x < 14; }) == 392);
  CHECK(hidden_in(hidden::right, [](int x, int) { return x >= 14; }) == 392);
  CHECK(hidden_in(hidden::top, [](int, int y) { return y < 14; }) == 392);
  CHECK(hidden_in(hidden::bottom, [](int, int y) { return y >= 14; }) == 392);
  CHECK(hidden_in(hidden::centre, [](int x, int y) { return x >= 7 && x < 21 && y >= 7 && y < 21; }) == 196);
  // 784 draws of probability 3/4: 588, standard deviation 12.
  CHECK(hidden_in(hidden::random, [](int, int) { return true; }) == Approx(588).margin(60));
  CHECK(mnist::mask_of(hidden::random, 1) != mnist::mask_of(hidden::random, 2));
}

TEST_CASE("encoding and decoding come home, the closer the more steps", "[mnist][edit]") {
  // Data of deviation 0.2 and their perfect network: nothing comes near the clipping at 1.
  const auto schedule = diffusion::cosine_schedule(1000);
  const support::perfect_network network{support::gaussian{0.1, 0.2}, diffusion::prediction::v};
  auto start = normals(3);
  for (float& x : start) x = 0.1f + 0.2f * std::clamp(x, -3.0f, 3.0f);
  double before = std::numeric_limits<double>::infinity();
  for (const int steps : {10, 20, 40, 80}) {
    auto x = start;
    const diffusion::rows<float> state(x, 1);
    const mnist::passage way{.t = 600, .steps = steps};
    mnist::encode(schedule, way, network, state);
    CHECK(length(x) > 1.5 * length(start));  // it became noise: √(0.35 · 0.05 + 0.65) = 0.82 against 0.22
    mnist::decode(schedule, way, network, 1, state);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(double{x[i]} - start[i]));
    INFO(steps << " steps: " << worst);
    CHECK(worst < 0.75 * before);  // of first order: a half, for ever more steps
    before = worst;
  }
  CHECK(before < 0.05);
}

TEST_CASE("denoise starts at the noise of the image", "[mnist][edit]") {
  const editing_workshop shop;
  const auto result = shop.edit({"denoise", "--index", "3", "--index", "9", "--noise", "0.5"});
  INFO(result.out << result.err);
  REQUIRE(result.status == 0);
  const int t = mnist::time_of_noise(diffusion::cosine_schedule(60), 0.5);
  CHECK(contains(result.out, "times    1 to 60, at most 50 steps\n"));
  auto picture = mnist::read_png(shop.picture);
  CHECK(has_cells(picture, 2, 4, 3));
  CHECK(cell(picture, 0, 0, 3) == shade(3 * 17));
  CHECK(cell(picture, 1, 0, 3) == shade(9 * 17));
  // 10 log10(4/0.5²), its mean square off by 5 · √(2/784) = 25 % at most.
  std::istringstream table(result.out.substr(result.out.find("       0")));
  double index = -1, noise = 0, time = 0, decibels = 0;
  table >> index >> noise >> time >> decibels;
  CHECK(index == 0);
  CHECK(noise == 0.5);
  CHECK(time == t);
  CHECK(decibels == Approx(12.04).margin(1.25));

  // A single step is what one evaluation says.
  picture = shop.drawn({"denoise", "--index", "5", "--steps", "1"});
  CHECK(cell(picture, 0, 2, 3) == cell(picture, 0, 3, 3));
  CHECK(cell(picture, 0, 1, 3) != cell(picture, 0, 3, 3));

  // A file is noisy already, unless it is said otherwise: what it says about its noise counts for each image.
  const auto level_of = [&](const std::vector<std::string>& more) {
    const auto found = shop.edit(joined({"denoise", "--steps", "2", "--image", shop.files}, more));
    INFO(found.out << found.err);
    REQUIRE(found.status == 0);
    double file = -1;
    std::istringstream(found.out.substr(found.out.find("       0") + 8)) >> file;
    return file;
  };
  CHECK(level_of({"--noise", "0.7"}) == 0.7);
  CHECK(level_of({"--noise", "0.7", "--add-noise"}) == 0.7);
  CHECK(level_of({"--add-noise"}) == 1);
  CHECK(level_of({}) != 1);
  picture = shop.drawn({"denoise", "--image", shop.files, "--steps", "2"});
  CHECK(has_cells(picture, 1, 3, 3));
  CHECK(cell(picture, 0, 0, 3) == editing_workshop::ramp());
  picture = shop.drawn({"denoise", "--image", shop.files, "--steps", "2", "--add-noise"});
  CHECK(has_cells(picture, 1, 4, 3));
  CHECK(cell(picture, 0, 0, 3) == editing_workshop::ramp());
  CHECK(cell(picture, 0, 1, 3) != editing_workshop::ramp());
}

TEST_CASE("interpolate ends where each of its images leads alone", "[mnist][edit]") {
  const editing_workshop shop;
  for (const std::vector<std::string>& how :
       std::vector<std::vector<std::string>>{{}, {"--encode", "ddim"}, {"--mix", "sphere"}}) {
    const std::vector<std::string> words =
        joined({"interpolate", "--time", "10", "40", "--steps", "3", "--class", "2"}, how);
    const auto picture = shop.drawn(words, {"--columns", "5", "--index", "2", "--image", shop.files});
    REQUIRE(has_cells(picture, 2, 7, 2));
    const auto first = shop.drawn(words, {"--columns", "2", "--index", "2", "2"});
    const auto second = shop.drawn(words, {"--columns", "2", "--image", shop.files, shop.files});
    for (const std::size_t row : {0u, 1u}) {
      CHECK(cell(picture, row, 0, 2) == shade(2 * 17));
      CHECK(cell(picture, row, 6, 2) == editing_workshop::ramp());
      // Batches of other sizes round differently, by less than a grey level.
      CHECK(distance(cell(picture, row, 1, 2), cell(first, row, 1, 2)) <= 1);
      CHECK(distance(cell(picture, row, 5, 2), cell(second, row, 1, 2)) <= 1);
      CHECK(distance(cell(picture, row, 1, 2), cell(picture, row, 5, 2)) > 1);
    }
  }
}

TEST_CASE("inpaint leaves the known pixels as they were", "[mnist][edit]") {
  const editing_workshop shop;
  const std::vector<std::string> words{
      "inpaint", "--image",       shop.files, "--index",         "7", "--n", "2", "--steps",
      "4",       "--jump-length", "2",        "--jump-n-sample", "2"};
  const auto check = [&](const mnist::grey_image& picture, const std::vector<float>& mask) {
    REQUIRE(has_cells(picture, 2, 4, 2));
    for (const std::size_t row : {0u, 1u}) {
      const auto original = row == 0 ? shade(7 * 17) : editing_workshop::ramp();
      CHECK(cell(picture, row, 0, 2) == original);
      const auto masked = cell(picture, row, 1, 2);
      std::vector<int> filled(2);
      for (const std::size_t fill : {0u, 1u}) {
        const auto pixels = cell(picture, row, 2 + fill, 2);
        for (std::size_t i = 0; i < 784; ++i) {
          if (mask[i] == 1) REQUIRE(pixels[i] == original[i]);
          REQUIRE(masked[i] == (mask[i] == 1 ? original[i] : 128));
          filled[fill] += pixels[i] != original[i];
        }
        CHECK(filled[fill] > 100);
      }
      CHECK(cell(picture, row, 2, 2) != cell(picture, row, 3, 2));
    }
  };
  for (const auto& [name, which] : mnist::masks) {
    INFO(name);
    check(shop.drawn(words, {"--mask", std::string(name)}), mnist::mask_of(which, 1));
  }
  const auto mask_file = (shop.folder / "mask.png").string();
  mnist::grey_image mask{.width = 28, .height = 28, .pixels = shade(255)};
  std::vector<float> known(784, 1);
  for (std::size_t i = 0; i < 300; ++i) mask.pixels[i] = static_cast<std::uint8_t>(known[i] = 0);
  mnist::write_png(mask_file, mask);
  check(shop.drawn(words, {"--mask-image", mask_file}), known);

  const auto told = shop.drawn(words, {"--label", "true"});
  check(told, mnist::mask_of(mnist::hidden::left, 1));
  // Of the digit 7 the class is known, of the file it is not.
  const auto untold = shop.drawn(words), seven = shop.drawn(words, {"--class", "7"});
  for (const std::size_t fill : {2u, 3u}) {
    CHECK(cell(told, 0, fill, 2) == cell(seven, 0, fill, 2));
    CHECK(cell(told, 0, fill, 2) != cell(untold, 0, fill, 2));
    CHECK(cell(told, 1, fill, 2) == cell(untold, 1, fill, 2));
  }
}

TEST_CASE("forward begins with the clean images", "[mnist][edit]") {
  const editing_workshop shop;
  const auto curves = (shop.folder / "c.png").string();
  const auto picture = shop.drawn({"forward", "--image", shop.files, "--index", "4", "--columns", "6",
                                   "--steps", "50", "--curves", curves});
  REQUIRE(has_cells(picture, 6, 6, 2));
  for (std::size_t row = 0; row < 6; ++row) {
    CHECK(cell(picture, row, 0, 2) == (row < 3 ? shade(4 * 17) : editing_workshop::ramp()));
    CHECK(cell(picture, row, 3, 2) != cell(picture, row, 0, 2));
    // At the end only the noise is left, one for all schedules: signal of at most 0.07 on a scale of 2.
    if (row % 3 > 0) CHECK(distance(cell(picture, row, 5, 2), cell(picture, row - 1, 5, 2)) <= 10);
  }
  const auto plot = mnist::read_png(curves);
  CHECK(plot.width == 1200);
  CHECK(plot.height == 960);
  const auto one = shop.drawn({"forward", "--schedule", "linear,cosine"});
  CHECK(has_cells(one, 2, 11, 2));
}

TEST_CASE("images are drawn by the seed or taken by their number", "[mnist][edit]") {
  const editing_workshop shop;
  const std::vector<std::string> words{"forward", "--schedule", "linear", "--columns", "2"};
  const auto drawn = [&](const std::string& count, const std::string& seed) {
    const auto picture = shop.drawn(words, {"--count", count, "--seed", seed});
    std::vector<int> shades;
    for (std::size_t row = 0; row < picture.height / 57; ++row)
      shades.push_back(cell(picture, row, 0, 2)[0] / 17);
    return shades;
  };
  auto all = drawn("12", "1");
  CHECK(all != drawn("12", "2"));
  const auto few = drawn("3", "1");
  CHECK(std::equal(few.begin(), few.end(), all.begin()));
  std::sort(all.begin(), all.end());
  for (int i = 0; i < 12; ++i) CHECK(all.at(static_cast<std::size_t>(i)) == i);
}

TEST_CASE("wrong images and options of editing give one line and status 2", "[mnist][edit]") {
  const editing_workshop shop;
  const auto broken = shop.folder.write("broken.png", "abc").string();
  const auto small = (shop.folder / "small.png").string(), nowhere = (shop.folder / "none/x").string();
  mnist::write_png(small, {.width = 2, .height = 1, .pixels = {1, 2}});
  const std::vector<std::pair<std::vector<std::string>, std::string>> table{
      {{"denoise", "--image", nowhere}, nowhere + ": not found"},
      {{"denoise", "--image", broken}, broken + ": "},
      {{"denoise", "--image", small}, small + ": 2 x 1 pixels, must be 28 x 28"},
      {{"denoise", "--index", "12"}, "index = 12, must be at most 11"},
      {{"denoise", "--index", "-1"}, "--index: -1 is negative"},
      {{"denoise", "--count", "13"}, "count = 13, must be at most 12"},
      {{"denoise", "--noise", "0"}, "noise = 0, must be in (0, "},
      {{"denoise", "--noise", "inf"}, "noise = inf, must be in (0, "},
      {{"denoise", "--steps", "0"}, "steps = 0, allowed: [1, "},
      {{"denoise", "--eta", "2"}, "eta = 2, allowed: [0, 1]"},
      {{"denoise", "--class", "10"}, "class = 10, must be in 0..9"},
      {{"denoise", "--out", nowhere}, "cannot write " + nowhere},
      {{"interpolate", "--index", "1"}, "1 images, must be 2"},
      {{"interpolate", "--time", "61"}, "t = 61, allowed: [0, 60]"},
      {{"interpolate", "--time", "0"}, "time = 0, must be in 1..60"},
      {{"interpolate", "--columns", "1"}, "--columns"},
      {{"interpolate", "--encode", "x"}, "encode = \"x\", must be one of forward, ddim"},
      {{"interpolate", "--mix", "x"}, "mix = \"x\", must be one of linear, sphere"},
      {{"inpaint", "--mask", "x"}, "mask = \"x\", must be one of left, right, top, bottom, centre, random"},
      {{"inpaint", "--mask-image", small}, small + ": 2 x 1 pixels"},
      {{"inpaint", "--mask-image", small, "--mask", "left"}, "--mask"},
      {{"inpaint", "--label", "x"}, "label = \"x\", must be one of none, true"},
      {{"inpaint", "--steps", "61"}, "steps = 61, allowed: [1, 60]"},
      {{"inpaint", "--jump-length", "0"}, "jump_length = 0"},
      {{"inpaint", "--jump-n-sample", "0"}, "jump_n_sample = 0"},
      {{"forward", "--schedule", "x"}, "schedule = \"x\", must be one of cosine"},
      {{"forward", "--steps", "0"}, "steps = 0, must be in 1..100000"},
      {{"forward", "--curves", nowhere}, "cannot write " + nowhere},
      {{"forward", "--curves", shop.picture, "--schedule", "jsd,jsd,jsd,jsd,jsd,jsd"}, "6 schedules"},
  };
  for (const auto& [words, message] : table) {
    const bool says_out = std::find(words.begin(), words.end(), "--out") != words.end();
    auto all = words;
    if (words[0] != "forward") all = joined(all, {"--weights", shop.weights});
    all = joined(all, {"--data", shop.data});
    if (!says_out) all = joined(all, {"--out", shop.picture});
    const auto result = run(all);
    INFO(message << " / " << result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, message));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
  CHECK(!std::filesystem::exists(shop.picture));
}
