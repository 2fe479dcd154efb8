#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace diffusion::detail {

inline std::string to_text(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}
inline std::string to_text(std::integral auto value) { return std::to_string(value); }
inline std::string to_text(std::string_view value) { return '"' + std::string(value) + '"'; }

/// Throws std::invalid_argument that names the symbol, the value and what is allowed.
[[noreturn]] inline void invalid(std::string_view symbol, const auto& value, std::string_view allowed) {
  throw std::invalid_argument("diffusion: " + std::string(symbol) + " = " + to_text(value) +
                              ", allowed: " + std::string(allowed));
}

/// Throws std::invalid_argument that names both sizes unless they are equal.
inline void require_size(std::string_view symbol, std::size_t size, std::size_t expected) {
  if (size != expected) invalid("size of " + std::string(symbol), size, to_text(expected));
}

}  // namespace diffusion::detail
