// Networks in files: parameters under their names, the configuration as JSON in the metadata.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

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

/// Throws std::runtime_error naming the tensor unless the file has every parameter of the layout, with its
/// shape.
inline void require_parameters(const safetensors_file& file, const std::string& prefix,
                               const parameter_layout& layout) {
  for (const parameter_info& p : layout.entries()) {
    const auto found = file.tensors.find(prefix + p.name);
    if (found == file.tensors.end()) throw std::runtime_error("no tensor \"" + prefix + p.name + "\"");
    const std::vector<std::size_t> shape(p.shape.begin(), p.shape.end());
    if (found->second.shape != shape)
      throw std::runtime_error("tensor \"" + prefix + p.name + "\" has the shape " +
                               nlohmann::json(found->second.shape).dump() + ", the configuration wants " +
                               nlohmann::json(shape).dump());
  }
}

/// Reads what put_parameters wrote; throws as require_parameters does, and for a value that is not finite.
inline void get_parameters(const safetensors_file& file, const std::string& prefix,
                           const parameter_layout& layout, std::span<float> values) {
  require_parameters(file, prefix, layout);
  for (const parameter_info& p : layout.entries()) {
    const auto stored = file.tensors.at(prefix + p.name).as<float>();
    if (!std::all_of(stored.begin(), stored.end(), [](float x) { return std::isfinite(x); }))
      throw std::runtime_error("tensor \"" + prefix + p.name + "\" holds a number that is not finite");
    std::copy(stored.begin(), stored.end(), values.subspan(p.offset).begin());
  }
}

/// The JSON value of a metadata key; throws std::runtime_error if the file has none.
[[nodiscard]] inline nlohmann::json get_metadata(const safetensors_file& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end())
    throw std::runtime_error("no \"" + key + "\" in the metadata: not from this program");
  return nlohmann::json::parse(found->second);
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

/// Reads a model. Throws std::runtime_error naming the file and what is wrong with it.
[[nodiscard]] inline model load_model(const std::filesystem::path& path) {
  const auto file = read_safetensors(path);
  try {
    const auto process = get_metadata(file, "diffusion").get<process_config>();
    (void)process.make_schedule();
    model result{get_network(file, "", get_metadata(file, "config").get<unet_config>()), process};
    if (result.net.layout().entries().size() != file.tensors.size())
      throw std::runtime_error("more tensors than the configuration wants");
    if (result.net.config().image != 28)
      throw std::runtime_error("not a network for images of 28 x 28 pixels");
    return result;
  } catch (const std::exception& error) {
    throw std::runtime_error(path.string() + ": " + error.what());
  }
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
