#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace diffusion::detail {

inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, std::integral auto part) { text += std::to_string(part); }
inline void append(std::string& text, double part) {
  char buffer[32];
  text.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, part).ptr);
}

/// The parts, strings and numbers, one after the other.
template <class... Parts>
[[nodiscard]] std::string text(const Parts&... parts) {
  std::string result;
  (append(result, parts), ...);
  return result;
}

/// Throws std::invalid_argument that names the symbol, the value and what is allowed.
[[noreturn]] inline void invalid(std::string_view symbol, const auto& value, std::string_view allowed) {
  constexpr std::string_view quote = std::convertible_to<decltype(value), std::string_view> ? "\"" : "";
  throw std::invalid_argument(
      text("diffusion: ", symbol, " = ", quote, value, quote, ", allowed: ", allowed));
}

/// Throws std::invalid_argument unless the value is in (0, inf).
inline void require_positive(std::string_view symbol, double value) {
  if (!(value > 0 && std::isfinite(value))) invalid(symbol, value, "(0, inf)");
}

/// Throws std::invalid_argument that names both sizes unless they are equal.
inline void require_size(std::string_view symbol, std::size_t size, std::size_t expected) {
  if (size != expected) invalid(text("size of ", symbol), size, text(expected));
}

}  // namespace diffusion::detail
