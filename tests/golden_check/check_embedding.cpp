// Family embedding.

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

}  // namespace golden
