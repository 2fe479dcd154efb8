#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/detail/error.hpp"

namespace diffusion::detail {

inline constexpr std::size_t max_json_size = 8'000'000;

/// Python's json module writes infinities as bare words, which JSON does not have: they become strings.
/// Refuses what nests deeper than a configuration does, before a parser sees it.
[[nodiscard]] inline std::string portable_json(std::string_view source) {
  if (source.size() > max_json_size)
    invalid("size of the configuration", source.size(), text("at most ", max_json_size, " bytes"));
  std::string result;
  result.reserve(source.size());
  bool in_string = false;
  int depth = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    const std::string_view rest = source.substr(i);
    if (in_string) {
      if (c == '\\' && i + 1 < source.size()) result += source[i++];
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > 8) invalid("depth of the configuration", depth, "at most 8");
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (rest.starts_with("Infinity") || rest.starts_with("-Infinity")) {
      const std::size_t length = c == '-' ? 9 : 8;
      result += text("\"", rest.substr(0, length), "\"");
      i += length - 1;
      continue;
    }
    result += source[i];
  }
  return result;
}

/// The object that a text holds. Throws std::invalid_argument for anything else, and for keys that come
/// twice.
[[nodiscard]] inline nlohmann::json parse_object(std::string_view source) {
  std::set<std::string> keys;
  const auto once = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth == 1 && event == nlohmann::json::parse_event_t::key &&
        !keys.insert(parsed.get<std::string>()).second)
      invalid("key", parsed.get<std::string>(), "once");
    return true;
  };
  nlohmann::json result;
  try {
    result = nlohmann::json::parse(portable_json(source), once);
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(text("diffusion: not a JSON text: ", error.what()));
  }
  if (!result.is_object()) invalid("configuration", result.type_name(), "an object");
  return result;
}

/// The members of an object, each with a default, a type and a range. What nobody asked for is left over. A
/// null is what diffusers have for "not given": it counts as absent where that or false is the default.
class json_fields {
 public:
  explicit json_fields(nlohmann::json object) : object_(std::move(object)) {}

  [[noreturn]] void refuse(const std::string& key, std::string_view allowed) const {
    std::string value = "absent";
    if (object_.contains(key))
      value = object_.at(key).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (value.size() > 60) value = value.substr(0, 57) + "...";
    throw std::invalid_argument(text("diffusion: ", key, " = ", value, ", allowed: ", allowed));
  }

  [[nodiscard]] bool given(const std::string& key) const {
    return object_.contains(key) && !object_.at(key).is_null();
  }

  bool flag(const std::string& key, bool fallback) {
    const nlohmann::json* value = find(key);
    if (value && value->is_boolean()) return value->get<bool>();
    if (value && !(value->is_null() && !fallback)) refuse(key, "true, false");
    return fallback;
  }

  /// In [least, most], ends that are infinite belong to it only if `infinite`.
  double number(const std::string& key, double fallback, double least, double most, bool open = false) {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    return in_range(key, *value, least, most, open);
  }
  /// Above 0 and finite.
  double positive(const std::string& key, double fallback) {
    return number(key, fallback, 0, std::numeric_limits<double>::max(), true);
  }
  std::optional<double> optional_positive(const std::string& key) {
    if (!ask(key)) return {};
    return positive(key, 0);
  }

  int integer(const std::string& key, int fallback, int least, int most) {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    const auto range = [&] { return text("a whole number in [", least, ", ", most, "]"); };
    if (!value->is_number()) refuse(key, range());
    const double number = value->get<double>();
    if (!(number >= least && number <= most) || number != std::floor(number)) refuse(key, range());
    return static_cast<int>(number);
  }

  /// One of the values. The fallback is the first unless it is given.
  std::string choice(const std::string& key, const std::vector<std::string_view>& values,
                     std::string_view fallback = {}) {
    const nlohmann::json* value = find(key);
    if (!value) return std::string(fallback.empty() ? values.front() : fallback);
    if (value->is_string())
      for (const std::string_view known : values)
        if (value->get_ref<const std::string&>() == known) return std::string(known);
    std::string list;
    for (const std::string_view known : values) list += text(list.empty() ? "" : ", ", known);
    refuse(key, list);
  }

  /// Absent or null: empty.
  std::vector<double> numbers(const std::string& key, double least, double most, std::size_t longest) {
    std::vector<double> result;
    if (!ask(key)) return result;
    const nlohmann::json& list = object_.at(key);
    if (!list.is_array() || list.size() > longest)
      refuse(key, text("a list of at most ", longest, " numbers"));
    for (const nlohmann::json& item : list) result.push_back(in_range(key, item, least, most, false));
    return result;
  }

  /// Whether a key is there and not null; null is then done with.
  bool ask(const std::string& key) {
    asked_.insert(key);
    return given(key);
  }

  /// Keys that nobody asked for, without those that start with an underscore.
  [[nodiscard]] std::vector<std::string> left_over() const {
    std::vector<std::string> result;
    for (const auto& [key, value] : object_.items())
      if (!key.starts_with('_') && !asked_.contains(key)) result.push_back(key);
    return result;
  }

 private:
  const nlohmann::json* find(const std::string& key) {
    asked_.insert(key);
    return object_.contains(key) ? &object_.at(key) : nullptr;
  }
  double in_range(const std::string& key, const nlohmann::json& value, double least, double most,
                  bool open) const {
    const auto range = [&] { return text("a number in ", open ? "(" : "[", least, ", ", most, "]"); };
    double number = std::numeric_limits<double>::quiet_NaN();
    if (value.is_number()) number = value.get<double>();
    if (value == "Infinity") number = std::numeric_limits<double>::infinity();
    if (value == "-Infinity") number = -std::numeric_limits<double>::infinity();
    if (!(number >= least && number <= most) || (open && number == least)) refuse(key, range());
    return number;
  }

  nlohmann::json object_;
  std::set<std::string> asked_;
};

}  // namespace diffusion::detail
