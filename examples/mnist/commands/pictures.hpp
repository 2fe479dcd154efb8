// Images that a command works on: files, or digits of the test set.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "commands/shared_options.hpp"
#include "io/idx.hpp"
#include "io/png.hpp"

namespace mnist {

inline constexpr std::size_t image_pixels = 28 * 28;

struct picture_settings {
  std::vector<std::string> files;
  std::vector<std::size_t> indices;
  std::string data = MNIST_DIR "/data";
  int count = 4;
};

inline void add_picture_options(CLI::App& app, picture_settings& s) {
  app.add_option("--image", s.files, "Files of images, PNG of 28 x 28 pixels, white on black")
      ->default_str("none");
  add_unsigned(app, "--index", s.indices,
               "Digits of the test set by number, from 0; they come before --image")
      ->default_str("none");
  app.add_option("--data", s.data, "Folder of the MNIST files");
  app.add_option("--count", s.count, "Without --image and --index: so many digits, drawn by --seed")
      ->check(CLI::Range(1, 10000));
}

/// Images in [-1, 1], one after the other, and the digit of each where it is known.
struct pictures {
  std::vector<float> values;
  std::vector<std::optional<int>> digits;

  [[nodiscard]] std::size_t count() const { return digits.size(); }
};

/// Reads a PNG of 28 x 28 pixels as values in [-1, 1]. Throws std::runtime_error naming the file.
[[nodiscard]] inline std::vector<float> read_picture(const std::filesystem::path& path) {
  const grey_image image = read_png(path);
  if (image.width != 28 || image.height != 28)
    throw std::runtime_error(path.string() + ": " + std::to_string(image.width) + " x " +
                             std::to_string(image.height) + " pixels, must be 28 x 28");
  return to_values(image.pixels);
}

/// The images asked for. Throws std::invalid_argument for an index or a count that the test set does not
/// have, std::runtime_error for a file.
[[nodiscard]] inline pictures load_pictures(const picture_settings& s, std::uint64_t seed) {
  pictures result;
  const bool drawn = s.files.empty() && s.indices.empty();
  if (drawn || !s.indices.empty()) {
    const std::filesystem::path data = s.data;
    const auto set = read_idx_pair(data / "t10k-images-idx3-ubyte.gz", data / "t10k-labels-idx1-ubyte.gz");
    if (set.images.rows != 28 || set.images.cols != 28)
      throw std::runtime_error(s.data + ": the test images are not of 28 x 28 pixels");
    std::vector<std::size_t> indices = s.indices;
    if (drawn) {
      const auto count = static_cast<std::size_t>(s.count);
      if (count > set.images.count)
        throw std::invalid_argument("count = " + std::to_string(count) + ", must be at most " +
                                    std::to_string(set.images.count));
      indices = detail::image_order(seed, 0, set.images.count);
      indices.resize(count);
    }
    for (const std::size_t index : indices) {
      if (index >= set.images.count)
        throw std::invalid_argument("index = " + std::to_string(index) + ", must be at most " +
                                    std::to_string(set.images.count - 1));
      const auto values = to_values(std::span(set.images.pixels).subspan(index * image_pixels, image_pixels));
      result.values.insert(result.values.end(), values.begin(), values.end());
      result.digits.emplace_back(set.labels[index]);
    }
  }
  for (const auto& file : s.files) {
    const auto values = read_picture(file);
    result.values.insert(result.values.end(), values.begin(), values.end());
    result.digits.emplace_back();
  }
  return result;
}

/// Image i of a row of images.
template <class Values>
[[nodiscard]] auto image_of(Values& values, std::size_t i) {
  return std::span(values).subspan(i * image_pixels, image_pixels);
}

/// Appends an image to a picture under construction.
inline void append(std::vector<float>& picture, std::span<const float> image) {
  picture.insert(picture.end(), image.begin(), image.end());
}

}  // namespace mnist
