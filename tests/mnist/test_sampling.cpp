// Drawing with every sampler of the table, and the pictures of it.
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "diffusion/sample.hpp"
#include "generate.hpp"
#include "io/apng.hpp"
#include "program_runs.hpp"
#include "samplers.hpp"
#include "support/catch.hpp"
#include "support/plan.hpp"
#include "temporary_folder.hpp"

namespace {

using namespace program_runs;

void nothing(const mnist::drawing_step&) {}

/// Width, height and pixels of a PNG as libpng reads it.
mnist::grey_image read_png(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()));
  mnist::grey_image picture{.width = image.width, .height = image.height, .pixels = {}};
  REQUIRE(image.format == PNG_FORMAT_GRAY);
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  REQUIRE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr));
  return picture;
}

struct chunk {
  std::string type, content;
};

std::uint32_t number_at(const std::string& bytes, std::size_t at, int length = 4) {
  std::uint32_t value = 0;
  for (int i = 0; i < length; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<std::size_t>(i)));
  return value;
}

/// The chunks of a PNG, their checksums verified.
std::vector<chunk> chunks_of(const std::string& png) {
  REQUIRE(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  std::vector<chunk> chunks;
  for (std::size_t at = 8; at < png.size();) {
    const std::size_t length = number_at(png, at);
    const std::string checked = png.substr(at + 4, length + 4);
    REQUIRE(checked.size() == length + 4);
    REQUIRE(number_at(png, at + 8 + length) ==
            ::crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size())));
    chunks.push_back({checked.substr(0, 4), checked.substr(4)});
    at += length + 12;
  }
  return chunks;
}

/// The frames of an animated PNG as PNGs, after a check of its structure.
std::vector<std::string> frames_of(const std::string& apng, std::vector<std::uint32_t>& milliseconds) {
  const auto chunks = chunks_of(apng);
  REQUIRE(chunks.size() >= 5);
  CHECK(chunks[0].type == "IHDR");
  CHECK(chunks[1].type == "acTL");
  CHECK(chunks[2].type == "IDAT");  // no fcTL before: the default image is no frame
  CHECK(chunks.back().type == "IEND");
  std::uint32_t sequence = 0, frames = 0;
  std::vector<std::string> data;
  for (const auto& [type, content] : chunks) {
    if (type == "fcTL") {
      CHECK(content.size() == 26);
      CHECK(number_at(content, 0) == sequence++);
      CHECK(content.substr(4, 8) == chunks[0].content.substr(0, 8));  // the size of the whole
      CHECK(content.substr(12, 8) == std::string(8, '\0'));
      CHECK(number_at(content, 22, 2) == 1000);
      CHECK(content.substr(24) == std::string(2, '\0'));
      milliseconds.push_back(number_at(content, 20, 2));
      data.emplace_back();
      ++frames;
    } else if (type == "fdAT") {
      REQUIRE(!data.empty());
      CHECK(number_at(content, 0) == sequence++);
      data.back() += content.substr(4);
    }
  }
  CHECK(number_at(chunks[1].content, 0) == frames);
  CHECK(number_at(chunks[1].content, 4) == 0);
  std::vector<std::string> pngs;
  const auto bytes_of = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
  };
  for (const auto& frame : data) {
    std::string png = "\x89PNG\r\n\x1a\n";
    for (const auto& [type, content] : {chunks[0], chunk{"IDAT", frame}, chunk{"IEND", ""}}) {
      const std::string checked = type + content;
      png += bytes_of(static_cast<std::uint32_t>(content.size())) + checked +
             bytes_of(static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                                                         static_cast<uInt>(checked.size()))));
    }
    pngs.push_back(png);
  }
  return pngs;
}

mnist::process_config trained() { return {}; }

/// Evaluations of a run of n steps from noise to clean data, where a last step of more than one evaluation
/// takes one.
std::size_t promised_evaluations(const std::string& sampler, std::size_t n) {
  static const std::map<std::string, std::size_t> twice{
      {"heun", 1},      {"dpm2", 1},     {"dpm2_ancestral", 1}, {"edm_vp", 1}, {"dpmpp_2s_ancestral", 1},
      {"dpmpp_sde", 1}, {"flow_heun", 1}};
  if (twice.count(sampler) == 1) return 2 * n - 1;
  if (sampler == "langevin_corrected") return 2 * n;
  if (sampler == "annealed_langevin") return 5 * n + 1;
  if (sampler == "pndm") return n + 1;
  if (sampler == "dpm_fast") return 3 * n - 2;
  return n;
}

}  // namespace

TEST_CASE("every sampler draws finite images with the evaluations that it promises", "[mnist][sampling]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  auto model = mnist::load_model(shop.weights);
  const std::vector<int> labels{3, 8};
  for (const auto& [name, row] : mnist::samplers)
    for (const auto& [spacing, points] : mnist::spacings) {
      INFO(name << " over " << spacing);
      const mnist::generate_options options{
          .sampler = std::string(name), .spacing = std::string(spacing), .steps = 4, .guidance = 2};
      std::size_t looks = 0, stages = 0;
      // One spacing is enough for the network; the others are planned.
      const std::size_t promised = promised_evaluations(std::string(name), 4);
      CHECK(mnist::evaluations(model, options) == 2 * promised);
      if (spacing != "karras") continue;
      const auto images = mnist::generate(model, options, 2, labels, [&](const mnist::drawing_step& step) {
        CHECK(step.stage_index() == looks++);
        stages = step.stages();
      });
      CHECK(looks == promised);
      CHECK(stages == promised);
      CHECK(std::all_of(images.begin(), images.end(), [](float x) { return std::isfinite(x); }));
    }
}

TEST_CASE("every sampler around a perfect network has the moments of its plan", "[mnist][sampling]") {
  // So many steps that also annealed Langevin dynamics stays within the clipping.
  const support::gaussian data{.mean = 0.1, .deviation = 0.15};  // six deviations within the clipping
  const support::perfect_network network{data, diffusion::prediction::v};
  const auto ask = [&](std::size_t, diffusion::rows<const float> x, const diffusion::path_point& at,
                       diffusion::rows<float> out) { network(x, at, out); };
  constexpr std::size_t count = 24, size = count * 28 * 28;
  for (const auto& [name, row] : mnist::samplers) {
    INFO(name);
    const auto plan =
        mnist::plan_for(trained(), {.sampler = std::string(name), .spacing = "karras", .steps = 40});
    const auto values = mnist::draw(plan, diffusion::prediction::v, ask, count, 1, nothing);
    const auto expected = support::moments_of(plan, data, {0, {{0, 1}}});
    double mean = 0, variance = 0;
    for (const float x : values) mean += static_cast<double>(x) / size;
    for (const float x : values) variance += (x - mean) * (x - mean) / size;
    // Five deviations of the estimates.
    CHECK(std::abs(mean - expected.mean) <= 5 * std::sqrt(expected.variance / size));
    CHECK(std::abs(variance - expected.variance) <= 5 * expected.variance * std::sqrt(2.0 / size));
  }
}

TEST_CASE("along another schedule the network is told its own time of the same noise", "[mnist][sampling]") {
  const auto own = diffusion::continuous(trained().make_schedule());
  for (const std::string schedule : {"linear", "exponential", "jsd"}) {
    const auto plan = mnist::plan_for(
        trained(), {.sampler = "heun", .schedule = schedule, .spacing = "trailing", .steps = 10});
    const auto along = mnist::by_name("schedule", schedule, mnist::schedules)(1000);
    for (const auto& stage : plan.stages) {
      INFO(schedule << ", told " << stage.eval.t);
      const double wanted = diffusion::noise_to_signal(stage.eval.level);
      // jsd starts from pure noise: its network is told T.
      if (std::isinf(wanted))
        CHECK(stage.eval.t == 1000);
      else  // the logarithm is interpolated: rounding of ln and exp
        CHECK(diffusion::noise_to_signal(own.level(stage.eval.t)) == Approx(wanted).epsilon(1e-12));
    }
    // The levels are those of the schedule that was asked for.
    CHECK(plan.stages.front().from.level == along.level(1000));
  }
  // The network's own schedule by name is no other one.
  const auto plan = mnist::plan_for(
      trained(), {.sampler = "ddim", .schedule = "cosine", .spacing = "trailing", .steps = 10});
  for (std::size_t k = 0; k < 10; ++k) CHECK(plan.stages[k].eval.t == 1000 - 100 * double(k));
}

TEST_CASE("a sampler refuses options that it does not have", "[mnist][sampling]") {
  const auto error = [](const mnist::generate_options& options) {
    return message_of([&] { (void)mnist::plan_for(trained(), options); });
  };
  CHECK(contains(error({.sampler = "heun", .eta = 1}), "eta is no option of heun, but of ddim, "));
  CHECK(contains(error({.sampler = "ddim", .order = 2}), "order is no option of ddim, but of lms, "));
  CHECK(contains(error({.sampler = "ddim", .churn = 2}), "churn is no option of ddim, but of euler, heun, "));
  CHECK(contains(error({.sampler = "unipc", .order = 9}), "order = 9, allowed: [1, 8]"));
  CHECK(contains(error({.sampler = "heun", .churn = -1}), "churn = -1, allowed: [0, inf)"));
  CHECK(contains(error({.schedule = "cosin"}), "schedule = \"cosin\", must be one of cosine"));
  CHECK(contains(error({.spacing = "karras", .steps = 1001}), "steps = 1001, allowed: [1, 1000]"));
  CHECK(contains(error({.spacing = "karras", .steps = 0}), "steps = 0, allowed: [1, 1000]"));
  // An option that is given is not the default.
  const auto noise = [](const mnist::generate_options& options) {
    return mnist::plan_for(trained(), options).stages.front().next.now.noise;
  };
  CHECK(noise({.sampler = "ddim", .eta = 1}) > noise({.sampler = "ddim", .eta = 0.5}));
  CHECK(noise({.sampler = "ddim", .eta = 0.5}) > noise({.sampler = "ddim"}));
  CHECK(mnist::plan_for(trained(), {.sampler = "lms", .order = 2}).slots <
        mnist::plan_for(trained(), {.sampler = "lms"}).slots);
}

TEST_CASE("images are drawn in blocks as if at once", "[mnist][sampling]") {
  constexpr std::size_t rest = 8, count = mnist::drawing_block + rest, pixels = 28 * 28;
  const auto plan = mnist::plan_for(trained(), {.sampler = "ddpm", .steps = 2});
  const support::perfect_network network{support::gaussian{}, diffusion::prediction::v};
  std::vector<std::size_t> firsts, sizes;
  const auto in_blocks = mnist::draw(
      plan, diffusion::prediction::v,
      [&](std::size_t first, diffusion::rows<const float> x, const auto& at, diffusion::rows<float> out) {
        firsts.push_back(first);
        sizes.push_back(x.count());
        network(x, at, out);
      },
      count, 5, nothing);
  CHECK(firsts == std::vector<std::size_t>{0, 0, mnist::drawing_block, mnist::drawing_block});
  CHECK(sizes == std::vector<std::size_t>{mnist::drawing_block, mnist::drawing_block, rest, rest});

  std::vector<float> at_once(count * pixels);
  const diffusion::rows<float> x(at_once, count);
  const diffusion::philox_normal noise{5};
  diffusion::draw_noise(noise, 0, 0, x);
  diffusion::workspace<float> work;
  diffusion::sample(plan, diffusion::predicts(diffusion::prediction::v, network), noise, x, work,
                    {.x0 = diffusion::x0_clip{}});
  CHECK((in_blocks == at_once));

  // A block is shown its own labels.
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  auto model = mnist::load_model(shop.weights);
  const auto second_block = [&](int first_label, int second_label) {
    std::vector<int> labels(count, first_label);
    std::fill(labels.end() - rest, labels.end(), second_label);
    auto images = mnist::generate(model, {.steps = 1}, count, labels, nothing);
    images.erase(images.begin(), images.begin() + mnist::drawing_block * pixels);
    return images;
  };
  const auto threes = second_block(3, 3);
  CHECK((second_block(5, 3) == threes));
  CHECK((second_block(3, 5) != threes));
}

TEST_CASE("an animated PNG shows its frames, and the last one where nothing moves", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder / "a.png";
  std::vector<mnist::animation_frame> frames;
  for (std::uint8_t k = 0; k < 3; ++k)
    frames.push_back({{.width = 2, .height = 1, .pixels = {k, static_cast<std::uint8_t>(200 - k)}},
                      static_cast<std::uint16_t>(100 + 300 * k)});
  mnist::write_apng(path, frames);
  const auto bytes = read_bytes(path);
  CHECK(read_png(bytes).pixels == frames.back().picture.pixels);
  std::vector<std::uint32_t> milliseconds;
  const auto pngs = frames_of(bytes, milliseconds);
  CHECK(milliseconds == std::vector<std::uint32_t>{100, 400, 700});
  REQUIRE(pngs.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) CHECK(read_png(pngs[k]).pixels == frames[k].picture.pixels);
  CHECK_THROWS_AS(mnist::write_apng(path, {}), std::invalid_argument);
  frames[1].picture = {.width = 1, .height = 2, .pixels = {1, 2}};
  CHECK_THROWS_AS(mnist::write_apng(path, frames), std::invalid_argument);
  CHECK((read_bytes(path) == bytes));
}

TEST_CASE("the program writes a grid, files, a strip and an animation of the same run", "[mnist][sampling]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const auto at = [&](const std::string& name) { return (shop.folder / name).string(); };
  const std::vector<std::string> words{"sample",
                                       "--weights",
                                       shop.weights,
                                       "--n",
                                       "5",
                                       "--class",
                                       "3",
                                       "1",
                                       "4",
                                       "--steps",
                                       "4",
                                       "--sampler",
                                       "heun",
                                       "--columns",
                                       "2",
                                       "--scale",
                                       "1",
                                       "--out",
                                       at("p.png"),
                                       "--files",
                                       at("digits"),
                                       "--strip",
                                       at("strip.png"),
                                       "--animation",
                                       at("a.png")};
  const auto drawn = run(words);
  INFO(drawn.out << drawn.err);
  REQUIRE(drawn.status == 0);
  CHECK(contains(drawn.out, "evaluations  14 for each of 5 digits"));
  const auto picture = read_png(read_bytes(at("p.png")));
  CHECK(picture.width == 2 * 29 + 1);
  CHECK(picture.height == 3 * 29 + 1);
  // A file holds the pixels of its place in the grid.
  const std::vector<std::string> names{"0000_3.png", "0001_1.png", "0002_4.png", "0003_3.png", "0004_1.png"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto digit = read_png(read_bytes(shop.folder / "digits" / names[i]));
    REQUIRE(digit.pixels.size() == 28 * 28);
    for (std::size_t y = 0; y < 28; ++y)
      for (std::size_t x = 0; x < 28; ++x)
        REQUIRE(digit.pixels[y * 28 + x] ==
                picture.pixels[(1 + i / 2 * 29 + y) * picture.width + 1 + i % 2 * 29 + x]);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(at("digits")), {}) == 5);
  const auto strip = read_png(read_bytes(at("strip.png")));  // 7 evaluations, two lines for each digit
  CHECK(strip.width == 7 * 57 + 1);
  CHECK(strip.height == 10 * 57 + 1);

  const auto animation = read_bytes(at("a.png"));
  CHECK(read_png(animation).pixels == picture.pixels);
  std::vector<std::uint32_t> milliseconds;
  const auto of_x0 = frames_of(animation, milliseconds);
  REQUIRE(of_x0.size() == 8);
  CHECK(milliseconds == std::vector<std::uint32_t>{80, 80, 80, 80, 80, 80, 80, 2000});
  CHECK(read_png(of_x0.back()).pixels == picture.pixels);
  REQUIRE(run(joined(words, {"--show", "state"})).status == 0);
  const auto of_state = frames_of(read_bytes(at("a.png")), milliseconds);
  CHECK(read_png(of_state.front()).pixels != read_png(of_x0.front()).pixels);
  CHECK(read_png(of_state.back()).pixels == picture.pixels);

  for (const auto& [more, message] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--show", "noise"}, "show = \"noise\", must be one of x0, state"},
           {{"--n", "513"}, "n = 513, allowed with an animation: [1, 512]"},
           {{"--class", "3", "10"}, "class = 10, must be in 0..9"},
           {{"--columns", "0"}, "--columns"},
           {{"--scale", "9"}, "--scale"},
           {{"--order", "9"}, "--order"},
           {{"--files", shop.weights}, shop.weights}}) {
    auto changed = words;
    const auto found = std::find(changed.begin(), changed.end(), more[0]);
    if (found != changed.end()) {
      const auto end =
          std::find_if(found + 1, changed.end(), [](const auto& w) { return w.starts_with("--"); });
      changed.erase(found, end);
    }
    const auto result = run(joined(changed, more));
    INFO(message << " / " << result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, message));
  }
}
