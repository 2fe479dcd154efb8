// The IDX format of the MNIST files, plain or compressed with gzip: a big-endian header (magic number,
// extents), then one byte per element. http://yann.lecun.com/exdb/mnist
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace mnist {

/// Grey images, count x rows x cols, row-major, 0 = background.
struct idx_images {
  std::size_t count = 0, rows = 0, cols = 0;
  std::vector<std::uint8_t> pixels;
};

/// Images and the digit 0..9 that each one shows.
struct labelled_images {
  idx_images images;
  std::vector<std::uint8_t> labels;
};

namespace detail {

class idx_reader {
 public:
  explicit idx_reader(const std::filesystem::path& path) : path_(path.string()) {
    if (!std::filesystem::is_regular_file(path)) fail("not found, or not a regular file");
    file_.reset(gzopen(path_.c_str(), "rb"));
    if (!file_) fail("cannot be opened");
    // Deflate shrinks by a factor of 1032 at best: a header that promises more than this lies.
    const std::uint64_t length = std::filesystem::file_size(path);
    longest_ = std::min(gzdirect(file_.get()) ? length : length * 1032, std::uint64_t{1} << 30);
  }

  /// The extents behind the magic number, each at least 1 and their product at most what the file can hold.
  std::vector<std::size_t> extents(std::uint32_t magic, std::size_t number) {
    if (const auto found = big_endian(); found != magic)
      fail("magic number " + std::to_string(found) + ", expected " + std::to_string(magic));
    std::vector<std::size_t> result;
    std::uint64_t product = 1;
    for (std::size_t i = 0; i < number; ++i) {
      const std::uint32_t extent = big_endian();
      if (extent == 0 || extent > longest_ / product)
        fail("extent " + std::to_string(extent) + " does not fit the file");
      product *= extent;
      result.push_back(extent);
    }
    return result;
  }

  /// The remaining bytes, which must be exactly `size`.
  std::vector<std::uint8_t> rest(std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    read(bytes);
    std::uint8_t extra = 0;
    // Reading past the end also makes zlib verify the checksum; a missing one only shows as an error code.
    int code = Z_OK;
    const int more = gzread(file_.get(), &extra, 1);
    if (more > 0) fail("longer than its header says");
    gzerror(file_.get(), &code);
    if (more < 0 || code != Z_OK) fail("damaged");
    return bytes;
  }

  [[noreturn]] void fail(const std::string& reason) const { throw std::runtime_error(path_ + ": " + reason); }

 private:
  void read(std::span<std::uint8_t> to) {
    // At most 2^30 bytes, so the count fits into gzread's int.
    const int got = gzread(file_.get(), to.data(), static_cast<unsigned>(to.size()));
    if (got < 0) fail("damaged");
    if (static_cast<std::size_t>(got) != to.size()) fail("shorter than its header says");
  }

  std::uint32_t big_endian() {
    std::uint8_t b[4];
    read(b);
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

  struct closer {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, closer> file_;
  std::uint64_t longest_ = 0;
};

}  // namespace detail

/// Reads images (magic number 0x803). Throws std::runtime_error naming the file and the flaw unless the file
/// holds exactly what its header says (at most 1 GiB).
[[nodiscard]] inline idx_images read_idx_images(const std::filesystem::path& path) {
  detail::idx_reader reader(path);
  const auto extents = reader.extents(0x803, 3);
  return {.count = extents[0],
          .rows = extents[1],
          .cols = extents[2],
          .pixels = reader.rest(extents[0] * extents[1] * extents[2])};
}

/// Reads labels (magic number 0x801); throws like read_idx_images, also for a label above 9.
[[nodiscard]] inline std::vector<std::uint8_t> read_idx_labels(const std::filesystem::path& path) {
  detail::idx_reader reader(path);
  auto labels = reader.rest(reader.extents(0x801, 1)[0]);
  const auto wrong = std::find_if(labels.begin(), labels.end(), [](std::uint8_t label) { return label > 9; });
  if (wrong != labels.end())
    reader.fail("label " + std::to_string(*wrong) + " at position " + std::to_string(wrong - labels.begin()) +
                " (allowed: 0..9)");
  return labels;
}

/// Reads a pair of files; throws std::runtime_error also where their numbers of elements differ.
[[nodiscard]] inline labelled_images read_idx_pair(const std::filesystem::path& images,
                                                   const std::filesystem::path& labels) {
  labelled_images set{read_idx_images(images), read_idx_labels(labels)};
  if (set.images.count != set.labels.size())
    throw std::runtime_error(labels.string() + ": " + std::to_string(set.labels.size()) + " labels for the " +
                             std::to_string(set.images.count) + " images of " + images.string());
  return set;
}

}  // namespace mnist
