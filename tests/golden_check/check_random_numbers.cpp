// Family rng.

#include <array>
#include <charconv>
#include <limits>
#include <random>
#include <span>
#include <utility>

#include "diffusion/random/numpy.hpp"
#include "diffusion/random/philox.hpp"
#include "diffusion/random/torch_cpu.hpp"
#include "families.hpp"

namespace golden {

namespace {

template <class Word>
Word read_word(const record& entry, const std::string& key, const std::string& text) {
  Word word{};
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, word, 16);
  if (error != std::errc() || end != last)
    entry.fail(key, "expected " + std::to_string(8 * sizeof(Word)) + "-bit hexadecimal words");
  return word;
}

template <class Word, std::size_t N>
std::array<Word, N> read_words(const record& entry, const std::string& key) {
  std::array<Word, N> words{};
  const std::vector<std::string> texts = entry.texts(key, N);
  for (std::size_t i = 0; i < N; ++i) words[i] = read_word<Word>(entry, key, texts[i]);
  return words;
}

/// Words as numbers that fit into a double: the halves of a word of 64 bits.
template <class Words>
std::vector<double> halves(const Words& words) {
  std::vector<double> values;
  for (const std::uint64_t word : words) {
    values.push_back(static_cast<double>(word >> 32));
    values.push_back(static_cast<double>(word & 0xFFFFFFFF));
  }
  return values;
}

void check_philox4x32(const record& file, report& result) {
  (void)file.choice("dtype", {"u32"});
  const std::vector<record> vectors = file.objects("vectors");
  file.refuse_unknown_keys();
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const auto counter = read_words<std::uint32_t, 4>(vectors[i], "counter");
    const auto key = read_words<std::uint32_t, 2>(vectors[i], "key");
    const auto expected = read_words<std::uint32_t, 4>(vectors[i], "out");
    vectors[i].inform({"known_answer"});
    vectors[i].refuse_unknown_keys();
    const auto found = diffusion::philox4x32(counter, key);
    result.compare("vectors[" + std::to_string(i) + "].out",
                   std::vector<double>(expected.begin(), expected.end()),
                   std::vector<double>(found.begin(), found.end()), {});
  }
}

void check_numpy_philox(const record& file, report& result) {
  (void)file.choice("dtype", {"u64"});
  constexpr std::size_t words = 12;
  const auto key = read_words<std::uint64_t, 2>(file, "key");
  const auto counter = read_words<std::uint64_t, 4>(file, "counter");
  const auto expected = read_words<std::uint64_t, words>(file, "raw");
  const std::vector<double> uniforms = file.numbers("random");
  file.refuse_unknown_keys();
  diffusion::numpy_philox generator(key, counter);
  diffusion::numpy_philox again = generator;
  std::array<std::uint64_t, words> raw{};
  for (std::uint64_t& word : raw) word = generator.random_raw();
  result.compare("raw", halves(expected), halves(raw), {});
  std::vector<double> found(uniforms.size());
  again.rand(found);
  result.compare("random", uniforms, found, {});
}

std::uint32_t read_seed(const record& file) {
  return static_cast<std::uint32_t>(file.integer("seed", 0, std::numeric_limits<int>::max()));
}

void check_numpy_legacy(const record& file, report& result) {
  (void)file.choice("dtype", {"f64"});
  const std::uint32_t seed = read_seed(file);
  const std::vector<double> raw = file.numbers("raw_u32");
  const std::vector<double> uniforms = file.numbers("random_sample");
  const std::vector<double> normals = file.numbers("randn");
  file.refuse_unknown_keys();
  std::vector<double> found(raw.size());
  std::mt19937 engine(seed);
  for (double& word : found) word = static_cast<double>(engine());
  result.compare("raw_u32", raw, found, {});
  found.resize(uniforms.size());
  diffusion::numpy_random_state(seed).rand(found);
  result.compare("random_sample", uniforms, found, {});
  found.resize(normals.size());
  diffusion::numpy_random_state(seed).randn(found);
  result.compare("randn", normals, found, of_normals(precision::f64));
}

/// Calls of `draw` of these sizes on a new generator, one after the other.
template <class T, class Draw>
void check_calls(const std::string& what, std::vector<double> expected, const std::vector<std::size_t>& sizes,
                 std::uint32_t seed, Draw draw, tolerance allowed, report& result) {
  for (double& value : expected) value = double{static_cast<T>(value)};  // the decimals name a T
  diffusion::torch_cpu_generator generator(seed);
  std::vector<double> found;
  for (const std::size_t size : sizes) {
    std::vector<T> values(size);
    draw(generator, std::span<T>(values));
    found.insert(found.end(), values.begin(), values.end());
  }
  result.compare(what, expected, found, allowed);
}

void check_torch_cpu(const record& file, report& result) {
  (void)file.choice("dtype", {"f32"});
  const std::uint32_t seed = read_seed(file);
  const auto rand = [](auto& generator, auto out) { generator.rand(out); };
  const auto randn = [](auto& generator, auto out) { generator.randn(out); };
  check_calls<float>("rand_f32", file.numbers("rand_f32", 10), {10}, seed, rand, {}, result);
  check_calls<double>("rand_f64", file.numbers("rand_f64", 10), {10}, seed, rand, {}, result);
  const tolerance narrow = of_normals(precision::f32);
  const tolerance wide = of_normals(precision::f64);
  const record floats = file.object("randn_f32");
  const record doubles = file.object("randn_f64");
  for (const std::size_t size : {1U, 5U, 15U, 16U, 17U, 100U}) {
    const std::string key = std::to_string(size);
    check_calls<float>("randn_f32." + key, floats.numbers(key, size), {size}, seed, randn,
                       size < 16 ? narrow : tolerance{}, result);
    check_calls<double>("randn_f64." + key, doubles.numbers(key, size), {size}, seed, randn, wide, result);
  }
  floats.refuse_unknown_keys();
  doubles.refuse_unknown_keys();
  for (const auto& [key, sizes] : {std::pair{"randn_f32_5_then_5", std::vector<std::size_t>{5, 5}},
                                   std::pair{"randn_f32_17_then_3", std::vector<std::size_t>{17, 3}}})
    check_calls<float>(key, file.numbers(key, sizes[0] + sizes[1]), sizes, seed, randn, narrow, result);
  file.inform({"randint_0_1000", "randperm_20"});  // no noise: the library has neither
  file.refuse_unknown_keys();
}

}  // namespace

void check_random_numbers(const record& file, report& result) {
  const std::string kind =
      file.choice("kind", {"philox4x32_10", "numpy_philox4x64_10", "numpy_mt19937_legacy", "torch_cpu"});
  file.inform({"family", "name", "peer"});
  if (kind == "philox4x32_10") return check_philox4x32(file, result);
  if (kind == "numpy_philox4x64_10") return check_numpy_philox(file, result);
  if (kind == "numpy_mt19937_legacy") return check_numpy_legacy(file, result);
  check_torch_cpu(file, result);
}

}  // namespace golden
