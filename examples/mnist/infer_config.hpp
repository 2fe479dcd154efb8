// The network behind the names and shapes of a file's tensors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/safetensors.hpp"
#include "nn/config.hpp"

namespace mnist {

/// What stands in front of the names of a network's tensors: "" or the like of "model." and "w/", found by
/// its first convolution, `stem.weight`. Where there are several networks, `wanted` chooses, else "w/" is
/// taken if it is among them. Throws std::runtime_error if there is none, or no way to choose.
[[nodiscard]] inline std::string find_prefix(const safetensors_file& file,
                                             const std::optional<std::string>& wanted = {}) {
  const std::string first = "stem.weight";
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with(first)) continue;
    const auto prefix = name.substr(0, name.size() - first.size());
    // The end of a word is no prefix: "system.weight".
    if (prefix.empty() || std::string("./:").find(prefix.back()) != std::string::npos)
      prefixes.push_back(prefix);
  }
  const std::string choice = wanted.value_or("w/");
  if (std::find(prefixes.begin(), prefixes.end(), choice) != prefixes.end()) return choice;
  if (wanted || prefixes.empty())
    throw std::runtime_error("no tensor " + detail::as_json(wanted.value_or("") + first));
  if (prefixes.size() == 1) return prefixes[0];
  std::string list;
  for (std::size_t i = 0; i < prefixes.size() && i < 8; ++i)
    list += (i > 0 ? ", " : "") + detail::as_json(prefixes[i]);
  throw std::runtime_error("holds several networks, --prefix must be one of " + list);
}

namespace detail {

/// The tensors of a file as questions about a network.
class named_shapes {
 public:
  named_shapes(const safetensors_file& file, const std::string& prefix) : file_(file), prefix_(prefix) {}

  /// Whether there is any tensor of that layer.
  [[nodiscard]] bool has(const std::string& layer) const {
    const auto at = file_.tensors.lower_bound(prefix_ + layer + ".");
    return at != file_.tensors.end() && at->first.starts_with(prefix_ + layer + ".");
  }

  /// Number of layers `name`.0, `name`.1, ...
  [[nodiscard]] int count(const std::string& name) const {
    int n = 0;
    while (has(name + "." + std::to_string(n))) ++n;
    return n;
  }

  /// First extent of a tensor: a multiple of `unit`, at least `least` and no larger than any configuration
  /// has it.
  [[nodiscard]] int rows(const std::string& name, int least, int unit = 1) const {
    const auto found = file_.tensors.find(prefix_ + name);
    if (found == file_.tensors.end()) throw std::runtime_error("no tensor " + as_json(prefix_ + name));
    const auto& shape = found->second.shape;
    if (shape.empty() || shape[0] < static_cast<std::size_t>(least) || shape[0] > 65537 ||
        shape[0] % static_cast<std::size_t>(unit) != 0)
      throw std::runtime_error("tensor " + as_json(prefix_ + name) + " has the shape " +
                               nlohmann::json(shape).dump() + ", its first extent must be in " +
                               std::to_string(least) + "..65537 and a multiple of " + std::to_string(unit));
    return static_cast<int>(shape[0]);
  }

 private:
  const safetensors_file& file_;
  std::string prefix_;
};

}  // namespace detail

/// The configuration of the network whose tensors are called `prefix` + name. Groups, heads and the size of
/// the images leave no trace in names and shapes: they keep their defaults. The result may be out of range
/// and need not fit all tensors: it fits those it was read from. Throws std::runtime_error naming the tensor
/// that is missing or has no sensible shape.
[[nodiscard]] inline unet_config infer_config(const safetensors_file& file, const std::string& prefix) {
  const detail::named_shapes shapes(file, prefix);
  const auto at = [](const std::string& name, int level) { return name + "." + std::to_string(level); };
  unet_config c;
  c.base = shapes.rows("stem.weight", 1);
  c.emb = shapes.rows("time.fc1.weight", 1);
  c.classes = shapes.has("class_emb") ? shapes.rows("class_emb.weight", 2) - 1 : 0;  // the last is null
  c.mid_attn = shapes.has("mid.attn");
  c.nres = shapes.count("down.0.res");
  c.mults.clear();
  for (int i = 0, levels = shapes.count("down"); i < levels; ++i) {
    c.mults.push_back(shapes.rows(at("down", i) + ".res.0.conv1.weight", 1, c.base) / c.base);
    if (shapes.has(at("down", i) + ".attn")) c.attn.push_back(i);
    if (shapes.has(at("up", i) + ".up.conv")) c.up = "nearest";
    if (shapes.count(at("up", i) + ".res") > c.nres) c.skips = "ddpm";
  }
  return c;
}

}  // namespace mnist
