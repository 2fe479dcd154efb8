// Networks in files: parameters under their names, the configuration as JSON in the metadata.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "infer_config.hpp"
#include "io/safetensors.hpp"
#include "nn/unet.hpp"
#include "process.hpp"

namespace mnist {

/// Adds a flat vector of parameters (or of anything laid out like them) as tensors `prefix` + name.
inline void put_parameters(safetensors_file& file, const std::string& prefix, const parameter_layout& layout,
                           std::span<const float> values) {
  for (const parameter_info& p : layout.entries())
    file.tensors[prefix + p.name] =
        make_tensor({p.shape.begin(), p.shape.end()}, values.subspan(p.offset, p.size));
}

/// The same in F16, rounded to nearest, ties to even. Throws std::runtime_error naming a parameter that holds
/// a number beyond the range of F16.
inline void put_half_parameters(safetensors_file& file, const parameter_layout& layout,
                                std::span<const float> values) {
  for (const parameter_info& p : layout.entries()) {
    std::vector<diffusion::float16> rounded;
    rounded.reserve(p.size);
    for (const float value : values.subspan(p.offset, p.size)) {
      rounded.emplace_back(value);
      if (!std::isfinite(static_cast<float>(rounded.back())))
        throw std::runtime_error("tensor \"" + p.name + "\" holds " + nlohmann::json(value).dump() +
                                 ", F16 ends at 65504");
    }
    file.tensors[p.name] = make_tensor<diffusion::float16>({p.shape.begin(), p.shape.end()}, rounded);
  }
}

namespace detail {

/// A shape without the ones behind the second extent: a 1x1 convolution is stored as [out, in, 1, 1] or as
/// [out, in].
[[nodiscard]] inline std::vector<std::size_t> without_trailing_ones(std::vector<std::size_t> shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  return shape;
}

/// The tensor's numbers; throws std::runtime_error naming it if one is not finite as a float.
[[nodiscard]] inline std::vector<float> finite_values(const std::string& name, const tensor_entry& tensor) {
  auto values = tensor.as<float>();
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
    throw std::runtime_error("tensor " + as_json(name) + " holds a number that is not finite");
  return values;
}

}  // namespace detail

/// Throws std::runtime_error naming the tensor unless the file has every parameter of the layout, with its
/// shape, in floating point.
inline void require_parameters(const safetensors_file& file, const std::string& prefix,
                               const parameter_layout& layout) {
  for (const parameter_info& p : layout.entries()) {
    const std::string name = detail::as_json(prefix + p.name);
    const auto found = file.tensors.find(prefix + p.name);
    if (found == file.tensors.end()) throw std::runtime_error("no tensor " + name);
    const std::vector<std::size_t> shape(p.shape.begin(), p.shape.end());
    if (detail::without_trailing_ones(found->second.shape) != detail::without_trailing_ones(shape))
      throw std::runtime_error("tensor " + name + " has the shape " +
                               nlohmann::json(found->second.shape).dump() + ", the configuration wants " +
                               nlohmann::json(shape).dump());
    if (!is_floating(found->second.type))
      throw std::runtime_error("tensor " + name + " has the dtype " +
                               std::string(info(found->second.type).name) +
                               ", must be F16, BF16, F32 or F64");
  }
}

/// Reads what put_parameters wrote; throws as require_parameters does, and for a value that is not finite.
inline void get_parameters(const safetensors_file& file, const std::string& prefix,
                           const parameter_layout& layout, std::span<float> values) {
  require_parameters(file, prefix, layout);
  for (const parameter_info& p : layout.entries()) {
    const auto stored = detail::finite_values(prefix + p.name, file.tensors.at(prefix + p.name));
    std::copy(stored.begin(), stored.end(), values.subspan(p.offset).begin());
  }
}

/// The JSON value of a metadata key; throws std::runtime_error if the file has none.
[[nodiscard]] inline nlohmann::json get_metadata(const safetensors_file& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end())
    throw std::runtime_error("no \"" + key + "\" in the metadata: not from this program");
  return detail::parse_json(found->second);
}

/// A network of the file's size: a configuration that asks for more than the file holds is refused before
/// anything of that size is allocated. Its values are those of the tensors `prefix` + name.
[[nodiscard]] inline unet<float> get_network(const safetensors_file& file, const std::string& prefix,
                                             const unet_config& config) {
  parameter_layout layout;
  (void)network(config, layout);
  require_parameters(file, prefix, layout);
  unet<float> net(config, 0);
  get_parameters(file, prefix, layout, net.values());
  return net;
}

/// A trained network and the process it was trained for.
struct model {
  unet<float> net;
  process_config process;
};

/// What the metadata of a file may lack. Where they have it they decide, and another value here is an error.
struct load_options {
  std::optional<std::string> prefix{};   ///< of the network's tensors; needed where the file holds several
  std::optional<int> groups{}, heads{};  ///< 8 and 1 if neither the file nor the caller says
  std::optional<int> image{};            ///< edge of the images, whatever the metadata say
  std::optional<std::string> schedule{}, prediction{};
  std::optional<int> train_steps{};    ///< 1000 where the file has no `diffusion`
  std::optional<double> noisy_data{};  ///< 0 where the file does not say
};

namespace detail {

/// Completes the metadata's JSON object; throws std::runtime_error where it already says something else.
template <class T>
void complete(nlohmann::json& object, const std::string& key, const std::optional<T>& value) {
  if (!value) return;
  if (object.contains(key) && object.at(key) != *value)
    throw std::runtime_error("the metadata say " + key + " = " + object.at(key).dump() + ", not " +
                             nlohmann::json(*value).dump());
  object[key] = *value;
}

/// The JSON object of a metadata key, {} if there is none.
inline nlohmann::json metadata_object(const safetensors_file& file, const std::string& key) {
  if (!file.metadata.contains(key)) return nlohmann::json::object();
  auto object = get_metadata(file, key);
  if (!object.is_object()) throw std::runtime_error("metadata \"" + key + "\" is not a JSON object");
  return object;
}

inline unet<float> load_network(const safetensors_file& file, const load_options& options) {
  const std::string prefix = find_prefix(file, options.prefix);
  nlohmann::json config = metadata_object(file, "config");
  complete(config, "groups", options.groups);
  complete(config, "heads", options.heads);
  if (options.image) config["image"] = *options.image;
  nlohmann::json whole = infer_config(file, prefix);
  whole.update(config);
  auto net = get_network(file, prefix, whole.get<unet_config>());
  std::set<std::string> known;
  for (const parameter_info& p : net.layout().entries()) known.insert(prefix + p.name);
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix) && !known.contains(name))
      throw std::runtime_error("more tensors than the configuration wants: " + as_json(name));
  return net;
}

inline process_config load_process(const safetensors_file& file, const load_options& options) {
  auto json = metadata_object(file, "diffusion");
  const bool absent = json.empty();
  complete(json, "schedule", options.schedule);
  complete(json, "prediction", options.prediction);
  complete(json, "steps", options.train_steps);
  complete(json, "noisy_data", options.noisy_data);
  std::string missing;
  const auto require = [&](const char* key, const std::string& option) {
    if (!json.contains(key)) missing += (missing.empty() ? "" : " and ") + option;
  };
  require("prediction", "--prediction");
  require("schedule", "--train-schedule");
  if (!absent) require("steps", "--train-steps");
  if (!missing.empty())
    throw std::runtime_error((absent ? "no" : "incomplete") + std::string(" \"diffusion\" metadata: give ") +
                             missing);
  if (absent && !options.train_steps) json["steps"] = process_config{}.steps;
  auto process = json.get<process_config>();
  (void)process.make_schedule();
  return process;
}

/// f(file at path), with the path in front of any error.
template <class F>
auto with_file(const std::filesystem::path& path, F f) {
  const auto file = mnist::read_safetensors(path);
  try {
    return f(file);
  } catch (const std::exception& error) {
    throw std::runtime_error(path.string() + ": " + error.what());
  }
}

}  // namespace detail

/// Reads a network, from this program or not: what its metadata do not say, the names and shapes of its
/// tensors and the options do. Throws std::runtime_error naming the file and what is wrong with it.
[[nodiscard]] inline unet<float> load_network(const std::filesystem::path& path,
                                              const load_options& options = {}) {
  return detail::with_file(path, [&](const auto& file) { return detail::load_network(file, options); });
}

/// Reads a network for images of 28 x 28 pixels and the process it was trained for. Errors as load_network.
[[nodiscard]] inline model load_model(const std::filesystem::path& path, const load_options& options = {}) {
  return detail::with_file(path, [&](const auto& file) {
    const auto process = detail::load_process(file, options);
    model result{detail::load_network(file, options), process};
    if (result.net.config().image != 28)
      throw std::runtime_error("not a network for images of 28 x 28 pixels");
    return result;
  });
}

/// Writes a model with the given parameters, in F32 or, half as large, in F16: see put_half_parameters.
inline void save_model(const std::filesystem::path& path, const unet_config& config,
                       const parameter_layout& layout, std::span<const float> values,
                       const process_config& process, bool half = false) {
  safetensors_file file;
  half ? put_half_parameters(file, layout, values) : put_parameters(file, "", layout, values);
  file.metadata = {{"config", nlohmann::json(config).dump()}, {"diffusion", nlohmann::json(process).dump()}};
  write_safetensors(path, file);
}

}  // namespace mnist
