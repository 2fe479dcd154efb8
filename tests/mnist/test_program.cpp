#include <algorithm>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "generate.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"
#include "training.hpp"

namespace {

using namespace program_runs;

mnist::labelled_images training_images() {
  return mnist::read_idx_pair(MNIST_DIR "/data/t10k-images-idx3-ubyte.gz",
                              MNIST_DIR "/data/t10k-labels-idx1-ubyte.gz");
}

/// The smallest network, five steps an epoch of four images.
mnist::training_options small_training() {
  mnist::training_options options;
  options.epochs = 2;
  options.batch = 4;
  options.warmup = 3;
  options.limit = 22;
  options.process.steps = 50;
  options.network = {.base = 4, .mults = {1, 1}, .groups = 2, .mid_attn = false, .classes = 10};
  return options;
}

}  // namespace

TEST_CASE("a training that was saved and resumed ends with the same bytes", "[mnist][program]") {
  const temporary_folder folder;
  mnist::trainer whole(small_training(), training_images());
  REQUIRE(whole.total_steps() == 10);
  while (!whole.done()) whole.advance();
  whole.save(folder / "whole");
  whole.save_average(folder / "whole_weights");

  for (const int stop : {0, 1, 5, 7, 10}) {
    INFO("stopped after step " << stop);
    {
      mnist::trainer part(small_training(), training_images());
      part.net().set_threads(1 + stop % 2);
      while (part.step() < stop) part.advance();
      part.save(folder / "part");
    }
    auto rest = mnist::trainer::resume(folder / "part", training_images());
    while (!rest.done()) rest.advance();
    rest.save(folder / "rest");
    rest.save_average(folder / "rest_weights");
    CHECK((read_bytes(folder / "rest") == read_bytes(folder / "whole")));
    CHECK((read_bytes(folder / "rest_weights") == read_bytes(folder / "whole_weights")));
  }
}

TEST_CASE("a checkpoint does not continue with other images or broken contents", "[mnist][program]") {
  const temporary_folder folder;
  mnist::trainer trained(small_training(), training_images());
  trained.advance();
  const auto path = folder / "c.checkpoint";
  trained.save(path);
  const auto good = mnist::read_safetensors(path);
  const auto refusal = [&](const mnist::safetensors_file& file, mnist::labelled_images images) {
    mnist::write_safetensors(path, file);
    return message_of([&] { (void)mnist::trainer::resume(path, std::move(images)); });
  };
  CHECK(refusal(good, training_images()).empty());

  auto other = training_images();
  other.images.pixels[500] ^= 1;
  CHECK(contains(refusal(good, other), "c.checkpoint: was trained on other images"));

  auto file = good;
  file.tensors.erase("adam.m/stem.bias");
  CHECK(contains(refusal(file, training_images()), "c.checkpoint: no tensor \"adam.m/stem.bias\""));
  file = good;
  file.tensors.at("ema/stem.bias") = mnist::make_tensor({4}, std::vector<float>{0, 0, NAN, 0});
  CHECK(contains(refusal(file, training_images()), "\"ema/stem.bias\" holds a number that is not finite"));
  file = good;
  file.metadata.at("step") = "11";
  CHECK(contains(refusal(file, training_images()), "step 11, must be in 0..10"));
  file = good;
  file.metadata.erase("training");
  CHECK(contains(refusal(file, training_images()), "no \"training\" in the metadata"));
  file = good;
  file.metadata.at("training") = "{";
  CHECK(contains(refusal(file, training_images()), "parse error"));
  file = good;
  auto options = nlohmann::json::parse(file.metadata.at("training"));
  options["network"]["base"] = 1024;
  options["network"]["mults"] = {64, 64};  // 100 GB, if it were believed
  file.metadata.at("training") = options.dump();
  CHECK(contains(refusal(file, training_images()), "the configuration wants"));
}

TEST_CASE("a model file that does not fit its own configuration is refused", "[mnist][program]") {
  const temporary_folder folder;
  const auto path = folder / "m.safetensors";
  mnist::trainer(small_training(), training_images()).save_average(path);
  const auto good = mnist::read_safetensors(path);
  const auto refusal = [&](auto change) {
    auto file = good;
    change(file);
    mnist::write_safetensors(path, file);
    return message_of([&] { (void)mnist::load_model(path); });
  };
  const auto with = [&](const std::string& key, const std::string& field, const nlohmann::json& value) {
    return refusal([&](mnist::safetensors_file& file) {
      auto json = nlohmann::json::parse(file.metadata.at(key));
      json[field] = value;
      file.metadata.at(key) = json.dump();
    });
  };
  CHECK(refusal([](auto&) {}).empty());
  CHECK(contains(refusal([](auto& file) { file.metadata.clear(); }), "m.safetensors: no \"diffusion\""));
  CHECK(contains(refusal([](auto& file) { file.metadata["config"] = "7"; }), "\"config\" is not a JSON"));
  CHECK(contains(refusal([](auto& file) { file.metadata["diffusion"] = "{}"; }), "schedule"));
  CHECK(contains(refusal([](auto& file) { file.tensors.erase("stem.bias"); }), "no tensor \"stem.bias\""));
  CHECK(contains(refusal([](auto& file) { file.tensors["x"] = file.tensors["stem.bias"]; }), "more tensors"));
  CHECK(contains(refusal([](auto& file) {
                   file.tensors["stem.bias"] = mnist::make_tensor({4}, std::vector<float>{0, 0, INFINITY, 0});
                 }),
                 "\"stem.bias\" holds a number that is not finite"));
  CHECK(contains(with("config", "base", 1024), "the configuration wants"));
  CHECK(contains(with("config", "base", -4), "base = -4"));
  CHECK(contains(with("config", "image", 14), "28 x 28"));
  CHECK(contains(with("config", "colour", 1), "colour"));
  CHECK(contains(with("diffusion", "schedule", "x"), "schedule = \"x\", must be one of cosine"));
  CHECK(contains(with("diffusion", "steps", 2000000000), "steps = 2000000000, must be in 1..100000"));
  CHECK(contains(with("diffusion", "prediction", 3), "type must be string"));
}

TEST_CASE("no damaged model file crashes the program", "[mnist][program]") {
  const temporary_folder folder;
  const auto path = folder / "m.safetensors";
  mnist::trainer(small_training(), training_images()).save_average(path);
  const std::string valid = read_bytes(path);
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = valid;
    bytes[8 + random() % 4000] = static_cast<char>(random() & 127);  // in the header
    folder.write("m.safetensors", bytes);
    try {
      (void)mnist::load_model(path);
    } catch (const std::runtime_error&) {
      ++refused;
    }
  }
  CHECK(refused > 450);  // almost every character of the header matters
}

TEST_CASE("a batch depends on the seed and the step alone", "[mnist][program]") {
  const mnist::process_config process{.steps = 50};
  const mnist::batch_options options{.size = 8, .seed = 3, .drop_labels = 0.5};
  mnist::batch_source straight(training_images(), process, options),
      jumping(training_images(), process, options);
  for (int step = 0; step <= 1251; ++step) straight.draw(static_cast<std::uint64_t>(step));
  jumping.draw(1251);  // the second step of the second epoch of 1250
  CHECK(std::equal(straight.x_t(), straight.x_t() + 8 * 784, jumping.x_t()));
  CHECK(std::equal(straight.labels(), straight.labels() + 8, jumping.labels()));
  mnist::batch_source other(training_images(), process, {.size = 8, .seed = 4, .drop_labels = 0.5});
  other.draw(1251);
  CHECK(!std::equal(straight.x_t(), straight.x_t() + 8 * 784, other.x_t()));
}

TEST_CASE("a perfect answer to a batch gives back its clean images", "[mnist][program]") {
  const auto images = training_images();
  const auto order = mnist::detail::image_order(1, 0, images.images.count);
  for (const auto& [name, kind] : mnist::predictions) {
    const mnist::process_config process{.prediction = std::string(name), .steps = 50};
    mnist::batch_source batches(images, process, {.size = 50});
    batches.draw(1);
    double worst = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      const int t = static_cast<int>(batches.times()[i]) + 1;
      CHECK(t == static_cast<int>(i) + 1);
      const auto level = process.make_schedule().level(t);
      if (kind == diffusion::prediction::epsilon && level.alpha < 0.01)
        continue;  // the division by alpha magnifies rounding
      const auto map = diffusion::x0_map(kind, level);
      const std::size_t image = order[50 + i];
      CHECK(batches.labels()[i] == images.labels[image]);
      for (std::size_t j = i * 784; j < (i + 1) * 784; ++j) {
        const double clean = images.images.pixels[image * 784 + j - i * 784] / 127.5 - 1;
        worst = std::max(worst, std::abs(map(double{batches.x_t()[j]}, double{batches.target()[j]}) - clean));
      }
    }
    // Floats below 8 in size are off by at most 2^-22, twice, divided by alpha >= 0.01.
    INFO(name);
    CHECK(worst < 2 * 0x1p-22 / 0.01);
  }
}

TEST_CASE("an epoch shows every image once, times spread evenly, labels dropped as asked",
          "[mnist][program]") {
  const mnist::process_config process{.steps = 50};
  mnist::batch_source batches(training_images(), process, {.size = 100, .seed = 1, .drop_labels = 0.1});
  REQUIRE(batches.per_epoch() == 100);
  std::vector<int> kept(11), times(50);
  for (std::uint64_t step = 0; step < 100; ++step) {
    batches.draw(step);
    for (int i = 0; i < 100; ++i) {
      ++kept[static_cast<std::size_t>(batches.labels()[i])];
      ++times[static_cast<std::size_t>(batches.times()[i])];
    }
  }
  // 10,000 draws with probability 0.1: standard deviation 30, five of them a false alarm in 2 million.
  CHECK(kept[10] == Approx(1000).margin(150));
  // 100 equal parts of 50 times: exactly two of each time in each batch.
  CHECK(times == std::vector<int>(50, 200));
  auto order = mnist::detail::image_order(1, 0, 10000);
  CHECK(order != mnist::detail::image_order(1, 1, 10000));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) REQUIRE(order[i] == i);
}

TEST_CASE("the learning rate rises linearly and falls like half a cosine", "[mnist][program]") {
  CHECK(mnist::learning_rate_factor(0, 100, 10) == Approx(0.1));
  CHECK(mnist::learning_rate_factor(9, 100, 10) == Approx(1));
  CHECK(mnist::learning_rate_factor(10, 100, 10) == Approx(1));
  CHECK(mnist::learning_rate_factor(55, 100, 10) == Approx(0.5));
  CHECK(mnist::learning_rate_factor(99, 100, 10) == Approx(0).margin(4e-4));  // (pi/90)^2 / 4 = 3e-4
  CHECK(mnist::learning_rate_factor(0, 100, 0) == Approx(1));
}

TEST_CASE("the program trains and samples", "[mnist][program]") {
  const workshop shop;
  const auto trained = shop.train();
  INFO(trained.out << trained.err);
  REQUIRE(trained.status == 0);
  CHECK(contains(trained.out, "step 6/6"));
  CHECK(contains(trained.out, "weights: " + shop.weights));
  const auto weights = mnist::read_safetensors(shop.weights);
  CHECK(nlohmann::json::parse(weights.metadata.at("config"))["classes"] == 10);
  CHECK(nlohmann::json::parse(weights.metadata.at("diffusion")) ==
        nlohmann::json({{"schedule", "cosine"}, {"prediction", "v"}, {"steps", 60}}));

  const auto picture = (shop.folder / "p.png").string(), strip = (shop.folder / "s.png").string();
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{},
                                             {"--sampler", "ddpm"},
                                             {"--eta", "1"},
                                             {"--guidance", "1"},
                                             {"--class", "7"},
                                             {"--spacing", "linspace"}}) {
    const auto sampled = run(joined(
        {"sample", "--weights", shop.weights, "--n", "3", "--steps", "4", "--out", picture, "--strip", strip},
        options));
    INFO(sampled.out << sampled.err);
    REQUIRE(sampled.status == 0);
    CHECK(contains(sampled.out, picture));
    CHECK(contains(sampled.out, options == std::vector<std::string>{"--guidance", "1"} ? "evaluations  4 "
                                                                                       : "evaluations  8 "));
    CHECK(read_bytes(picture).substr(1, 3) == "PNG");
    CHECK(read_bytes(strip).substr(1, 3) == "PNG");
  }
}

TEST_CASE("a picture depends on the seed and not on the threads", "[mnist][program]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const auto drawn = [&](const std::vector<std::string>& more) {
    const auto picture = (shop.folder / "p.png").string();
    REQUIRE(run(joined({"sample", "--weights", shop.weights, "--n", "20", "--steps", "2", "--eta", "1",
                        "--out", picture},
                       more))
                .status == 0);
    return read_bytes(picture);
  };
  const auto picture = drawn({"--threads", "1"});
  CHECK((drawn({"--threads", "3"}) == picture));
  CHECK((drawn({"--seed", "2"}) != picture));
}

TEST_CASE("an image keeps its noise whatever is drawn beside it", "[mnist][program]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  auto model = mnist::load_model(shop.weights);
  const mnist::generate_options options{.steps = 3, .eta = 1, .guidance = 2};
  const auto nothing = [](const auto&) {};
  // Multiples of the network's chunk: products of other shapes round differently.
  constexpr std::size_t few = mnist::unet<float>::chunk, many = 3 * few;
  const std::vector<int> labels(many, 3);
  const auto a = mnist::generate(model, options, many, labels, nothing);
  const auto b = mnist::generate(model, options, few, std::span(labels).first(few), nothing);
  CHECK(std::equal(b.begin(), b.end(), a.begin()));
  CHECK(!std::equal(b.begin(), b.end(), a.begin() + static_cast<std::ptrdiff_t>(b.size())));
}

TEST_CASE("a network without classes takes no labels and no guidance", "[mnist][program]") {
  const workshop shop;
  REQUIRE(shop.train({"--unconditional"}).status == 0);
  const auto with = [&](const std::vector<std::string>& more) {
    return run(joined({"eval", "--weights", shop.weights, "--n", "20", "--steps", "2"}, more));
  };
  CHECK(with({}).status == 0);
  CHECK(!contains(with({}).out, "label agreement"));
  CHECK(contains(with({"--guidance", "2"}).err, "mnist: guidance = 2"));
  const auto picture = (shop.folder / "p.png").string();
  CHECK(contains(run({"sample", "--weights", shop.weights, "--class", "3", "--out", picture}).err,
                 "class = 3"));
}

TEST_CASE("a signal ends a training with a checkpoint that continues it", "[mnist][program]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const auto uninterrupted = read_bytes(shop.weights);
  std::filesystem::remove(shop.weights);

  const auto checkpoint = (shop.folder / "w.checkpoint").string();
  const auto stopped = shop.train({}, "step 3/6");
  INFO(stopped.out << stopped.err);
  REQUIRE(stopped.status == 130);
  CHECK(contains(stopped.out, "interrupted after step 3; to continue:\n  mnist train --resume " + checkpoint +
                                  " --out " + shop.weights));
  CHECK(!std::filesystem::exists(shop.weights));
  const auto resumed = run({"train", "--resume", checkpoint, "--out", shop.weights, "--data", shop.data});
  INFO(resumed.out << resumed.err);
  REQUIRE(resumed.status == 0);
  CHECK((read_bytes(shop.weights) == uninterrupted));
}

TEST_CASE("wrong options and files give one line and status 2", "[mnist][program]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const std::string nowhere = (shop.folder / "none/x").string();
  const auto broken = shop.folder.write("broken", "abc").string();
  const std::string no_model = MNIST_DIR "/classifier/lenet.safetensors";
  const auto picture = (shop.folder / "p.png").string();
  struct mistake {
    std::vector<std::string> words;
    std::string message;
  };
  const std::vector<mistake> table{
      {{}, "no command given; commands: train, sample, eval"},
      {{"draw"}, "unknown command or option \"draw\"; commands: train, sample, eval"},
      {{"draw", "train"}, "unknown command or option \"draw\""},
      {{"train", "--epoch", "3"}, "--epoch"},
      {{"train", "--epochs"}, "--epochs"},
      {{"train", "--epochs", "many"}, "--epochs"},
      {{"train", "--epochs", "0"}, "epochs = 0, must be in 1..1000000"},
      {{"train", "--batch", "0"}, "batch = 0, must be at least 1"},
      {{"train", "--lr", "0"}, "lr = 0, must be positive"},
      {{"train", "--lr", "nan"}, "lr = nan, must be positive"},
      {{"train", "--ema", "1"}, "ema = 1, must be in [0, 1)"},
      {{"train", "--clip", "-1"}, "clip = -1, must be positive"},
      {{"train", "--drop-labels", "2"}, "drop-labels = 2, must be in [0, 1]"},
      {{"train", "--seed", "-1"}, "--seed: -1 is negative"},
      {{"train", "--limit", "13"}, "limit = 13, must be at most 12"},
      {{"train", "--batch", "13"}, "12 images do not fill a batch of 13"},
      {{"train", "--threads", "0"}, "--threads"},
      {{"train", "--schedule", "cosin"}, "schedule = \"cosin\", must be one of cosine, linear, quadratic"},
      {{"train", "--prediction", "eps"}, "prediction = \"eps\", must be one of v, epsilon, x0"},
      {{"train", "--schedule", "jsd", "--prediction", "epsilon"}, "alpha = 0"},
      {{"train", "--steps", "0"}, "steps = 0, must be in 1..100000"},
      {{"train", "--base", "5"}, "base = 5, must be even"},
      {{"train", "--up", "sideways"}, "up = \"sideways\""},
      {{"train", "--mults", "1,x"}, "--mults"},
      {{"train", "--data", nowhere}, nowhere},
      {{"train", "--out", nowhere}, "cannot write " + nowhere},
      {{"train", "--out", shop.data}, "not a regular file"},
      {{"train", "--out", picture + ".checkpoint"}, "its own checkpoint"},
      {{"train", "--resume", nowhere}, nowhere + ": not found"},
      {{"train", "--resume", broken}, broken + ": shorter than 8 bytes"},
      {{"train", "--resume", shop.weights}, shop.weights + ": no \"training\" in the metadata"},
      {{"train", "--resume", broken, "--batch", "3"}, "--resume excludes --batch"},
      {{"sample", "--weights", nowhere}, nowhere + ": not found"},
      {{"sample", "--weights", broken}, broken + ": shorter than 8 bytes"},
      {{"sample", "--weights", no_model}, no_model + ": no \"diffusion\" metadata"},
      {{"sample", "--n", "0"}, "--n"},
      {{"sample", "--sampler", "eule"}, "sampler = \"eule\", must be one of ddim, ddpm"},
      {{"sample", "--spacing", "even"}, "spacing = \"even\", must be one of trailing, linspace, leading"},
      {{"sample", "--spacing", "trailing", "--steps", "61"}, "steps = 61, allowed: [1, 60]"},
      {{"sample", "--sampler", "ddim", "--eta", "2"}, "eta = 2, allowed: [0, 1]"},
      {{"sample", "--eta", "0.5", "--sampler", "ddpm"}, "eta is no option of ddpm, but of ddim, euler_ancestral"},
      {{"sample", "--class", "10"}, "class = 10, must be in 0..9"},
      {{"sample", "--guidance", "inf"}, "guidance = inf"},
      {{"sample", "--out", nowhere}, "cannot write " + nowhere},
      {{"sample", "--strip", nowhere}, "cannot write " + nowhere},
      {{"eval", "--classifier", shop.weights}, shop.weights + ": no tensor \"conv1.weight\""},
      {{"eval", "--data", nowhere}, nowhere + "/train-images-idx3-ubyte.gz: not found"},
      {{"eval", "--n", "1"}, "n = 1, allowed: 20 up to what"},
      {{"eval", "--n", "20", "--csv", nowhere}, "cannot write " + nowhere},
      {{"eval", "--n", "20", "--csv", broken}, broken + ": has other columns"},
  };
  const auto given = [](const std::vector<std::string>& words, const std::string& option) {
    return std::find(words.begin(), words.end(), option) != words.end();
  };
  for (const auto& [words, message] : table) {
    auto all = words;
    if (!words.empty() && words[0] == "train") {
      if (!given(words, "--data")) all.insert(all.end(), {"--data", shop.data});
      if (!given(words, "--out"))
        all.insert(all.end(), {"--out", (shop.folder / "bad.safetensors").string()});
    } else if (!words.empty() && words[0] != "draw") {
      if (!given(words, "--weights")) all.insert(all.end(), {"--weights", shop.weights});
      if (words[0] == "sample" && !given(words, "--out")) all.insert(all.end(), {"--out", picture});
    }
    const auto result = run(all);
    INFO(message << " / " << result.err);
    CHECK(result.status == 2);
    CHECK(result.err.starts_with("mnist: "));
    CHECK(contains(result.err, message));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.back() == '\n');
  }
  CHECK(!std::filesystem::exists(picture));
  CHECK(!std::filesystem::exists(shop.folder / "bad.safetensors"));
}

TEST_CASE("help shows every option with its default", "[mnist][program]") {
  CHECK(run({"--help"}).status == 0);
  CHECK(contains(run({"--help"}).out, "train"));
  for (const auto& [command, option] :
       std::vector<std::pair<std::string, std::string>>{{"train", "--lr FLOAT=0.002"},
                                                        {"sample", "--steps INT=20"},
                                                        {"eval", "--n INT:INT in [1 - 100000]=2000"}}) {
    const auto help = run({command, "--help"});
    INFO(help.out);
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    CHECK(contains(help.out, option));
  }
}
