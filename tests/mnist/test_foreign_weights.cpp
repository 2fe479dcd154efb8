// Networks from elsewhere: other names, types and shapes, no metadata.
#include <sys/resource.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint.hpp"
#include "nn_golden.hpp"
#include "nn_reference.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

namespace {

using namespace program_runs;
using mnist::safetensors_file;
using mnist::unet_config;

const std::string pytorch = MNIST_DIR "/../../tests/mnist/data/pytorch_unet.safetensors";

std::string golden_path(const std::string& name) { return GOLDEN_NN_DIR "/" + name + ".safetensors"; }

/// A network with every kind of layer, its outputs moved away from zero.
mnist::unet<float> some_network(unet_config config) {
  mnist::unet<float> net(std::move(config), 3);
  std::mt19937 engine(1);
  for (float& value : net.values())
    value += static_cast<float>(static_cast<std::int32_t>(engine())) * 0x1p-34f;
  return net;
}

safetensors_file file_of(const mnist::unet<float>& net, const std::string& prefix = "") {
  safetensors_file file;
  mnist::put_parameters(file, prefix, net.layout(), net.values());
  return file;
}

const unet_config tiny{
    .image = 28, .base = 4, .mults = {1, 2}, .emb = 6, .groups = 2, .attn = {1}, .heads = 2, .classes = 3};
const nlohmann::json tiny_process = {{"schedule", "linear"}, {"prediction", "epsilon"}, {"steps", 50}};

/// The file written, read as a network or a model: what load says about it, "" if nothing.
struct refusals {
  temporary_folder folder;
  std::filesystem::path path = folder / "m.safetensors";

  std::string network(const safetensors_file& file, const mnist::load_options& options = {}) const {
    mnist::write_safetensors(path, file);
    return message_of([&] { (void)mnist::load_network(path, options); });
  }
  std::string model(const safetensors_file& file, const mnist::load_options& options = {}) const {
    mnist::write_safetensors(path, file);
    return message_of([&] { (void)mnist::load_model(path, options); });
  }
};

mnist::tensor_entry zeros(std::vector<std::size_t> shape) {
  std::size_t size = 1;
  for (const std::size_t extent : shape) size *= extent;
  return mnist::make_tensor(std::move(shape), std::vector<float>(size));
}

/// The same numbers as 16-bit ones, cut off; or as doubles.
mnist::tensor_entry as_type(const mnist::tensor_entry& tensor, mnist::dtype type) {
  mnist::tensor_entry result{type, tensor.shape, {}};
  for (const float value : tensor.as<float>()) {
    const auto append = [&](const auto& element) {
      const auto bytes = std::as_bytes(std::span(&element, 1));
      result.data.insert(result.data.end(), bytes.begin(), bytes.end());
    };
    const auto bits = std::bit_cast<std::uint32_t>(value);
    // Normal numbers of binary16 only: larger than 2^-14, else zero.
    const std::uint32_t half = std::abs(value) < 0x1p-14f ? 0 : ((bits & 0x7fffffff) - (112U << 23)) >> 13;
    if (type == mnist::dtype::f16) append(static_cast<std::uint16_t>(((bits >> 16) & 0x8000U) | half));
    if (type == mnist::dtype::bf16) append(static_cast<std::uint16_t>(bits >> 16));
    if (type == mnist::dtype::f64) append(static_cast<double>(value));
  }
  return result;
}

}  // namespace

TEST_CASE("a network that PyTorch trained gives PyTorch's outputs", "[mnist][foreign]") {
  const auto result =
      run({"predict", "--weights", pytorch, "--inputs", pytorch, "--groups", "2", "--heads", "2"});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "network     11157 parameters"));
  // With other groups the outputs are others: the check can fail.
  const auto other = run({"predict", "--weights", pytorch, "--inputs", pytorch, "--heads", "2"});
  INFO(other.out << other.err);
  CHECK(other.status == 1);
  CHECK(contains(other.out, "allowed: 0.0001"));
}

TEST_CASE("the reference networks are checked by one command", "[mnist][foreign]") {
  const temporary_folder folder;
  const auto out = folder / "out.safetensors";
  for (const std::string& name : golden::networks) {
    const std::string path = golden_path(name);
    const auto result = run({"predict", "--weights", path, "--inputs", path, "--out", out.string()});
    INFO(result.out << result.err);
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    const auto y = mnist::read_safetensors(out).tensors.at("y"),
               expected = golden::read(name).tensors.at("y");
    CHECK(y.shape == expected.shape);
    CHECK(golden::error(y.as<double>(), expected.as<double>()) <= golden::network_tolerance<float>);
    CHECK(run({"predict", "--weights", path, "--inputs", path, "--tolerance", "0"}).status == 1);
  }
}

TEST_CASE("names and shapes tell the network", "[mnist][foreign]") {
  const unet_config configs[] = {
      tiny,
      {.image = 8, .base = 6, .mults = {3}, .nres = 2, .emb = 24, .mid_attn = false},
      {.image = 8, .base = 4, .mults = {1, 1, 2}, .nres = 2, .emb = 16, .attn = {0, 2}, .up = "nearest"},
      {.image = 8,
       .base = 4,
       .mults = {2, 1},
       .nres = 3,
       .emb = 5,
       .attn = {0},
       .classes = 1,
       .skips = "ddpm"},
      {.image = 8, .base = 4, .mults = {1}, .emb = 16, .mid_attn = false, .skips = "ddpm"},
  };
  for (unet_config config : configs) {
    INFO(nlohmann::json(config).dump());
    const refusals read;
    const auto net = some_network(config);
    const mnist::load_options options{.groups = config.groups, .heads = config.heads, .image = config.image};
    for (const std::string prefix : {"", "model.", "ema/", "state:net.module."}) {
      REQUIRE(read.network(file_of(net, prefix), options).empty());
      const auto loaded = mnist::load_network(read.path, options);
      CHECK(loaded.config() == config);
      CHECK(std::equal(net.values().begin(), net.values().end(), loaded.values().begin()));
    }
  }
}

TEST_CASE("metadata win over shapes and options, and may not contradict them", "[mnist][foreign]") {
  const refusals read;
  auto file = file_of(some_network(tiny));
  const auto with = [&](const nlohmann::json& config, const mnist::load_options& options = {}) {
    file.metadata["config"] = config.dump();
    return read.network(file, options);
  };
  CHECK(with(tiny).empty());
  CHECK(mnist::load_network(read.path).config() == tiny);
  CHECK(with({{"groups", 2}, {"heads", 2}}).empty());  // the rest is in the shapes
  CHECK(mnist::load_network(read.path).config() == tiny);
  CHECK(with({{"groups", 2}}, {.groups = 2, .heads = 2}).empty());
  CHECK(contains(with(tiny, {.groups = 4}), "m.safetensors: the metadata say groups = 2, not 4"));
  CHECK(contains(with({{"base", 8}}),
                 "\"time.fc1.weight\" has the shape [6,4], the configuration wants [6,8]"));
  CHECK(contains(with({{"mid_attn", false}}), "more tensors than the configuration wants: \"mid.attn."));
  CHECK(contains(with({{"classes", 4}}), "\"class_emb.weight\" has the shape [4,6]"));
  CHECK(contains(with({{"up", "nearest"}}), "no tensor \"up.1.up.conv.weight\""));
  CHECK(contains(with({{"skips", "ddpm"}}), "no tensor \"up.0.res.1.norm1.weight\""));
  CHECK(contains(with({{"nres", 2}}), "no tensor \"down.0.res.1.norm1.weight\""));
  CHECK(contains(with({{"attn", {0, 1}}}), "no tensor \"down.0.attn.0.norm.weight\""));
  CHECK(contains(with({{"base", 1024}, {"mults", {64, 64}}}), "the configuration wants"));  // 100 GB
  CHECK(contains(with({{"image", 27}}), "image = 27, must be a multiple of 2"));
  CHECK(contains(with(nlohmann::json::array()), "\"config\" is not a JSON object"));
  file.metadata["config"] = R"({"base": 4, "base": 8})";
  CHECK(contains(read.network(file), "name \"base\" appears twice"));
  file.metadata["config"] = "{\"base\": " + std::string(1000000, '[') + std::string(1000000, ']') +
                            "}";  // would overflow the stack
  CHECK(contains(read.network(file), "nested too deeply"));
}

TEST_CASE("tensors that make no network are refused by name", "[mnist][foreign]") {
  const refusals read;
  const auto good = file_of(some_network(tiny));
  const mnist::load_options options{.groups = 2, .heads = 2};
  REQUIRE(read.network(good, options).empty());
  const auto with = [&](const std::string& name, mnist::tensor_entry tensor) {
    auto file = good;
    file.tensors[name] = std::move(tensor);
    return read.network(file, options);
  };
  const auto without = [&](const std::string& name) {
    auto file = good;
    file.tensors.erase(name);
    return read.network(file, options);
  };
  for (const auto& [name, tensor] : good.tensors) {
    INFO(name);
    if (name == "class_emb.weight")
      CHECK(without(name).empty());  // a network without classes
    else
      CHECK(contains(without(name), "m.safetensors: no tensor \"" + name + "\""));
  }
  CHECK(contains(with("stem.weight", zeros({0, 1, 3, 3})), "\"stem.weight\" has the shape [0,1,3,3]"));
  CHECK(contains(with("stem.weight", zeros({4})), "\"stem.weight\" has the shape [4]"));
  CHECK(contains(with("stem.weight", zeros({3, 1, 3, 3})), "multiple of 3"));
  CHECK(contains(with("stem.weight", zeros({})), "\"stem.weight\" has the shape []"));
  CHECK(contains(with("stem.weight", {mnist::dtype::f32, {std::size_t{1} << 60, 0}, {}}), "1..65537"));
  CHECK(contains(with("class_emb.weight", zeros({1, 6})), "\"class_emb.weight\" has the shape [1,6]"));
  CHECK(contains(with("class_emb.weight", zeros({4, 7})), "the configuration wants [4,6]"));
  CHECK(contains(with("out.conv.weight", zeros({1, 4, 3})), "\"out.conv.weight\" has the shape [1,4,3]"));
  CHECK(contains(with("down.1.down.weight", zeros({8, 8, 3, 3})), "wants: \"down.1.down.weight\""));
  CHECK(contains(with("x", zeros({1})), "more tensors than the configuration wants: \"x\""));
  CHECK(contains(with("stem.bias", {mnist::dtype::u8, {4}, std::vector<std::byte>(4)}),
                 "\"stem.bias\" has the dtype U8"));
  CHECK(contains(with("stem.bias", mnist::make_tensor({4}, std::vector<float>{0, NAN, 0, 0})), "not finite"));
  CHECK(contains(read.network({}), "no tensor \"stem.weight\""));
  CHECK(contains(read.network(good, {.prefix = "ema."}), "no tensor \"ema.stem.weight\""));
  CHECK(contains(with("system.weight", zeros({1})), "wants: \"system.weight\""));  // no prefix "sy"
}

TEST_CASE("a prefix is found among other tensors, or chosen among several", "[mnist][foreign]") {
  const refusals read;
  const mnist::load_options options{.groups = 2, .heads = 2};
  auto file = file_of(some_network(tiny), "model.");
  file.tensors["x"] = zeros({2, 1, 8, 8});
  CHECK(read.network(file, options).empty());
  file.tensors["model.extra"] = zeros({2});
  CHECK(contains(read.network(file, options), "more tensors than the configuration wants: \"model.extra\""));
  file.tensors.erase("model.extra");

  unet_config wider = tiny;
  wider.emb = 7;
  file.tensors.merge(file_of(some_network(wider), "ema.").tensors);
  CHECK(contains(read.network(file, options),
                 "several networks, --prefix must be one of \"ema.\", \"model.\""));
  auto chosen = options;
  chosen.prefix = "ema.";
  CHECK(read.network(file, chosen).empty());
  CHECK(mnist::load_network(read.path, chosen).config().emb == 7);
}

TEST_CASE("weights of any floating type, and 1x1 convolutions as matrices, are read", "[mnist][foreign]") {
  const refusals read;
  const mnist::load_options options{.groups = 2, .heads = 2};
  const auto net = some_network(tiny);
  const auto good = file_of(net);
  for (const auto& [type, error] :
       {std::pair(mnist::dtype::f64, 0.0), {mnist::dtype::bf16, 0x1p-7}, {mnist::dtype::f16, 0x1p-10}}) {
    safetensors_file file;
    for (const auto& [name, tensor] : good.tensors) file.tensors[name] = as_type(tensor, type);
    REQUIRE(read.network(file, options).empty());
    const auto loaded = mnist::load_network(read.path, options);
    for (std::size_t i = 0; i < net.values().size(); ++i) {
      const double wanted = net.values()[i];  // cut off behind 7 or 10 bits
      REQUIRE(std::abs(loaded.values()[i] - wanted) <=
              error * std::abs(wanted) + (error == 0x1p-10 ? 0x1p-14 : 0));
    }
  }
  safetensors_file flat = good, tall = good;
  int changed = 0;
  for (auto& [name, tensor] : flat.tensors)
    if (tensor.shape.size() == 4 && tensor.shape[3] == 1) {
      tensor.shape.resize(2);
      ++changed;
    }
  CHECK(changed > 4);
  for (auto& [name, tensor] : tall.tensors)
    if (tensor.shape.size() == 2 && name.starts_with("time")) tensor.shape.resize(4, 1);
  for (const auto& file : {flat, tall}) {
    REQUIRE(read.network(file, options).empty());
    const auto loaded = mnist::load_network(read.path, options);
    CHECK(std::equal(net.values().begin(), net.values().end(), loaded.values().begin()));
  }
}

TEST_CASE("the process comes from the metadata or from the options, never from nowhere", "[mnist][foreign]") {
  const refusals read;
  auto file = file_of(some_network(tiny));
  file.metadata["config"] = nlohmann::json(tiny).dump();
  CHECK(contains(read.model(file),
                 "m.safetensors: no \"diffusion\" metadata: give --prediction and --train-schedule"));
  CHECK(contains(read.model(file, {.schedule = "linear"}), "metadata: give --prediction"));
  REQUIRE(read.model(file, {.schedule = "linear", .prediction = "epsilon"}).empty());
  const mnist::process_config expected{.schedule = "linear", .prediction = "epsilon", .steps = 1000};
  CHECK((mnist::load_model(read.path, {.schedule = "linear", .prediction = "epsilon"}).process == expected));
  CHECK(contains(read.model(file, {.schedule = "linear", .prediction = "y"}),
                 "prediction = \"y\", must be one"));

  file.metadata["diffusion"] = tiny_process.dump();
  REQUIRE(read.model(file).empty());
  CHECK(mnist::load_model(read.path).process.steps == 50);
  CHECK(read.model(file, {.schedule = "linear", .train_steps = 50}).empty());
  CHECK(contains(read.model(file, {.train_steps = 1000}), "the metadata say steps = 50, not 1000"));
  file.metadata["diffusion"] = R"({"schedule": "linear"})";
  CHECK(contains(read.model(file), "incomplete \"diffusion\" metadata: give --prediction and --train-steps"));
  CHECK(read.model(file, {.prediction = "v", .train_steps = 60}).empty());

  // The same from the command line.
  file.metadata.clear();
  mnist::write_safetensors(read.path, file);
  const std::vector<std::string> draw{"sample", "--weights", read.path.string(),
                                      "--n",    "2",         "--steps",
                                      "2",      "--out",     (read.folder / "p.png").string()};
  CHECK(contains(run(draw).err, "give --prediction and --train-schedule"));
  const auto drawn = run(joined(draw, {"--train-schedule", "linear", "--prediction", "epsilon", "--train-steps",
                                       "60", "--groups", "2", "--heads", "2"}));
  INFO(drawn.err);
  CHECK(drawn.status == 0);
}

TEST_CASE("predict refuses inputs that do not fit, by name", "[mnist][foreign]") {
  const temporary_folder folder;
  const auto weights = (folder / "w").string(), inputs = (folder / "in").string(),
             out = (folder / "out").string();
  auto file = file_of(some_network(tiny));
  file.metadata["config"] = nlohmann::json(tiny).dump();
  mnist::write_safetensors(weights, file);
  safetensors_file good;
  good.tensors["x"] = zeros({3, 1, 6, 6});
  good.tensors["t"] = mnist::make_tensor({3}, std::vector<float>{0, 1.5, 999});
  good.tensors["class"] = mnist::make_tensor({3}, std::vector<float>{0, 2, 3});
  const auto with = [&](const std::string& name, const mnist::tensor_entry& tensor) {
    auto changed = good;
    changed.tensors[name] = tensor;
    mnist::write_safetensors(inputs, changed);
    const auto result = run({"predict", "--weights", weights, "--inputs", inputs, "--out", out});
    CHECK(result.status == (result.err.empty() ? 0 : 2));
    return result.err;
  };
  CHECK(with("x", good.tensors.at("x")).empty());
  CHECK(with("x", zeros({3, 1, 10, 10})).empty());
  CHECK(with("extra", zeros({1})).empty());
  CHECK(
      contains(with("x", zeros({3, 6, 6})), "in: tensor \"x\" has the shape [3,6,6], must be [n, 1, h, h]"));
  CHECK(contains(with("x", zeros({3, 1, 6, 8})), "shape [3,1,6,8]"));
  CHECK(contains(with("x", zeros({3, 1, 257, 257})), "h in 1..256"));
  CHECK(contains(with("x", zeros({0, 1, 0, 0})), "h in 1..256"));
  CHECK(contains(with("x", zeros({3, 1, 7, 7})), "image = 7, must be a multiple of 2"));
  CHECK(contains(with("x", zeros({2, 1, 6, 6})), "in: tensor \"t\" has the shape [3], must be [2]"));
  CHECK(contains(with("x", zeros({1, 1, 256, 256})), "must be [1]"));
  CHECK(contains(with("t", mnist::make_tensor({3}, std::vector<float>{0, INFINITY, 0})),
                 "\"t\" holds a number"));
  CHECK(contains(with("class", mnist::make_tensor({3}, std::vector<float>{0, 4, 0})), "in: class[1] = 4"));
  CHECK(contains(with("class", mnist::make_tensor({3}, std::vector<float>{0.5, 4, 0})), "class[0] = 0.5"));
  CHECK(contains(with("class", mnist::make_tensor({3}, std::vector<float>{0, 0, NAN})), "class[2] = null"));
  CHECK(contains(with("y", zeros({3, 1, 6, 5})), "in: tensor \"y\" has the shape [3,1,6,5]"));

  mnist::write_safetensors(inputs, good);
  CHECK(
      contains(run({"predict", "--weights", weights, "--inputs", inputs}).err, "nothing to do: give --out"));
  CHECK(contains(run({"predict", "--weights", weights}).err, "--inputs is required"));
  auto large = good;
  large.tensors = {{"x", zeros({1, 1, 256, 256})}, {"t", zeros({1})}};
  mnist::write_safetensors(inputs, large);  // 2 heads x (128 x 128)^2 floats: 2 GiB
  CHECK(contains(run({"predict", "--weights", weights, "--inputs", inputs, "--out", out}).err,
                 "too much memory"));
}

TEST_CASE("no damaged file of weights crashes a prediction or makes it take memory", "[mnist][foreign]") {
  const temporary_folder folder;
  const auto weights = (folder / "w").string(), inputs = (folder / "in").string();
  safetensors_file points;
  points.tensors = {{"x", zeros({1, 1, 4, 4})}, {"t", zeros({1})}, {"y", zeros({1, 1, 4, 4})}};
  mnist::write_safetensors(inputs, points);
  auto good = file_of(some_network(tiny), "w/");
  good.metadata["config"] = nlohmann::json(tiny).dump();
  const auto peak = [] {  // KiB
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto before = peak();
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::size_t extents[] = {0, 1, 2, 3, 4, 8, 65536, std::size_t{1} << 31, std::size_t{1} << 62};
  int refused = 0, rounds = 600;
  for (int round = 0; round < rounds; ++round) {
    auto file = good;
    const auto any = [&] {
      return std::next(file.tensors.begin(), static_cast<std::ptrdiff_t>(below(file.tensors.size())));
    };
    switch (round % 6) {
      case 0:  // a shape with the same data, or none
        any()->second = zeros({below(9), below(9), 1, below(2)});
        break;
      case 1: {  // a name of another layer
        auto node = file.tensors.extract(any());
        node.key() = any()->first + (below(2) == 0 ? "x" : "");
        file.tensors.insert(std::move(node));
        break;
      }
      case 2: {  // a field of the configuration
        nlohmann::json config = tiny;
        auto field = std::next(config.begin(), static_cast<std::ptrdiff_t>(below(config.size())));
        const std::uint64_t value = extents[below(std::size(extents))];
        field.value() = below(2) == 0 ? nlohmann::json(value) : nlohmann::json{value, value};
        file.metadata["config"] = config.dump();
        break;
      }
      case 3:  // no configuration, no layer
        file.metadata.clear();
        file.tensors.erase(any());
        break;
      case 4:  // an empty tensor of enormous extents
        any()->second = {
            mnist::dtype::f32, {extents[below(std::size(extents))], std::size_t{1} << 62, 0}, {}};
        break;
      default:
        break;
    }
    mnist::write_safetensors(weights, file);
    std::string bytes = read_bytes(weights);
    if (round % 6 == 5) {  // any byte of the header, or the end
      for (int flips = 0; flips < 3; ++flips) bytes[below(6000)] = static_cast<char>(below(256));
      if (below(2) == 0) bytes.resize(below(bytes.size()));
      folder.write("w", bytes);
    }
    const auto result = run({"predict", "--weights", weights, "--inputs", inputs, "--threads", "1"});
    INFO(round << ' ' << result.err);
    REQUIRE((result.status == 0 || result.status == 1 || result.status == 2));
    REQUIRE(!contains(result.err, "bad_alloc"));
    REQUIRE(!contains(result.err, "length_error"));
    refused += result.status == 2;
  }
  // Groups, heads and image may change without harm, now and then; so may a byte.
  CHECK(refused > rounds * 3 / 4);
  CHECK(peak() - before < 64 * 1024);
}

TEST_CASE("the page on the example shows the script that reads its weights", "[mnist][foreign]") {
  const std::string script = read_bytes(MNIST_DIR "/read_weights.py");
  REQUIRE(!script.empty());
  CHECK(contains(read_bytes(MNIST_DIR "/README.md"), "```python\n" + script + "```\n"));
}
