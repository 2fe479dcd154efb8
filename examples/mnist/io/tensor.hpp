// A tensor as it lies in a file: element type, shape, bytes; and its conversion to numbers.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mnist {

static_assert(std::endian::native == std::endian::little,
              "tensors are kept as they are stored, little-endian");

enum class dtype { f16, bf16, f32, f64, i32, i64, u8 };

struct dtype_info {
  std::string_view name;
  std::size_t size;
};

/// The format's name of each type and its size in bytes, in the order of `dtype`.
inline constexpr std::array<dtype_info, 7> dtypes{
    {{"F16", 2}, {"BF16", 2}, {"F32", 4}, {"F64", 8}, {"I32", 4}, {"I64", 8}, {"U8", 1}}};

[[nodiscard]] constexpr const dtype_info& info(dtype type) { return dtypes[static_cast<std::size_t>(type)]; }

[[nodiscard]] constexpr bool is_floating(dtype type) { return type <= dtype::f64; }

/// bfloat16, the upper half of a float, widened exactly.
[[nodiscard]] inline float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// IEEE 754 binary16 (a sign bit, 5 exponent bits with bias 15, 10 bits of fraction), widened exactly.
[[nodiscard]] inline float from_f16(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude = fraction ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  else
    magnitude = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return std::copysign(magnitude, (bits & 0x8000) ? -1.0f : 1.0f);
}

namespace detail {

/// Whether `shape` of `type` takes exactly `bytes` bytes; cannot overflow, whatever the extents.
[[nodiscard]] inline bool fills(dtype type, std::span<const std::size_t> shape, std::size_t bytes) {
  // A zero anywhere makes the tensor empty, however large the other extents.
  if (std::find(shape.begin(), shape.end(), std::size_t{0}) != shape.end()) return bytes == 0;
  std::size_t needed = info(type).size;
  for (const std::size_t extent : shape) {
    if (extent > bytes / needed) return false;
    needed *= extent;
  }
  return needed == bytes;
}

/// Appends convert(element) to `out` for each element of `data`, stored as Stored.
template <class Stored, class T, class Convert>
void convert_elements(std::span<const std::byte> data, std::vector<T>& out, Convert convert) {
  for (std::size_t i = 0; i + sizeof(Stored) <= data.size(); i += sizeof(Stored)) {
    Stored element;
    std::memcpy(&element, data.data() + i, sizeof element);
    out.push_back(static_cast<T>(convert(element)));
  }
}

}  // namespace detail

/// One tensor: `data` holds the product of `shape` elements of `type`, row-major.
struct tensor_entry {
  dtype type = dtype::f32;
  std::vector<std::size_t> shape;
  std::vector<std::byte> data;

  /// The elements as float, double or std::int64_t: widened, or F64 and integers rounded to the nearest T.
  /// Throws std::runtime_error where integers are wanted and the tensor holds floating-point numbers.
  template <class T>
  [[nodiscard]] std::vector<T> as() const {
    static_assert(std::floating_point<T> || std::same_as<T, std::int64_t>, "integers only at full width");
    if (std::integral<T> && is_floating(type))
      throw std::runtime_error("expected integers, got a tensor of " + std::string(info(type).name));
    std::vector<T> out;
    out.reserve(data.size() / info(type).size);
    switch (type) {
      case dtype::f16:
        detail::convert_elements<std::uint16_t>(data, out, from_f16);
        break;
      case dtype::bf16:
        detail::convert_elements<std::uint16_t>(data, out, from_bf16);
        break;
      case dtype::f32:
        detail::convert_elements<float>(data, out, std::identity{});
        break;
      case dtype::f64:
        detail::convert_elements<double>(data, out, std::identity{});
        break;
      case dtype::i32:
        detail::convert_elements<std::int32_t>(data, out, std::identity{});
        break;
      case dtype::i64:
        detail::convert_elements<std::int64_t>(data, out, std::identity{});
        break;
      case dtype::u8:
        detail::convert_elements<std::uint8_t>(data, out, std::identity{});
        break;
    }
    return out;
  }
};

/// An F32 tensor. Throws std::invalid_argument if the number of values is not the product of `shape`.
[[nodiscard]] inline tensor_entry make_tensor(std::vector<std::size_t> shape, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  if (!detail::fills(dtype::f32, shape, bytes.size()))
    throw std::invalid_argument("the product of a tensor's shape must be its " +
                                std::to_string(values.size()) + " values");
  return {.type = dtype::f32, .shape = std::move(shape), .data = {bytes.begin(), bytes.end()}};
}

}  // namespace mnist
