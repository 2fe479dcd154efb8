#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

namespace {

std::string little_endian(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

/// A file of that header and that many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  return little_endian(header.size()) + header + std::string(data, '\1');
}

template <class T>
mnist::tensor_entry entry(mnist::dtype type, std::vector<std::size_t> shape, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {type, std::move(shape), {bytes.begin(), bytes.end()}};
}

mnist::safetensors_file example() {
  mnist::safetensors_file file;
  file.tensors["empty"] = mnist::make_tensor({3, 0}, {});
  file.tensors["matrix"] = mnist::make_tensor({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  file.tensors["scalar"] = entry<double>(mnist::dtype::f64, {}, {0.1});
  file.tensors["whole"] = entry<std::int64_t>(mnist::dtype::i64, {2}, {-5, std::int64_t{1} << 53});
  file.tensors["bytes"] = entry<std::uint8_t>(mnist::dtype::u8, {3}, {0, 7, 255});
  file.tensors["short"] = entry<std::int32_t>(mnist::dtype::i32, {1}, {-3});
  file.metadata = {{"config", R"({"base": 6})"}, {"ünï", "\n\""}};
  return file;
}

}  // namespace

TEST_CASE("what was written as safetensors is read back", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder / "a.safetensors";
  const auto written = example();
  mnist::write_safetensors(path, written);
  const auto read = mnist::read_safetensors(path);
  CHECK(read.metadata == written.metadata);
  REQUIRE(read.tensors.size() == written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    INFO(name);
    CHECK(read.tensors.at(name).type == tensor.type);
    CHECK(read.tensors.at(name).shape == tensor.shape);
    CHECK(read.tensors.at(name).data == tensor.data);
  }
  CHECK(read.tensors.at("matrix").as<double>() == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(read.tensors.at("scalar").as<double>() == std::vector<double>{0.1});
  CHECK(read.tensors.at("scalar").as<float>() == std::vector<float>{0.1f});
  CHECK(read.tensors.at("whole").as<std::int64_t>() == std::vector<std::int64_t>{-5, std::int64_t{1} << 53});
  CHECK(read.tensors.at("bytes").as<float>() == std::vector<float>{0, 7, 255});
  CHECK(read.tensors.at("short").as<std::int64_t>() == std::vector<std::int64_t>{-3});
  CHECK(read.tensors.at("empty").as<float>().empty());

  mnist::write_safetensors(folder / "b.safetensors", read);
  CHECK(read_bytes(path) == read_bytes(folder / "b.safetensors"));
}

TEST_CASE("16-bit floating-point tensors are widened exactly", "[mnist][io]") {
  // 1, -2, the largest and the smallest numbers, -0, infinity: IEEE 754 binary16 and bfloat16 by hand.
  const auto half =
      entry<std::uint16_t>(mnist::dtype::f16, {7}, {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0xfc00});
  CHECK(half.as<float>() == std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f, -0.0f, -INFINITY});
  CHECK(std::signbit(half.as<float>()[5]));
  CHECK(std::isnan(entry<std::uint16_t>(mnist::dtype::f16, {1}, {0x7e00}).as<float>()[0]));
  const auto brain = entry<std::uint16_t>(mnist::dtype::bf16, {4}, {0x3f80, 0xc000, 0x4049, 0x0001});
  CHECK(brain.as<double>() == std::vector<double>{1, -2, 3.140625, 0x1p-133});
}

TEST_CASE("a floating-point tensor is not taken for integers", "[mnist][io]") {
  CHECK(contains(message_of([] { (void)mnist::make_tensor({1}, std::vector{1.0f}).as<std::int64_t>(); }),
                 "F32"));
}

TEST_CASE("a tensor whose shape does not fit its values is not written", "[mnist][io]") {
  const temporary_folder folder;
  CHECK_THROWS_AS(mnist::make_tensor({2, 2}, std::vector<float>(3)), std::invalid_argument);
  mnist::safetensors_file file;
  file.tensors["odd"] = {mnist::dtype::f32, {2}, std::vector<std::byte>(7)};
  CHECK_THROWS_AS(mnist::write_safetensors(folder / "x", file), std::invalid_argument);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("hostile safetensors files are refused with the file and the reason", "[mnist][io]") {
  const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  struct hostile {
    std::string bytes, reason;
  };
  const std::vector<hostile> table{
      {"", "shorter than 8 bytes"},
      {"1234567", "shorter than 8 bytes"},
      {little_endian(100) + "{}", "header of 100 bytes"},
      {little_endian(~std::uint64_t{0}) + "{}", "header of 18446744073709551615 bytes"},
      {little_endian(17 << 20) + std::string(17 << 20, ' '), "at most 16 MiB"},
      {file_of("", 0), "parse error"},
      {file_of("{", 0), "parse error"},
      {file_of("{} {}", 0), "parse error"},
      {file_of("[]", 0), "not a JSON object"},
      {file_of("7", 0), "not a JSON object"},
      {file_of("{\"\xff\":1}", 0), "UTF-8"},
      {file_of(std::string(1 << 20, '['), 0), "nested too deeply"},
      {file_of(R"({"a":{"shape":[[2]]}})", 0), "nested too deeply"},
      {file_of("{" + good + "," + good + "}", 8), "\"a\" appears twice"},
      {file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "\"dtype\" appears twice"},
      {file_of("{" + good + "}", 7), "outside"},
      {file_of("{" + good + "}", 9), "1 bytes behind the last tensor"},
      {file_of("{}", 1), "1 bytes behind the last tensor"},
      {file_of(R"({"a":7})", 0), "\"a\""},
      {file_of(R"({"a":{}})", 0), "dtype"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "data_offsets"},
      {file_of(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8), "unknown dtype \"F33\""},
      {file_of(R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", 8), "\"a\""},
      {file_of(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8), "not a list"},
      {file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "got -2"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "got 2.0"},
      {file_of(R"({"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})", 8), "got \"2\""},
      {file_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "does not fill"},
      {file_of(R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}})", 8), "does not fill"},
      {file_of(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,8]}})", 8), "does not fill"},
      // 2^62 + 2 elements of 4 bytes are 8 bytes modulo 2^64; so are 2^32 x 2^32 + 0, and a number beyond
      // 2^64.
      {file_of(R"({"a":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}})", 8),
       "does not fill"},
      {file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}})", 8),
       "does not fill"},
      {file_of(R"({"a":{"dtype":"F32","shape":[18446744073709551618],"data_offsets":[0,8]}})", 8),
       "expected a non-negative"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8),
       "not a list of the right length"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "outside"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}})", 8), "outside"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "overlap or hole"},
      {file_of("{" + good + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
       "overlap or hole"},
      {file_of("{" + good + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "overlap or hole"},
      {file_of("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16),
       "overlap or hole"},
      {file_of(R"({"__metadata__":{"x":1}})", 0), "__metadata__"},
      {file_of(R"({"__metadata__":[]})", 0), "__metadata__"},
  };
  const temporary_folder folder;
  for (const auto& [bytes, reason] : table) {
    const auto path = folder.write("hostile", bytes);
    const auto message = message_of([&] { (void)mnist::read_safetensors(path); });
    INFO(reason << " / " << message);
    CHECK(contains(message, path.string() + ": "));
    CHECK(contains(message, reason));
    CHECK_THROWS_AS(mnist::read_safetensors(path), std::runtime_error);
  }
  CHECK(mnist::read_safetensors(folder.write("good", file_of("{" + good + "}   ", 8))).tensors.size() == 1);
  CHECK(contains(message_of([&] { (void)mnist::read_safetensors(folder / "none"); }), "none: not found"));
  CHECK(contains(message_of([&] { (void)mnist::read_safetensors(folder.path()); }), "not a regular file"));
}

TEST_CASE("no damaged safetensors file crashes the reader", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder / "fuzz";
  mnist::write_safetensors(path, example());
  const std::string valid = read_bytes(path);
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = valid;
    for (auto flips = random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random() & 255);
    if (random() % 3 == 0) bytes.resize(random() % bytes.size());
    folder.write("fuzz", bytes);
    try {
      for (const auto& [name, tensor] : mnist::read_safetensors(path).tensors) (void)tensor.as<float>();
    } catch (const std::runtime_error&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);  // every truncation, a third of the rounds, is at least a missing byte
}

TEST_CASE("a file is replaced whole or left alone", "[mnist][io]") {
  const temporary_folder folder;
  const auto path = folder.write("kept", "old");
  const std::string text = "new content";
  SECTION("a written file replaces the old one and leaves nothing else") {
    mnist::write_file(path, std::as_bytes(std::span(text)));
    CHECK(read_bytes(path) == text);
  }
  SECTION("a check for permission leaves the old file") {
    mnist::require_writable(path);
    CHECK(read_bytes(path) == "old");
  }
  SECTION("a write that fails half way leaves the old file") {
    try {
      mnist::detail::temporary_file file(path);
      file.write(std::as_bytes(std::span(text)));
      throw std::runtime_error("half way");
    } catch (const std::runtime_error&) {
    }
    CHECK(read_bytes(path) == "old");
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("what cannot be written says so and names the file", "[mnist][io]") {
  const temporary_folder folder;
  const auto missing = folder / "no_such_folder/x";
  CHECK(contains(message_of([&] { mnist::require_writable(missing); }), missing.string()));
  CHECK(contains(message_of([&] { mnist::require_writable(folder.path()); }), "not a regular file"));
  CHECK(contains(message_of([&] { mnist::write_file("/dev/null", {}); }), "/dev/null"));
  CHECK(std::filesystem::is_character_file("/dev/null"));
}
