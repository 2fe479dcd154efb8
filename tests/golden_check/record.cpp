#include "record.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace golden {

namespace {

// Real files have up to 220 kB and a depth of 5.
constexpr std::uintmax_t max_bytes = 64 << 20;
constexpr int max_depth = 16;

double to_number(const json& value, const record& where, const std::string& key) {
  if (!value.is_number()) where.fail(key, "expected a number, found " + describe(value));
  const double number = value.get<double>();
  if (!std::isfinite(number)) where.fail(key, "expected a finite number");
  return number;
}

int to_integer(const json& value, int low, int high, const record& where, const std::string& key) {
  // Compared in double: exact for every int, and it holds every 64-bit integer's magnitude.
  const double number = value.is_number_integer() ? value.get<double>() : low - 1.0;
  if (!(number >= low && number <= high))
    where.fail(key, "expected an integer in [" + std::to_string(low) + ", " + std::to_string(high) +
                        "], found " + describe(value));
  return static_cast<int>(number);
}

std::vector<double> to_numbers(const json& values, bool null_is_nan, const record& where,
                               const std::string& key) {
  std::vector<double> numbers;
  numbers.reserve(values.size());
  for (const json& value : values)
    numbers.push_back(null_is_nan && value.is_null() ? std::nan("") : to_number(value, where, key));
  return numbers;
}

void require_length(const json& values, std::size_t size, const record& where, const std::string& key) {
  if (values.size() != size)
    where.fail(key, "expected " + std::to_string(size) + " entries, found " + std::to_string(values.size()));
}

}  // namespace

std::string describe(const json& value) {
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 40 ? text : text.substr(0, 37) + "...";
}

json read_json(const std::string& file_name) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file_name, error);
  if (error) throw malformed("cannot read the file: " + error.message());
  if (bytes > max_bytes) throw malformed("the file has " + std::to_string(bytes) + " bytes, allowed: 64 MiB");
  std::ifstream stream(file_name, std::ios::binary);
  if (!stream) throw malformed("cannot open the file");
  const auto refuse_depth = [](int depth, json::parse_event_t, const json&) {
    if (depth > max_depth) throw malformed("nested deeper than " + std::to_string(max_depth) + " levels");
    return true;
  };
  json value = json::parse(stream, refuse_depth);
  if (!value.is_object()) throw malformed("expected one JSON object, found " + describe(value));
  return value;
}

record::record(const json& value, std::string path) : value_(&value), path_(std::move(path)) {
  if (!value.is_object()) throw malformed(path_ + ": expected an object, found " + describe(value));
}

std::string record::path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

void record::fail(const std::string& key, const std::string& message) const {
  throw malformed(path_of(key) + ": " + message);
}

const json& record::at(const std::string& key) const {
  asked_.insert(key);
  const auto found = value_->find(key);
  if (found == value_->end()) fail(key, "missing");
  return *found;
}

const json& record::array(const std::string& key) const {
  const json& values = at(key);
  if (!values.is_array()) fail(key, "expected an array, found " + describe(values));
  return values;
}

bool record::has(const std::string& key) const {
  asked_.insert(key);
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

double record::number(const std::string& key) const { return to_number(at(key), *this, key); }
double record::number(const std::string& key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

int record::integer(const std::string& key, int low, int high) const {
  return to_integer(at(key), low, high, *this, key);
}
int record::integer(const std::string& key, int low, int high, int fallback) const {
  return has(key) ? integer(key, low, high) : fallback;
}

bool record::flag(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_boolean()) fail(key, "expected true or false, found " + describe(value));
  return value.get<bool>();
}
bool record::flag(const std::string& key, bool fallback) const { return has(key) ? flag(key) : fallback; }

std::string record::text(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_string()) fail(key, "expected a string, found " + describe(value));
  return value.get<std::string>();
}

std::string record::choice(const std::string& key, std::initializer_list<std::string_view> known) const {
  std::string value = text(key);
  if (std::find(known.begin(), known.end(), value) == known.end())
    throw unsupported(path_of(key) + " \"" + value + '"');
  return value;
}

std::vector<double> record::numbers(const std::string& key) const {
  return to_numbers(array(key), false, *this, key);
}

std::vector<double> record::numbers(const std::string& key, std::size_t size) const {
  require_length(array(key), size, *this, key);
  return numbers(key);
}

std::vector<double> record::numbers_or_nan(const std::string& key, std::size_t size) const {
  const json& values = array(key);
  require_length(values, size, *this, key);
  return to_numbers(values, true, *this, key);
}

std::vector<int> record::integers(const std::string& key, int low, int high) const {
  std::vector<int> numbers;
  for (const json& value : array(key)) numbers.push_back(to_integer(value, low, high, *this, key));
  return numbers;
}

std::vector<std::string> record::texts(const std::string& key, std::size_t size) const {
  const json& values = array(key);
  require_length(values, size, *this, key);
  std::vector<std::string> strings;
  for (const json& value : values) {
    if (!value.is_string()) fail(key, "expected strings, found " + describe(value));
    strings.push_back(value.get<std::string>());
  }
  return strings;
}

std::vector<std::vector<double>> record::matrix(const std::string& key, std::size_t count,
                                                std::size_t size) const {
  const json& values = array(key);
  require_length(values, count, *this, key);
  std::vector<std::vector<double>> matrix;
  for (const json& row : values) {
    if (!row.is_array()) fail(key, "expected arrays, found " + describe(row));
    require_length(row, size, *this, key);
    matrix.push_back(to_numbers(row, false, *this, key));
  }
  return matrix;
}

std::size_t record::size(const std::string& key) const { return array(key).size(); }

record record::object(const std::string& key) const {
  const json& value = at(key);
  return {value, path_of(key)};
}

std::vector<record> record::objects(const std::string& key) const {
  std::vector<record> all;
  for (const json& value : array(key))
    all.emplace_back(value, path_of(key) + "[" + std::to_string(all.size()) + "]");
  return all;
}

void record::inform(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) asked_.emplace(key);
}

void record::refuse_unknown_keys() const {
  for (const auto& [key, value] : value_->items())
    if (!asked_.contains(key) && !value.is_null())
      throw unsupported("unknown key " + path_of(key) + " (" + describe(value) + ")");
}

}  // namespace golden
