#include <png.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "io/png.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

TEST_CASE("values in [-1, 1] are rounded to 8 bits and clipped outside", "[mnist][io]") {
  const std::vector<float> values{
      -1, 1, 0, -3, INFINITY, -INFINITY, 1.0f / 255, -253.0f / 255, 1.0f - 1.01f / 255};
  // 0 maps to 127.5, rounded away from zero; the last lies just below the middle between 254 and 255.
  CHECK(mnist::to_bytes(values) == std::vector<std::uint8_t>{0, 255, 128, 0, 255, 0, 128, 1, 254});
  CHECK_THROWS_AS(mnist::to_bytes(std::vector<float>{NAN}), std::invalid_argument);
}

TEST_CASE("every 8-bit value survives the way to [-1, 1] and back", "[mnist][io]") {
  std::vector<float> values;
  std::vector<std::uint8_t> bytes;
  for (int p = 0; p < 256; ++p) {
    values.push_back(static_cast<float>(p) / 127.5f - 1.0f);
    bytes.push_back(static_cast<std::uint8_t>(p));
  }
  CHECK(mnist::to_bytes(values) == bytes);
}

TEST_CASE("a grid enlarges images and frames each with a margin", "[mnist][io]") {
  // Three images of 1 x 2 pixels, two to a row, scale 2, margin 1; 0 is black, 255 white.
  const std::vector<float> images{1, -1, -1, 1, 1, 1};
  const auto picture = mnist::grid(images, 1, 2, {.columns = 2, .scale = 2, .margin = 1});
  CHECK(picture.width == 11);
  CHECK(picture.height == 7);
  const std::vector<std::uint8_t> margin(11, 0), empty{0, 0, 0, 0, 0};
  const std::vector<std::uint8_t> first{0, 255, 255, 0, 0, 0, 0, 0, 255, 255, 0};
  const std::vector<std::uint8_t> second{0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0};
  std::vector<std::uint8_t> expected;
  for (const auto* row : {&margin, &first, &first, &margin, &second, &second, &margin})
    expected.insert(expected.end(), row->begin(), row->end());
  CHECK(picture.pixels == expected);
  CHECK_THROWS_AS(mnist::grid(images, 2, 2), std::invalid_argument);
  CHECK_THROWS_AS(mnist::grid({}, 2, 2), std::invalid_argument);
  CHECK_THROWS_AS(mnist::grid(images, 1, 2, {.columns = 0}), std::invalid_argument);
}

TEST_CASE("a PNG read by libpng shows the pixels that were written", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder / "picture.png";
  const mnist::grey_image picture{.width = 3, .height = 2, .pixels = {0, 1, 127, 128, 254, 255}};
  mnist::write_png(path, picture);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
  CHECK(image.width == 3);
  CHECK(image.height == 2);
  CHECK(image.format == PNG_FORMAT_GRAY);
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  REQUIRE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
  CHECK(pixels == picture.pixels);
  CHECK_THROWS_AS(mnist::write_png(path, {.width = 3, .height = 2, .pixels = {1}}), std::invalid_argument);
  CHECK_THROWS_AS(mnist::write_png(folder / "no/where.png", picture), std::runtime_error);
}
