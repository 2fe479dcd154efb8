// Options of a training run, its log and its picture; all of it bit-identical after resuming.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/loss_weight.hpp"
#include "loss_curve.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"
#include "training.hpp"
#include "training_log.hpp"

namespace {

using namespace program_runs;

/// Twelve images of one grey each.
mnist::labelled_images grey_images() {
  mnist::labelled_images data{{12, 28, 28, {}}, {}};
  for (int i = 0; i < 12; ++i) {
    data.images.pixels.insert(data.images.pixels.end(), 28 * 28, static_cast<std::uint8_t>(20 * i));
    data.labels.push_back(static_cast<std::uint8_t>(i % 10));
  }
  return data;
}

/// Five steps of the smallest network with a batch of more than one chunk, and every option that costs
/// anything.
mnist::training_options full_training() {
  mnist::training_options options;
  options.images = 58;
  options.batch = 12;
  options.warmup = 2;
  options.weight_decay = 0.1;
  options.dropout = 0.3;
  options.weighting = "min-snr";
  options.process.steps = 50;
  options.network = {.base = 4, .mults = {1, 1}, .groups = 2, .mid_attn = false, .classes = 10};
  return options;
}

/// Checkpoint and weights of a whole run.
struct ending {
  std::string checkpoint, weights;
  bool operator==(const ending&) const = default;
};
ending finish(mnist::trainer& run) {
  const temporary_folder folder;
  while (!run.done()) run.advance();
  run.save(folder / "c");
  run.save_average(folder / "w");
  return {read_bytes(folder / "c"), read_bytes(folder / "w")};
}
ending trained(const mnist::training_options& options) {
  mnist::trainer run(options, grey_images());
  run.net().set_threads(1);
  return finish(run);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// A row without its two columns of times.
std::string untimed(std::string line) {
  for (int i = 0; i < 2; ++i) line.resize(line.rfind(','));
  return line;
}

}  // namespace

TEST_CASE("a run with every option is equal to the bit after resuming and for any number of threads",
          "[mnist][training]") {
  const temporary_folder folder;
  const auto path = folder / "part";
  const ending whole = trained(full_training());
  for (const int stop : {1, 3, 5}) {
    INFO("stopped after step " << stop);
    {
      mnist::trainer part(full_training(), grey_images());
      part.net().set_threads(1 + stop % 3);
      while (part.step() < stop) part.advance();
      part.save(path);
    }
    auto rest = mnist::trainer::resume(path, grey_images());
    rest.net().set_threads(2);
    CHECK(finish(rest) == whole);
  }
}

TEST_CASE("every option of training matters", "[mnist][training]") {
  const ending whole = trained(full_training());
  const auto changed = [&](auto change) {
    auto options = full_training();
    change(options);
    return trained(options).weights != whole.weights;
  };
  CHECK(!changed([](auto&) {}));
  CHECK(changed([](auto& o) { o.images = 48; }));
  CHECK(changed([](auto& o) { o.weight_decay = 0; }));
  CHECK(changed([](auto& o) { o.dropout = 0; }));
  CHECK(changed([](auto& o) { o.weighting = "plain"; }));
  CHECK(changed([](auto& o) { o.min_snr_gamma = 1; }));
  CHECK(changed([](auto& o) { o.decay = "none"; }));
  CHECK(changed([](auto& o) { o.warmup = 3; }));
  CHECK(changed([](auto& o) { o.ema = 0.2; }));
  CHECK(changed([](auto& o) { o.clip = 0.01; }));
  CHECK(changed([](auto& o) { o.seed = 2; }));
}

TEST_CASE("dropout of a run is another in every step", "[mnist][training]") {
  mnist::batch_source batches(grey_images(), {.steps = 50}, {.size = 12});
  batches.draw(0);
  CHECK(batches.first_sample() == 0);
  batches.draw(7);
  CHECK(batches.first_sample() == 84);
}

TEST_CASE("a number of images decides the number of steps", "[mnist][training]") {
  auto options = full_training();
  CHECK(mnist::trainer(options, grey_images()).total_steps() == 5);  // 58 of 12, rounded up
  options.images = 60;
  CHECK(mnist::trainer(options, grey_images()).total_steps() == 5);
  options.images = 1;
  CHECK(mnist::trainer(options, grey_images()).total_steps() == 1);
  options.images = 0;
  options.epochs = 3;
  CHECK(mnist::trainer(options, grey_images()).total_steps() == 3);
}

TEST_CASE("min-SNR weights belong to the noise level of each image", "[mnist][training]") {
  for (const auto& [name, kind] : mnist::predictions) {
    const mnist::process_config process{.prediction = std::string(name), .steps = 50};
    mnist::batch_source batches(grey_images(), process, {.size = 12, .min_snr_gamma = 3});
    batches.draw(2);
    REQUIRE(batches.weights() != nullptr);
    for (int i = 0; i < 12; ++i) {
      const auto level = process.make_schedule().level(static_cast<int>(batches.times()[i]) + 1);
      CHECK(batches.weights()[i] == diffusion::output_weight(kind, level, diffusion::min_snr_weights(level, 3)));
    }
  }
  CHECK(mnist::batch_source(grey_images(), {.steps = 50}, {.size = 12}).weights() == nullptr);
}

TEST_CASE("without decay the learning rate stays at its peak", "[mnist][training]") {
  CHECK(mnist::learning_rate_factor(0, 100, 10, mnist::lr_decay::none) == Approx(0.1));
  CHECK(mnist::learning_rate_factor(10, 100, 10, mnist::lr_decay::none) == 1);
  CHECK(mnist::learning_rate_factor(99, 100, 10, mnist::lr_decay::none) == 1);
  auto options = full_training();
  options.decay = "none";
  mnist::trainer run(options, grey_images());
  CHECK(run.advance().lr == options.lr / 2);
  while (run.step() < 4) run.advance();
  CHECK(run.advance().lr == options.lr);
}

TEST_CASE("a history of losses keeps the mean of every point", "[mnist][training]") {
  mnist::loss_history history(4100);
  REQUIRE(history.interval() == 3);
  for (int step = 0; step < 4100; ++step) {
    CHECK(history.points(step) == history.sums().size());
    history.add(step, step);
  }
  const auto means = history.means(4100);
  REQUIRE(means.size() == 1367);
  CHECK(means[0] == 1);
  CHECK(means[1365] == 4096);
  CHECK(means[1366] == 4098.5);  // of two steps
  CHECK(mnist::loss_history(2000).interval() == 1);
  CHECK(mnist::loss_history(2001).interval() == 2);
}

TEST_CASE("a broken history of losses is refused", "[mnist][training]") {
  const temporary_folder folder;
  const auto path = folder / "c";
  mnist::trainer run(full_training(), grey_images());
  run.advance();
  run.advance();
  run.save(path);
  const auto good = mnist::read_safetensors(path);
  const auto refusal = [&](const std::vector<double>& sums) {
    auto file = good;
    file.tensors.at("loss_history") = mnist::make_tensor<double>({sums.size()}, sums);
    mnist::write_safetensors(path, file);
    return message_of([&] { (void)mnist::trainer::resume(path, grey_images()); });
  };
  CHECK(refusal({1, 2}).empty());
  CHECK(contains(refusal({1, 2, 3}), "c: tensor \"loss_history\" does not hold 2 finite numbers"));
  CHECK(contains(refusal({1}), "\"loss_history\""));
  CHECK(contains(refusal({1, NAN}), "\"loss_history\""));
  auto file = good;
  file.tensors.erase("loss_history");
  mnist::write_safetensors(path, file);
  CHECK(
      contains(message_of([&] { (void)mnist::trainer::resume(path, grey_images()); }), "no tensor \"loss_h"));
}

TEST_CASE("smoothing keeps lines and ends", "[mnist][training]") {
  const std::vector<double> line{1, 2, 3, 4, 5}, peak{0, 0, 9, 0, 0};
  CHECK(mnist::smoothed(line, 2) == line);
  CHECK(mnist::smoothed(peak, 1) == std::vector<double>{0, 3, 3, 3, 0});
  CHECK(mnist::smoothed(peak, 0) == peak);
  CHECK(mnist::smoothed({}, 3).empty());
}

TEST_CASE("a log has a row for each step and continues without gaps or repetitions", "[mnist][training]") {
  const workshop shop;
  const auto log = (shop.folder / "log.csv").string(), checkpoint = (shop.folder / "w.checkpoint").string();
  REQUIRE(shop.train({"--log", log}).status == 0);
  const auto whole = lines_of(read_bytes(log));
  REQUIRE(whole.size() == 7);
  CHECK(whole[0] == mnist::training_log::header);
  for (std::size_t step = 1; step <= 6; ++step) {
    CHECK(whole[step].starts_with(std::to_string(step) + "," + std::to_string(4 * step) + ","));
    CHECK(std::count(whole[step].begin(), whole[step].end(), ',') == 6);
  }

  const auto stopped = shop.train({"--log", log}, "step 3/6");
  REQUIRE(stopped.status == 130);
  CHECK(contains(stopped.out, " --log " + log + "\n"));
  REQUIRE(lines_of(read_bytes(log)).size() == 4);
  // As if it had gone on after the checkpoint, and was killed while it wrote a row.
  std::ofstream(log, std::ios::app) << "4,16,1,1,1,7,1\n5,20,1,1,1,8,1\n6,24,0.";
  const auto resumed =
      run({"train", "--resume", checkpoint, "--data", shop.data, "--out", shop.weights, "--log", log});
  INFO(resumed.out << resumed.err);
  REQUIRE(resumed.status == 0);
  const auto both = lines_of(read_bytes(log));
  REQUIRE(both.size() == 7);
  for (std::size_t i = 1; i < 7; ++i) CHECK(untimed(both[i]) == untimed(whole[i]));
  const auto seconds = [&](std::size_t i) {
    auto line = both[i];
    line.resize(line.rfind(','));
    return std::stod(line.substr(line.rfind(',') + 1));
  };
  for (std::size_t i = 2; i < 7; ++i) CHECK(seconds(i) >= seconds(i - 1));
}

TEST_CASE("a log does not touch a file that is none", "[mnist][training]") {
  const temporary_folder folder;
  const auto open = [&](const std::string& text) {
    const auto path = folder.write("l.csv", text);
    const auto message = message_of([&] { const mnist::training_log log(path, 2); });
    if (!message.empty()) CHECK(read_bytes(path) == text);
    return message;
  };
  const std::string header = std::string(mnist::training_log::header) + '\n';
  CHECK(open("").empty());
  CHECK(open(header).empty());
  CHECK(open(header + "1,4,1,nan,1,1,inf\n").empty());
  CHECK(contains(open("name,age\n"), "l.csv: exists and is not the log of a training"));
  CHECK(contains(open(header + "1,4,1,1,1,1,1\nx,8,1,1,1,1,1\n"), "l.csv: line 3 is not that of a step"));
  for (const auto* row : {"1,2,3", "1,4,1,1,1,1,1,1", "", "1,4,1,1,1,,1", "1.5,4,1,1,1,1,1",
                          "1,4,1,1,1,nan,1", "99999999999999999999,4,1,1,1,1,1"})
    CHECK(contains(open(header + row + "\n"), "l.csv: line 2 is not that of a step"));
  // The last one was not finished, so it is no row.
  CHECK(open(header + "1,4,1,1,1,1,1\n2,8").empty());
  CHECK(read_bytes(folder / "l.csv") == header + "1,4,1,1,1,1,1\n");
}

TEST_CASE("the picture of the loss is the same after resuming, goes where it is asked, or nowhere",
          "[mnist][training]") {
  const workshop shop;
  const auto beside = shop.folder / "w_loss.png", elsewhere = shop.folder / "l.png";
  REQUIRE(shop.train().status == 0);
  const auto picture = read_bytes(beside);
  CHECK(picture.substr(1, 3) == "PNG");
  std::filesystem::remove(beside);

  const auto stopped = shop.train({"--loss-curve", elsewhere.string()}, "step 3/6");
  REQUIRE(stopped.status == 130);
  CHECK(contains(stopped.out, " --loss-curve " + elsewhere.string() + "\n"));
  CHECK(!std::filesystem::exists(elsewhere));
  REQUIRE(run({"train", "--resume", (shop.folder / "w.checkpoint").string(), "--data", shop.data, "--out",
               shop.weights, "--loss-curve", elsewhere.string()})
              .status == 0);
  CHECK((read_bytes(elsewhere) == picture));
  CHECK(!std::filesystem::exists(beside));

  const auto without = shop.train({"--loss-curve", ""}, "step 3/6");
  REQUIRE(without.status == 130);
  CHECK(contains(without.out, " --loss-curve \"\"\n"));
  REQUIRE(shop.train({"--loss-curve", ""}).status == 0);
  CHECK(!std::filesystem::exists(beside));
}

TEST_CASE("weights in 16 bits are those in 32, rounded, and draw digits", "[mnist][training]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const auto full = mnist::read_safetensors(shop.weights);
  const auto stopped = shop.train({"--half"}, "step 3/6");
  REQUIRE(stopped.status == 130);
  CHECK(contains(stopped.out, " --half\n"));
  REQUIRE(shop.train({"--half"}).status == 0);
  const auto half = mnist::read_safetensors(shop.weights);
  CHECK(half.metadata == full.metadata);
  REQUIRE(half.tensors.size() == full.tensors.size());
  for (const auto& [name, tensor] : half.tensors) {
    INFO(name);
    CHECK(tensor.type == mnist::dtype::f16);
    const auto found = tensor.as<float>(), exact = full.tensors.at(name).as<float>();
    REQUIRE(found.size() == exact.size());
    for (std::size_t i = 0; i < found.size(); ++i)  // 11 significant bits; below 2^-14 multiples of 2^-24
      REQUIRE(std::abs(found[i] - exact[i]) <= std::max(0x1p-11F * std::abs(exact[i]), 0x1p-25F));
  }
  CHECK(run({"sample", "--weights", shop.weights, "--n", "2", "--steps", "2", "--out",
             (shop.folder / "p.png").string()})
            .status == 0);
}

TEST_CASE("rounding to 16 bits is to nearest, ties to even, and never to infinity", "[mnist][training]") {
  mnist::parameter_layout layout;
  layout.add("p", {4}, {});
  const auto stored = [&](std::vector<float> values) {
    mnist::safetensors_file file;
    mnist::put_half_parameters(file, layout, values);
    return file.tensors.at("p").as<float>();
  };
  CHECK(stored({1 + 0x1p-11F, 1 + 0x3p-11F, 1 + 0x1.002p-11F, -65504}) ==
        std::vector<float>{1, 1 + 0x1p-9F, 1 + 0x1p-10F, -65504});
  CHECK(stored({65519, 0x1p-24F, 0x1p-25F, -0.0F}) == std::vector<float>{65504, 0x1p-24F, 0, 0});
  CHECK(contains(message_of([&] { stored({0, 0, -65520, 0}); }), "\"p\" holds -65520.0, F16 ends at 65504"));
}

TEST_CASE("checkpoints come as often as asked and do not depend on when", "[mnist][training]") {
  const workshop shop;
  const auto checkpoint = shop.folder / "w.checkpoint";
  REQUIRE(shop.train().status == 0);
  const auto last = read_bytes(checkpoint);
  for (const auto* every : {"1", "4", "100"}) {
    std::filesystem::remove(checkpoint);
    REQUIRE(shop.train({"--checkpoint-every", every}).status == 0);
    CHECK((read_bytes(checkpoint) == last));
  }
}

TEST_CASE("wrong options of training say what is allowed", "[mnist][training]") {
  const workshop shop;
  const auto folder = shop.folder.path().string();
  const std::vector<std::pair<std::vector<std::string>, std::string>> table{
      {{"--images", "8"}, "--epochs excludes --images"},
      {{"--resume", "x", "--dropout", "0"}, "--resume excludes --"},
      {{"--weighting", "snr"}, "weighting = \"snr\", must be one of plain, min-snr"},
      {{"--min-snr-gamma", "3"}, "min-snr-gamma is an option of the weighting min-snr alone"},
      {{"--weighting", "min-snr", "--min-snr-gamma", "0"}, "min-snr-gamma = 0, must be positive and finite"},
      {{"--weighting", "min-snr", "--min-snr-gamma", "inf"},
       "min-snr-gamma = inf, must be positive and finite"},
      {{"--dropout", "1"}, "dropout = 1, must be in [0, 1)"},
      {{"--dropout", "-0.1"}, "dropout = -0.1, must be in [0, 1)"},
      {{"--dropout", "nan"}, "dropout = nan, must be in [0, 1)"},
      {{"--weight-decay", "-1"}, "weight-decay = -1, must be at least 0 and finite"},
      {{"--lr-decay", "linear"}, "lr-decay = \"linear\", must be one of cosine, none"},
      {{"--clip", "inf"}, "clip = inf, must be positive and finite"},
      {{"--checkpoint-every", "-1"}, "--checkpoint-every"},
      {{"--log", folder}, "cannot write " + folder},
      {{"--log", shop.weights}, "two files of the name " + shop.weights},
      {{"--loss-curve", shop.weights}, "two files of the name " + shop.weights},
      {{"--loss-curve", folder + "/none/x.png"}, "cannot write " + folder + "/none/x.png"},
  };
  for (const auto& [words, message] : table) {
    const auto result = shop.train(words);
    INFO(message << " / " << result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, message));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
  const auto images = [&](const std::string& count) {
    return run({"train", "--data", shop.data, "--out", shop.weights, "--batch", "4", "--images", count}).err;
  };
  CHECK(contains(images("-1"), "images = -1, must be in 0..1000000000000"));
  CHECK(contains(images("x"), "--images"));
  CHECK(!std::filesystem::exists(shop.weights));
}

TEST_CASE("the program trains for a number of images and says so", "[mnist][training]") {
  const workshop shop;
  const auto result =
      run({"train", "--data", shop.data, "--out", shop.weights, "--images", "14", "--batch", "4", "--base",
           "4", "--mults", "1,1", "--groups", "2", "--no-mid-attn", "--steps", "60", "--quiet"});
  INFO(result.out << result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "steps 0 to 4 with 4 images each"));
  CHECK(!contains(result.out, "images/s"));  // quiet
  const auto loud = shop.train({"--dropout", "0.2", "--weighting", "min-snr", "--min-snr-gamma", "4"});
  CHECK(contains(loud.out, "epoch 2/2  step 6/6"));
  const auto help = run({"train", "--help"}).out;
  for (const auto* part :
       {"--dropout FLOAT=0", "--weighting TEXT=plain", "--min-snr-gamma FLOAT=5", "--images INT=0",
        "--weight-decay FLOAT=0", "--lr-decay TEXT=cosine", "--log TEXT", "--half", "--checkpoint-every",
        "--loss-curve TEXT=as --out, but _loss.png", "Exit status: 0 done; 2"})
    CHECK(contains(help, part));
}
