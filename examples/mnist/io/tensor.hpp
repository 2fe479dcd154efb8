// A tensor as it lies in a file: element type, shape, bytes; and its conversion to numbers.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "diffusion/float16.hpp"

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

/// The type of the elements T: float, double or diffusion::float16.
template <class T>
inline constexpr dtype dtype_of = std::same_as<T, diffusion::float16> ? dtype::f16
                                  : std::same_as<T, float>            ? dtype::f32
                                                                      : dtype::f64;

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
    const auto widen = [](auto x) { return static_cast<float>(x); };
    switch (type) {
      case dtype::f16:
        detail::convert_elements<diffusion::float16>(data, out, widen);
        break;
      case dtype::bf16:
        detail::convert_elements<diffusion::bfloat16>(data, out, widen);
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

/// A tensor of float, double or diffusion::float16. Throws std::invalid_argument if the number of values is
/// not the product of `shape`.
template <class T = float>
[[nodiscard]] tensor_entry make_tensor(std::vector<std::size_t> shape,
                                       std::type_identity_t<std::span<const T>> values) {
  static_assert(std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, diffusion::float16>);
  const auto bytes = std::as_bytes(values);
  if (!detail::fills(dtype_of<T>, shape, bytes.size()))
    throw std::invalid_argument("the product of a tensor's shape must be its " +
                                std::to_string(values.size()) + " values");
  return {.type = dtype_of<T>, .shape = std::move(shape), .data = {bytes.begin(), bytes.end()}};
}

}  // namespace mnist
