#include <png.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
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
  CHECK(mnist::to_values(bytes) == values);
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

namespace {

/// Writes 8-bit pixels of any of libpng's formats.
void write_any(const std::filesystem::path& path, png_uint_32 format, png_uint_32 width,
               const std::vector<std::uint8_t>& pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = 1;
  image.format = format;
  REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr));
}

mnist::grey_image noise_picture() {
  mnist::grey_image picture{.width = 28, .height = 28, .pixels = {}};
  std::mt19937 random(3);
  for (int i = 0; i < 28 * 28; ++i) picture.pixels.push_back(static_cast<std::uint8_t>(random()));
  return picture;
}

}  // namespace

TEST_CASE("a PNG is read as it was written", "[mnist][io]") {
  const temporary_folder folder;
  const auto written = noise_picture();
  mnist::write_png(folder / "p.png", written);
  const auto read = mnist::read_png(folder / "p.png");
  CHECK(read.width == 28);
  CHECK(read.height == 28);
  CHECK(read.pixels == written.pixels);
}

TEST_CASE("colours are read as their brightness, transparency as black", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder / "p.png";
  // White, middle grey, green and blue: green is brighter than blue.
  write_any(path, PNG_FORMAT_RGB, 4, {255, 255, 255, 128, 128, 128, 0, 255, 0, 0, 0, 255});
  const auto coloured = mnist::read_png(path).pixels;
  REQUIRE(coloured.size() == 4);
  CHECK(int{coloured[0]} == 255);
  CHECK(std::abs(coloured[1] - 128) <= 1);
  CHECK(coloured[2] > coloured[3]);
  CHECK(coloured[3] > 0);
  write_any(path, PNG_FORMAT_GA, 3, {200, 255, 200, 0, 255, 0});
  CHECK(mnist::read_png(path).pixels == std::vector<std::uint8_t>{200, 0, 0});
}

TEST_CASE("a file that is no PNG, ends early or is too large is refused by name", "[mnist][io]") {
  const temporary_folder folder;
  const auto refusal = [&](const std::filesystem::path& path) {
    return message_of([&] { (void)mnist::read_png(path); });
  };
  CHECK(contains(refusal(folder / "none.png"), "none.png: not found"));
  CHECK(contains(refusal(folder.path()), "not a regular file"));
  CHECK(contains(refusal(folder.write("empty.png", "")), "empty.png: "));
  CHECK(contains(refusal(folder.write("text.png", "some text")), "text.png: "));
  mnist::write_png(folder / "p.png", noise_picture());
  const auto whole = read_bytes(folder / "p.png");
  // Shorter than signature, header, size and data of 784 incompressible bytes.
  for (std::size_t size = 0; size < 784; size += 7)
    CHECK(contains(refusal(folder.write("short.png", whole.substr(0, size))), "short.png: "));
  mnist::write_png(folder / "wide.png",
                   {.width = 4097, .height = 1, .pixels = std::vector<std::uint8_t>(4097)});
  CHECK(contains(refusal(folder / "wide.png"), "wide.png: 4097 x 1 pixels, allowed: at most 4096 x 4096"));
}

TEST_CASE("no damaged PNG crashes its reader", "[mnist][io]") {
  const temporary_folder folder;
  mnist::write_png(folder / "p.png", noise_picture());
  const auto whole = read_bytes(folder / "p.png");
  std::mt19937 random(5);
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    auto bytes = whole;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto path = folder.write("broken.png", bytes);
    refused += !message_of([&] { (void)mnist::read_png(path); }).empty();
  }
  CHECK(refused > 450);  // every chunk has a checksum
}
