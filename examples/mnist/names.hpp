// Options that are chosen by name.
#pragma once

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mnist {

/// The names of a table of (name, value) pairs, separated by commas.
template <class Table>
[[nodiscard]] std::string names_of(const Table& table) {
  std::string names;
  for (const auto& [name, value] : table) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  return names;
}

/// The value of that name. Throws std::invalid_argument naming the option, the name and the names there are.
template <class Table>
[[nodiscard]] auto by_name(std::string_view option, std::string_view name, const Table& table) {
  const auto found =
      std::find_if(std::begin(table), std::end(table), [&](const auto& row) { return row.first == name; });
  if (found == std::end(table))
    throw std::invalid_argument(std::string(option) + " = \"" + std::string(name) + "\", must be one of " +
                                names_of(table));
  return found->second;
}

}  // namespace mnist
