#pragma once

#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace golden {

using json = nlohmann::json;

/// The file asks for something that this program does not know: neither passed nor failed.
struct unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The file breaks the schema.
struct malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One object of a file, read strictly: types and lengths are checked before anything is allocated, messages
/// name the path. It remembers which keys were asked for, so that no option is passed over in silence: see
/// refuse_unknown_keys. Refers to the parsed file.
class record {
 public:
  record(const json& value, std::string path);

  /// Whether the key exists and is not null.
  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] double number(const std::string& key) const;
  [[nodiscard]] double number(const std::string& key, double fallback) const;
  /// An integer in [low, high].
  [[nodiscard]] int integer(const std::string& key, int low, int high) const;
  [[nodiscard]] int integer(const std::string& key, int low, int high, int fallback) const;
  [[nodiscard]] bool flag(const std::string& key) const;
  [[nodiscard]] bool flag(const std::string& key, bool fallback) const;
  [[nodiscard]] std::string text(const std::string& key) const;
  /// A string that is one of the known ones; throws unsupported for another.
  [[nodiscard]] std::string choice(const std::string& key,
                                   std::initializer_list<std::string_view> known) const;

  /// Arrays of numbers; `size` is the length that the schema prescribes.
  [[nodiscard]] std::vector<double> numbers(const std::string& key) const;
  [[nodiscard]] std::vector<double> numbers(const std::string& key, std::size_t size) const;
  /// Like numbers; null, which stands for an infinite or undefined value, becomes NaN.
  [[nodiscard]] std::vector<double> numbers_or_nan(const std::string& key, std::size_t size) const;
  [[nodiscard]] std::vector<int> integers(const std::string& key, int low, int high) const;
  [[nodiscard]] std::vector<std::string> texts(const std::string& key, std::size_t size) const;
  /// The length of an array.
  [[nodiscard]] std::size_t size(const std::string& key) const;
  /// An array of `count` arrays of `size` numbers each.
  [[nodiscard]] std::vector<std::vector<double>> matrix(const std::string& key, std::size_t count,
                                                        std::size_t size) const;

  [[nodiscard]] record object(const std::string& key) const;
  [[nodiscard]] std::vector<record> objects(const std::string& key) const;

  /// Marks keys as known that only inform.
  void inform(std::initializer_list<std::string_view> keys) const;
  /// Throws unsupported for a key that nobody asked for and whose value is not null.
  void refuse_unknown_keys() const;

  /// Throws malformed with the path of the key.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;

 private:
  [[nodiscard]] std::string path_of(const std::string& key) const;
  [[nodiscard]] const json& at(const std::string& key) const;
  [[nodiscard]] const json& array(const std::string& key) const;

  const json* value_;
  std::string path_;
  mutable std::set<std::string> asked_;
};

/// Parses a whole file. Throws malformed unless it is one JSON object of bounded size and depth.
[[nodiscard]] json read_json(const std::string& file_name);

/// What a JSON value is and, for a short one, what it says.
[[nodiscard]] std::string describe(const json& value);

}  // namespace golden
