#include <zlib.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "io/idx.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

namespace {

std::string big_endian(const std::vector<std::uint32_t>& values) {
  std::string bytes;
  for (const auto value : values)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::string images_of(std::uint32_t count, std::uint32_t rows, std::uint32_t cols,
                      const std::string& pixels) {
  return big_endian({0x803, count, rows, cols}) + pixels;
}

/// `bytes` as a gzip file.
std::string zipped(const temporary_folder& folder, const std::string& bytes) {
  const auto path = folder / "zipped";
  const gzFile file = gzopen(path.c_str(), "wb9");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return read_bytes(path);
}

const std::string data = MNIST_DIR "/data/";

}  // namespace

TEST_CASE("IDX files are read plain and compressed", "[mnist][io]") {
  const temporary_folder folder;
  const std::string plain = images_of(2, 1, 3, "abcdef");
  for (const auto& bytes : {plain, zipped(folder, plain)}) {
    const auto images = mnist::read_idx_images(folder.write("images", bytes));
    CHECK(images.count == 2);
    CHECK(images.rows == 1);
    CHECK(images.cols == 3);
    CHECK(images.pixels == std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  }
  const auto labels = folder.write("labels", big_endian({0x801, 2}) + std::string("\0\11", 2));
  CHECK(mnist::read_idx_labels(labels) == std::vector<std::uint8_t>{0, 9});
  CHECK(mnist::read_idx_pair(folder / "images", labels).labels.size() == 2);
}

TEST_CASE("the bundled MNIST files hold 70,000 labelled digits", "[mnist][io]") {
  const auto train =
      mnist::read_idx_pair(data + "train-images-idx3-ubyte.gz", data + "train-labels-idx1-ubyte.gz");
  const auto test =
      mnist::read_idx_pair(data + "t10k-images-idx3-ubyte.gz", data + "t10k-labels-idx1-ubyte.gz");
  CHECK(train.images.count == 60000);
  CHECK(test.images.count == 10000);
  CHECK(train.images.rows == 28);
  CHECK(train.images.cols == 28);
  // The published counts of each digit in the test set.
  std::vector<int> histogram(10);
  for (const auto label : test.labels) ++histogram[label];
  CHECK(histogram == std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
}

TEST_CASE("hostile IDX files are refused with the file and the reason", "[mnist][io]") {
  const temporary_folder folder;
  const std::string good = images_of(2, 1, 3, "abcdef");
  const std::string good_zipped = zipped(folder, good);
  std::string wrong_sum = good_zipped;
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  struct hostile {
    std::string bytes, reason;
  };
  const std::vector<hostile> images{
      {"", "shorter"},
      {"\0\0\10", "shorter"},
      {big_endian({0x801, 2}) + "ab", "magic number 2049, expected 2051"},
      {good.substr(0, 15), "shorter"},
      {good.substr(0, 21), "shorter"},
      {good + "g", "longer"},
      {good_zipped.substr(0, 12), "shorter"},
      {good_zipped.substr(0, good_zipped.size() - 8), "damaged"},
      {wrong_sum, "damaged"},
      {zipped(folder, good + "g"), "longer"},
      {images_of(0, 1, 3, ""), "extent 0"},
      {images_of(2, 1, 0, ""), "extent 0"},
      {images_of(0xffffffff, 28, 28, "x"), "extent 4294967295"},
      {images_of(65536, 65536, 65536, "x"), "extent 65536"},
      {zipped(folder, images_of(65536, 65536, 1, "x")), "extent 65536"},
      {images_of(0x80000000, 0x80000000, 4, "x"), "extent 2147483648"},
      {images_of(1, 1 << 28, 4, "x"), "does not fit"},
  };
  for (const auto& [bytes, reason] : images) {
    const auto path = folder.write("hostile", bytes);
    const auto message = message_of([&] { (void)mnist::read_idx_images(path); });
    INFO(reason << " / " << message);
    CHECK(contains(message, path.string() + ": "));
    CHECK(contains(message, reason));
  }
  const auto bad_label = folder.write("labels", big_endian({0x801, 3}) + std::string("\1\12\2", 3));
  CHECK(contains(message_of([&] { (void)mnist::read_idx_labels(bad_label); }), "label 10 at position 1"));
  const auto three = folder.write("three", big_endian({0x801, 3}) + std::string("\1\3\2", 3));
  CHECK(contains(message_of([&] { (void)mnist::read_idx_pair(folder.write("two", good), three); }),
                 "3 labels for the 2 images"));
  CHECK(contains(message_of([&] { (void)mnist::read_idx_images(folder / "none"); }), "none: not found"));
  CHECK(contains(message_of([&] { (void)mnist::read_idx_images(folder.path()); }), "not a regular file"));
}

TEST_CASE("no damaged IDX file crashes the reader", "[mnist][io]") {
  const temporary_folder folder;
  const std::string plain = images_of(3, 4, 5, std::string(60, 'x'));
  const std::vector<std::string> valid{plain, zipped(folder, plain)};
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = valid[random() % 2];
    for (auto flips = random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random() & 255);
    if (random() % 3 == 0) bytes.resize(random() % bytes.size());
    const auto path = folder.write("fuzz", bytes);
    try {
      const auto images = mnist::read_idx_images(path);
      CHECK(images.pixels.size() == images.count * images.rows * images.cols);
    } catch (const std::runtime_error&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);  // every truncation, a third of the rounds, is at least a missing byte
}
