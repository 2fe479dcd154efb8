// Families embedding and loss_weight.

#include <limits>

#include "diffusion/loss_weight.hpp"
#include "diffusion/timestep_embedding.hpp"
#include "families.hpp"
#include "grids.hpp"
#include "schedules.hpp"

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

void check_loss_weight(const record& file, report& result) {
  (void)file.choice("kind", {"min_snr"});
  const precision p = read_header(file);
  const auto schedule = read_schedule(file.object("schedule"));
  const std::string prediction = file.choice("prediction", {"epsilon", "sample", "v"});
  const double gamma = file.number("gamma", std::numeric_limits<double>::infinity());
  const std::vector<int> indices = file.integers("index", 0, schedule.steps() - 1);
  const std::vector<double> weights = file.numbers("weight", indices.size());
  file.refuse_unknown_keys();
  if (!(gamma > 0)) file.fail("gamma", "expected a positive number, or null for no limit");

  const auto kind = prediction == "epsilon"  ? diffusion::prediction::epsilon
                    : prediction == "sample" ? diffusion::prediction::x0
                                             : diffusion::prediction::v;
  std::vector<double> found;
  for (const int index : indices)
    found.push_back(diffusion::min_snr_weight(kind, schedule.level(time_of_index(index)), gamma));
  result.compare("weight", weights, found, of_table(p));
}

}  // namespace golden
