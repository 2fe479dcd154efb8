// `mnist predict`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "commands/commands.hpp"
#include "commands/load_options.hpp"
#include "commands/progress.hpp"
#include "commands/shared_options.hpp"
#include "io/atomic_file.hpp"
#include "io/safetensors.hpp"
#include "nn/parallel.hpp"

namespace mnist {
namespace {

struct predict_settings {
  std::string weights = MNIST_DIR "/weights/mnist.safetensors", inputs, out;
  load_options load;
  double tolerance = 1e-4;
  int threads = available_threads();
};

/// Where the network is evaluated, and what it should answer.
struct evaluation_points {
  int n = 0, image = 0;
  std::vector<float> x{}, t{};
  std::vector<double> classes{};   // as stored; empty: null class
  std::vector<double> expected{};  // empty: unknown
};

/// Throws std::runtime_error naming the tensor that is missing or of another shape than this.
const tensor_entry& require_tensor(const safetensors_file& file, const std::string& name,
                                   const std::vector<std::size_t>& shape) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) throw std::runtime_error("no tensor \"" + name + "\"");
  if (found->second.shape != shape)
    throw std::runtime_error("tensor \"" + name + "\" has the shape " +
                             nlohmann::json(found->second.shape).dump() + ", must be " +
                             nlohmann::json(shape).dump());
  return found->second;
}

evaluation_points get_points(const safetensors_file& file) {
  const auto x = file.tensors.find("x");
  if (x == file.tensors.end()) throw std::runtime_error("no tensor \"x\"");
  const auto& shape = x->second.shape;
  constexpr std::size_t largest = 256;  // activations take a thousand times the memory of the image
  if (shape.size() != 4 || shape[0] > std::numeric_limits<int>::max() || shape[1] != 1 || shape[2] < 1 ||
      shape[2] > largest || shape[3] != shape[2])
    throw std::runtime_error("tensor \"x\" has the shape " + nlohmann::json(shape).dump() +
                             ", must be [n, 1, h, h] with h in 1.." + std::to_string(largest));
  evaluation_points points{.n = static_cast<int>(shape[0]), .image = static_cast<int>(shape[2])};
  points.x = detail::finite_values("x", x->second);
  points.t = detail::finite_values("t", require_tensor(file, "t", {shape[0]}));
  if (file.tensors.contains("class")) points.classes = require_tensor(file, "class", {shape[0]}).as<double>();
  if (file.tensors.contains("y")) points.expected = require_tensor(file, "y", shape).as<double>();
  return points;
}

/// The labels for the network; none where there are none. Throws std::runtime_error for one out of range.
std::vector<int> get_labels(const evaluation_points& points, int classes) {
  std::vector<int> labels;
  if (classes == 0 && !points.classes.empty())
    throw std::runtime_error("holds a tensor \"class\", but the network has no classes");
  for (const double label : points.classes) {
    if (!(label >= 0 && label <= classes && label == std::floor(label)))
      throw std::runtime_error("class[" + std::to_string(labels.size()) +
                               "] = " + nlohmann::json(label).dump() + ", must be a whole number in 0.." +
                               std::to_string(classes) + ", the last for no class");
    labels.push_back(static_cast<int>(label));
  }
  return labels;
}

/// Throws std::runtime_error where the matrices of attention between all pixels would not fit into memory.
void require_modest_attention(const unet_config& c) {
  int level = c.levels() - 1;
  bool any = c.mid_attn;
  for (const int i : c.attn) {
    level = std::min(level, i);
    any = true;
  }
  const std::size_t edge = static_cast<std::size_t>(c.image >> level), pixels = edge * edge;
  constexpr std::size_t most = std::size_t{1} << 25;  // floats for each image: 1 GiB in a chunk
  if (any && pixels * pixels > most / static_cast<std::size_t>(c.heads))
    throw std::runtime_error("attention between " + std::to_string(pixels) + " pixels with " +
                             std::to_string(c.heads) + " heads takes too much memory");
}

/// Evaluates the network. Returns the exit status: 0, or 1 if the inputs say what to expect and it is not
/// that. Throws what files and options throw.
int run_predict(predict_settings s, const console& to) {
  if (!s.out.empty()) require_writable(s.out);
  const auto points = detail::with_file(s.inputs, [](const auto& file) { return get_points(file); });
  if (s.out.empty() && points.expected.empty())
    throw std::invalid_argument("nothing to do: give --out, or inputs with the expected outputs \"y\"");
  s.load.image = points.image;
  auto net = load_network(s.weights, s.load);
  require_modest_attention(net.config());
  net.set_threads(s.threads);
  std::vector<int> labels;
  try {
    labels = get_labels(points, net.config().classes);
  } catch (const std::exception& error) {
    throw std::runtime_error(s.inputs + ": " + error.what());
  }

  progress report(to);
  std::vector<float> y(points.x.size());
  const int block = unet<float>::chunk * s.threads;
  for (int first = 0; first < points.n; first += std::min(block, points.n - first)) {
    const auto at = static_cast<std::size_t>(first);
    const std::size_t pixel = at * static_cast<std::size_t>(points.image * points.image);
    net.forward(std::min(block, points.n - first), points.x.data() + pixel, points.t.data() + at,
                labels.empty() ? nullptr : labels.data() + at, y.data() + pixel);
    if (report.due()) report.show("image " + std::to_string(first) + "/" + std::to_string(points.n));
  }
  report.clear();

  const auto edge = static_cast<std::size_t>(points.image);
  to.out << "network     " << net.values().size() << " parameters\nimages      " << points.n << " of "
         << points.image << " x " << points.image << " pixels\n";
  if (!s.out.empty()) {
    safetensors_file file;
    file.tensors["y"] = make_tensor({static_cast<std::size_t>(points.n), 1, edge, edge}, y);
    write_safetensors(s.out, file);
    to.out << "outputs     " << s.out << '\n';
  }
  double difference = 0;
  for (std::size_t i = 0; i < points.expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(y[i]) - points.expected[i]);
    if (!(d <= difference)) difference = d;  // keeps NaN
  }
  if (!points.expected.empty())
    to.out << "difference  " << difference << ", allowed: " << s.tolerance << '\n';
  to.out << std::flush;
  return difference <= s.tolerance ? 0 : 1;
}

}  // namespace

void add_predict(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<predict_settings>();
  auto* predict = app.add_subcommand("predict", "Evaluate a network on given images and times");
  predict->add_option("--weights", s->weights, "Trained network");
  predict
      ->add_option("--inputs", s->inputs,
                   "Safetensors: x [n, 1, h, h], t [n] counted from 0, class [n] (optional; the number of "
                   "classes means none); expected outputs y (optional)")
      ->required();
  predict->add_option("--out", s->out, "File for the outputs y (safetensors)")->default_str("none");
  predict
      ->add_option("--tolerance", s->tolerance,
                   "Largest difference from the expected outputs; above: exit status 1")
      ->check(CLI::NonNegativeNumber);
  add_threads(*predict, s->threads);
  add_quiet(*predict, to);
  add_network_options(*predict, s->load);
  choose_if_given(*predict, chosen, [s, &to] { return run_predict(*s, to); });
}

}  // namespace mnist
