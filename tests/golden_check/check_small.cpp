// Families embedding and rng.

#include <array>
#include <charconv>

#include "diffusion/random/philox.hpp"
#include "diffusion/timestep_embedding.hpp"
#include "families.hpp"

namespace golden {

namespace {

diffusion::timestep_embedding_options read_embedding_options(const record& entry) {
  const std::string variant = entry.choice("variant", {"cos_sin", "sin_cos_half_minus_one", "general"});
  diffusion::timestep_embedding_options options{.max_period = entry.number("max_period", 10000)};
  if (variant == "cos_sin") {
    options.cosine_first = true;
    options.frequency_shift = 0;
  } else if (variant == "general") {
    options.cosine_first = entry.flag("flip_sin_to_cos");
    options.frequency_shift = entry.number("downscale_freq_shift");
    options.scale = entry.number("scale", 1);
  }
  return options;
}

template <std::size_t N>
std::array<std::uint32_t, N> read_words(const record& entry, const std::string& key) {
  std::array<std::uint32_t, N> words{};
  const std::vector<std::string> texts = entry.texts(key, N);
  for (std::size_t i = 0; i < N; ++i) {
    const std::string& text = texts[i];
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, words[i], 16);
    if (error != std::errc() || end != last) entry.fail(key, "expected 32-bit hexadecimal words");
  }
  return words;
}

}  // namespace

void check_embedding(const record& file, report& result) {
  (void)file.choice("kind", {"sinusoidal"});
  const precision p = read_header(file);
  const std::vector<double> times = file.numbers("t");
  const std::vector<record> entries = file.objects("embeddings");
  file.refuse_unknown_keys();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const record& entry = entries[i];
    const auto options = read_embedding_options(entry);
    const auto dim = static_cast<std::size_t>(entry.integer("dim", 1, 1 << 20));
    const std::vector<std::vector<double>> values = entry.matrix("values", times.size(), dim);
    entry.inform({"peer"});
    entry.refuse_unknown_keys();
    for (std::size_t k = 0; k < times.size(); ++k) {
      std::vector<double> found(dim);
      diffusion::timestep_embedding(times[k], std::span(found), options);
      result.compare("embeddings[" + std::to_string(i) + "].values[" + std::to_string(k) + "]", values[k],
                     found, of_state(p));
    }
  }
}

void check_random_numbers(const record& file, report& result) {
  (void)file.choice("kind", {"philox4x32_10"});
  (void)file.choice("dtype", {"u32"});
  file.inform({"family", "name", "peer"});
  const std::vector<record> vectors = file.objects("vectors");
  file.refuse_unknown_keys();
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const auto counter = read_words<4>(vectors[i], "counter");
    const auto key = read_words<2>(vectors[i], "key");
    const auto expected = read_words<4>(vectors[i], "out");
    vectors[i].inform({"known_answer"});
    vectors[i].refuse_unknown_keys();
    const auto found = diffusion::philox4x32_10(counter, key);
    // Words fit into a double.
    result.compare("vectors[" + std::to_string(i) + "].out",
                   std::vector<double>(expected.begin(), expected.end()),
                   std::vector<double>(found.begin(), found.end()), {});
  }
}

}  // namespace golden
