// Grey pictures: from the range [-1, 1] to 8 bits and back, arranged on a grid, written and read as PNG.
#pragma once

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"

namespace mnist {

/// An 8-bit grey picture, row-major, 0 = black.
struct grey_image {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

/// Maps [-1, 1] to 0..255: round((clip(x) + 1) * 127.5). Throws std::invalid_argument for a NaN.
[[nodiscard]] inline std::vector<std::uint8_t> to_bytes(std::span<const float> values) {
  std::vector<std::uint8_t> bytes(values.size());
  std::transform(values.begin(), values.end(), bytes.begin(), [](float x) {
    if (std::isnan(x)) throw std::invalid_argument("an image holds a NaN");
    return static_cast<std::uint8_t>(std::lround((std::clamp(x, -1.0f, 1.0f) + 1.0f) * 127.5f));
  });
  return bytes;
}

/// Maps 0..255 to [-1, 1]: what to_bytes maps back.
[[nodiscard]] inline std::vector<float> to_values(std::span<const std::uint8_t> bytes) {
  std::vector<float> values(bytes.size());
  std::transform(bytes.begin(), bytes.end(), values.begin(),
                 [](std::uint8_t p) { return static_cast<float>(p) / 127.5f - 1; });
  return values;
}

/// How `grid` arranges images: each pixel becomes scale x scale, black margins of `margin` pixels around
/// every image.
struct grid_layout {
  std::size_t columns = 10, scale = 1, margin = 1;
};

/// Arranges images (n x height x width in [-1, 1]) from left to right, row after row; the last row may stay
/// short. Throws std::invalid_argument if the images are no whole number, or columns or scale is 0.
[[nodiscard]] inline grey_image grid(std::span<const float> images, std::size_t height, std::size_t width,
                                     const grid_layout& layout = {}) {
  if (height * width == 0 || images.empty() || images.size() % (height * width) != 0)
    throw std::invalid_argument(std::to_string(images.size()) + " values are no whole number of " +
                                std::to_string(height) + " x " + std::to_string(width) + " images");
  if (layout.columns == 0 || layout.scale == 0)
    throw std::invalid_argument("a grid needs at least one column and a scale of at least 1");
  const auto bytes = to_bytes(images);
  const std::size_t count = images.size() / (height * width);
  const std::size_t columns = std::min(layout.columns, count);
  const std::size_t rows = (count + columns - 1) / columns;
  const std::size_t cell_width = width * layout.scale + layout.margin;
  const std::size_t cell_height = height * layout.scale + layout.margin;
  grey_image picture{.width = columns * cell_width + layout.margin,
                     .height = rows * cell_height + layout.margin,
                     .pixels = {}};
  picture.pixels.resize(picture.width * picture.height);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t left = layout.margin + i % columns * cell_width;
    const std::size_t top = layout.margin + i / columns * cell_height;
    for (std::size_t y = 0; y < height * layout.scale; ++y)
      for (std::size_t x = 0; x < width * layout.scale; ++x)
        picture.pixels[(top + y) * picture.width + left + x] =
            bytes[(i * height + y / layout.scale) * width + x / layout.scale];
  }
  return picture;
}

/// An 8-bit greyscale PNG. Throws std::invalid_argument if the pixels are not width x height,
/// std::runtime_error beginning with `name` if it cannot be encoded.
[[nodiscard]] inline std::vector<std::byte> encode_png(const grey_image& picture, const std::string& name) {
  if (picture.pixels.empty() || picture.pixels.size() != picture.width * picture.height)
    throw std::invalid_argument("a picture of " + std::to_string(picture.width) + " x " +
                                std::to_string(picture.height) + " pixels cannot have " +
                                std::to_string(picture.pixels.size()));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_GRAY;
  // The first call measures, the second writes.
  png_alloc_size_t size = 0;
  std::vector<std::byte> encoded;
  const auto encode = [&](void* to) {
    if (!png_image_write_to_memory(&image, to, &size, 0, picture.pixels.data(), 0, nullptr))
      throw std::runtime_error(name + ": " + image.message);
  };
  encode(nullptr);
  encoded.resize(size);
  encode(encoded.data());
  return encoded;
}

/// Writes an 8-bit greyscale PNG atomically. Throws as encode_png, and std::runtime_error naming the file if
/// it cannot be written.
inline void write_png(const std::filesystem::path& path, const grey_image& picture) {
  write_file(path, encode_png(picture, path.string()));
}

/// Reads a PNG of at most 4096 x 4096 pixels as grey: colours become their brightness, and what is
/// transparent lies on black. Throws std::runtime_error naming the file and what is wrong with it.
[[nodiscard]] inline grey_image read_png(const std::filesystem::path& path) {
  constexpr png_uint_32 longest = 4096;
  const auto fail = [&](const std::string& reason) {
    throw std::runtime_error(path.string() + ": " + reason);
  };
  if (!std::filesystem::is_regular_file(path)) fail("not found, or not a regular file");
  struct reader : png_image {
    reader() : png_image{} { version = PNG_IMAGE_VERSION; }
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;
    ~reader() { png_image_free(this); }
  } image;
  if (!png_image_begin_read_from_file(&image, path.c_str())) fail(image.message);
  if (image.width > longest || image.height > longest)
    fail(std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels, allowed: at most " +
         std::to_string(longest) + " x " + std::to_string(longest));
  image.format = PNG_FORMAT_GRAY;
  grey_image picture{.width = image.width, .height = image.height, .pixels = {}};
  picture.pixels.resize(picture.width * picture.height);
  const png_color background{0, 0, 0};
  if (!png_image_finish_read(&image, &background, picture.pixels.data(), 0, nullptr)) fail(image.message);
  return picture;
}

}  // namespace mnist
