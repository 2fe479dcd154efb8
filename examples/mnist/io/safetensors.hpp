// The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes,
// row-major and little-endian. https://github.com/huggingface/safetensors
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/tensor.hpp"

namespace mnist {

/// A file's content; names are unique, `metadata` is free text for the writer and the reader.
struct safetensors_file {
  std::map<std::string, tensor_entry> tensors;
  std::map<std::string, std::string> metadata;
};

namespace detail {

/// A name as JSON writes it: quoted, on one line, without control characters.
inline std::string as_json(const std::string& name) { return nlohmann::json(name).dump(); }

/// Parses JSON of at most three levels in which no name appears twice: the parser itself silently keeps the
/// last of two, and what it reads from millions of brackets cannot be printed without overflowing the stack.
inline nlohmann::json parse_json(std::string_view text) {
  using nlohmann::json;
  constexpr int deepest = 3;  // a header: tensors, their fields, a list of extents
  std::array<std::set<std::string>, deepest + 1> names;
  return json::parse(text, [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= deepest) throw std::runtime_error("JSON nested too deeply");
      names[static_cast<std::size_t>(depth) + 1].clear();
    }
    if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      if (!names[static_cast<std::size_t>(depth)].insert(name).second)
        throw std::runtime_error("name " + as_json(name) + " appears twice");
    }
    return true;
  });
}

/// A non-negative integer of the header; JSON numbers such as 1.0 or -1 are none.
inline std::size_t extent(const nlohmann::json& value) {
  if (!value.is_number_unsigned())
    throw std::runtime_error("expected a non-negative integer, got " + value.dump());
  return value.get<std::size_t>();
}

struct placed_tensor {
  std::size_t begin, end;
  std::string name;
  tensor_entry entry;
};

/// One tensor's line of the header, checked against the `available` bytes behind the header.
inline placed_tensor parse_tensor(const std::string& name, const nlohmann::json& line,
                                  std::size_t available) {
  const auto& type_name = line.at("dtype").get_ref<const std::string&>();
  const auto type = std::find_if(dtypes.begin(), dtypes.end(),
                                 [&](const dtype_info& known) { return known.name == type_name; });
  if (type == dtypes.end())
    throw std::runtime_error("unknown dtype " + as_json(type_name) +
                             " (known: F16, BF16, F32, F64, I32, I64, U8)");
  placed_tensor tensor{.begin = 0, .end = 0, .name = name, .entry = {}};
  tensor.entry.type = static_cast<dtype>(type - dtypes.begin());

  const auto& shape = line.at("shape");
  const auto& offsets = line.at("data_offsets");
  if (!shape.is_array() || !offsets.is_array() || offsets.size() != 2)
    throw std::runtime_error("shape or data_offsets is not a list of the right length");
  for (const auto& value : shape) tensor.entry.shape.push_back(extent(value));
  tensor.begin = extent(offsets[0]);
  tensor.end = extent(offsets[1]);
  if (tensor.begin > tensor.end || tensor.end > available)
    throw std::runtime_error("data_offsets " + offsets.dump() + " outside the file's " +
                             std::to_string(available) + " bytes of data");
  if (!fills(tensor.entry.type, tensor.entry.shape, tensor.end - tensor.begin))
    throw std::runtime_error("shape " + shape.dump() + " of " + type_name + " does not fill data_offsets " +
                             offsets.dump());
  return tensor;
}

inline safetensors_file read_safetensors(std::istream& in, std::size_t length) {
  constexpr std::size_t longest_header = std::size_t{16} << 20;
  const auto read = [&](void* to, std::size_t size) {
    if (!in.read(static_cast<char*>(to), static_cast<std::streamsize>(size)))
      throw std::runtime_error("read failed");
  };
  std::uint64_t header_length = 0;
  if (length < sizeof header_length) throw std::runtime_error("shorter than 8 bytes");
  read(&header_length, sizeof header_length);
  if (header_length > std::min(length - sizeof header_length, longest_header))
    throw std::runtime_error("header of " + std::to_string(header_length) + " bytes in a file of " +
                             std::to_string(length) + " (at most 16 MiB)");
  std::string text(header_length, '\0');
  read(text.data(), text.size());
  const std::size_t available = length - sizeof header_length - text.size();

  safetensors_file file;
  std::vector<placed_tensor> tensors;
  const auto header = parse_json(text);
  if (!header.is_object()) throw std::runtime_error("header is not a JSON object");
  for (const auto& [name, line] : header.items()) {
    try {
      if (name == "__metadata__")
        file.metadata = line.get<std::map<std::string, std::string>>();
      else
        tensors.push_back(parse_tensor(name, line, available));
    } catch (const std::exception& error) {
      throw std::runtime_error(as_json(name) + ": " + error.what());
    }
  }

  std::sort(tensors.begin(), tensors.end(), [](const placed_tensor& a, const placed_tensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::size_t position = 0;
  for (placed_tensor& tensor : tensors) {
    if (tensor.begin != position)
      throw std::runtime_error(as_json(tensor.name) + " starts at byte " + std::to_string(tensor.begin) +
                               " of the data, not at " + std::to_string(position) + " (overlap or hole)");
    tensor.entry.data.resize(tensor.end - tensor.begin);
    read(tensor.entry.data.data(), tensor.entry.data.size());
    position = tensor.end;
    file.tensors.emplace(std::move(tensor.name), std::move(tensor.entry));
  }
  if (position != available)
    throw std::runtime_error(std::to_string(available - position) + " bytes behind the last tensor");
  return file;
}

}  // namespace detail

/// Reads a whole file. Throws std::runtime_error naming the file and the first flaw found; nothing in the
/// file is believed before it was checked against the file's real length. Headers are limited to 16 MiB.
[[nodiscard]] inline safetensors_file read_safetensors(const std::filesystem::path& path) try {
  if (!std::filesystem::is_regular_file(path)) throw std::runtime_error("not found, or not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot be opened");
  return detail::read_safetensors(in, std::filesystem::file_size(path));
} catch (const std::exception& error) {
  throw std::runtime_error(path.string() + ": " + error.what());
}

/// Writes a file atomically, tensors in the order of their names: equal content gives equal bytes. Throws
/// std::invalid_argument if a tensor's data do not fit its shape, std::runtime_error if the file cannot be
/// written.
inline void write_safetensors(const std::filesystem::path& path, const safetensors_file& file) {
  nlohmann::json header = nlohmann::json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::size_t position = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const std::size_t size = tensor.data.size();
    if (!detail::fills(tensor.type, tensor.shape, size))
      throw std::invalid_argument("tensor \"" + name + "\" has " + std::to_string(size) +
                                  " bytes, which its shape " + nlohmann::json(tensor.shape).dump() +
                                  " does not fill");
    header[name] = {{"dtype", info(tensor.type).name},
                    {"shape", tensor.shape},
                    {"data_offsets", {position, position + size}}};
    position += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start aligned to 8 bytes
  const std::uint64_t header_length = text.size();

  detail::temporary_file out(path);
  out.write(std::as_bytes(std::span(&header_length, 1)));
  out.write(std::as_bytes(std::span(text)));
  for (const auto& [name, tensor] : file.tensors) out.write(tensor.data);
  out.commit();
}

}  // namespace mnist
