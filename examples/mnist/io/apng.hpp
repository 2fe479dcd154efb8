// Moving grey pictures: animated PNG (https://www.w3.org/TR/png-3/#apng-frame-based-animation).
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/png.hpp"

namespace mnist {

/// A picture and how long it is shown, up to 65,535 ms.
struct animation_frame {
  grey_image picture;
  std::uint16_t milliseconds = 0;
};

namespace detail {

inline void append_number(std::vector<std::byte>& to, std::uint32_t value, int bytes = 4) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    to.push_back(static_cast<std::byte>(value >> shift & 0xff));
}

/// Length, type, content, checksum of the two.
inline void append_chunk(std::vector<std::byte>& to, std::string_view type,
                         std::span<const std::byte> content) {
  append_number(to, static_cast<std::uint32_t>(content.size()));
  const std::size_t begin = to.size();
  for (const char letter : type) to.push_back(static_cast<std::byte>(letter));
  to.insert(to.end(), content.begin(), content.end());
  const auto checksum =
      ::crc32(0, reinterpret_cast<const Bytef*>(to.data() + begin), static_cast<uInt>(to.size() - begin));
  append_number(to, static_cast<std::uint32_t>(checksum));
}

/// The contents of the chunks of a type in a PNG that libpng wrote.
inline std::vector<std::span<const std::byte>> chunks_of(std::span<const std::byte> png,
                                                         std::string_view type) {
  constexpr std::size_t signature = 8, around = 12;
  std::vector<std::span<const std::byte>> found;
  for (std::size_t at = signature; at + around <= png.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(png[at + i]);
    bool same = true;
    for (std::size_t i = 0; i < 4; ++i) same = same && png[at + 4 + i] == static_cast<std::byte>(type[i]);
    if (same) found.push_back(png.subspan(at + 8, length));
    at += around + length;
  }
  return found;
}

}  // namespace detail

/// Writes frames of one size as an endless animated PNG, atomically. A viewer that knows no animation shows
/// the last frame. Throws std::invalid_argument for no frames or frames of several sizes, std::runtime_error
/// naming the file if it cannot be encoded or written.
inline void write_apng(const std::filesystem::path& path, std::span<const animation_frame> frames) {
  if (frames.empty()) throw std::invalid_argument("an animation needs at least one frame");
  const grey_image& last = frames.back().picture;
  for (const auto& [picture, milliseconds] : frames)
    if (picture.width != last.width || picture.height != last.height)
      throw std::invalid_argument("the frames of an animation differ in size");

  // The default image comes first and is no frame, as it has no fcTL of its own.
  const auto fallback = encode_png(last, path.string());
  std::vector<std::byte> out(fallback.begin(), fallback.begin() + 8);
  for (const auto content : detail::chunks_of(fallback, "IHDR")) detail::append_chunk(out, "IHDR", content);
  std::vector<std::byte> control;
  detail::append_number(control, static_cast<std::uint32_t>(frames.size()));
  detail::append_number(control, 0);  // plays: endless
  detail::append_chunk(out, "acTL", control);
  for (const auto content : detail::chunks_of(fallback, "IDAT")) detail::append_chunk(out, "IDAT", content);

  std::uint32_t sequence = 0;
  for (const auto& [picture, milliseconds] : frames) {
    control.clear();
    for (const std::uint32_t number : {sequence++, static_cast<std::uint32_t>(picture.width),
                                       static_cast<std::uint32_t>(picture.height), 0u, 0u})
      detail::append_number(control, number);
    detail::append_number(control, milliseconds, 2);
    detail::append_number(control, 1000, 2);  // parts of a second
    detail::append_number(control, 0, 2);     // neither disposed of nor blended: each frame covers the whole
    detail::append_chunk(out, "fcTL", control);
    const auto encoded = encode_png(picture, path.string());
    for (const auto content : detail::chunks_of(encoded, "IDAT")) {
      control.clear();
      detail::append_number(control, sequence++);
      control.insert(control.end(), content.begin(), content.end());
      detail::append_chunk(out, "fdAT", control);
    }
  }
  detail::append_chunk(out, "IEND", {});
  write_file(path, out);
}

}  // namespace mnist
