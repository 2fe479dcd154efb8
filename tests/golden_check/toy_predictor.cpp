#include "toy_predictor.hpp"

#include <cmath>
#include <utility>

namespace golden {

namespace {

double learned_value(learned_output learned, double x) {
  switch (learned) {
    case learned_output::value:
      return 0.01 + 0.005 * std::tanh(x);
    case learned_output::log_value:
      return -3 + std::tanh(x);
    case learned_output::log_range:
      return 0.5 * std::tanh(x);
    case learned_output::none:
      break;
  }
  return 0;
}

}  // namespace

model_output_kind::model_output_kind(const record& file)
    : name_(file.choice("prediction", {"epsilon", "sample", "v", "flow", "score", "score_times_sigma", "edm",
                                       "edm_v", "consistency", "consistency_decoder", "trigflow"})) {
  if (name_ == "edm_v") sign_ = -1;
  if (preconditioned()) sigma_data_ = file.object("sampler").number("sigma_data", 0.5);
  if (name_ == "consistency") sigma_min_ = file.object("schedule").number("sigma_min");
  if (name_ == "flow" && file.object("schedule").flag("invert_sigmas", false)) sign_ = -1;
}

bool model_output_kind::preconditioned() const {
  return name_ == "edm" || name_ == "edm_v" || name_ == "consistency" || name_ == "consistency_decoder" ||
         name_ == "trigflow";
}

diffusion::prediction model_output_kind::kind() const {
  if (name_ == "epsilon" || name_ == "score_times_sigma") return diffusion::prediction::epsilon;
  if (name_ == "v") return diffusion::prediction::v;
  if (name_ == "flow") return diffusion::prediction::velocity;
  if (name_ == "score") return diffusion::prediction::score;
  return diffusion::prediction::x0;
}

model_output_kind::scalings model_output_kind::preconditioning(diffusion::noise_level level) const {
  const auto [a, s] = level;
  const double d = sigma_data_;
  if (name_ == "consistency") {
    const double above = s - sigma_min_;
    return {d * d / (above * above + d * d), above * d / std::hypot(s, d)};
  }
  if (name_ == "consistency_decoder") {
    const double noise_to_signal = s / a;  // of a variance preserving state
    return {d * d / (noise_to_signal * noise_to_signal + d * d) / a,
            noise_to_signal * d / std::hypot(noise_to_signal, d)};
  }
  return {d * d / (s * s + d * d), sign_ * s * d / std::hypot(s, d)};
}

double model_output_kind::value(diffusion::noise_level level, double x, double x0, double epsilon) const {
  const auto [a, s] = level;
  if (name_ == "epsilon") return epsilon;
  if (name_ == "sample") return x0;
  if (name_ == "v") return (a * epsilon - s * x0) / std::hypot(a, s);
  if (name_ == "flow") return sign_ * (epsilon - x0);
  if (name_ == "score") return -epsilon / s;
  if (name_ == "score_times_sigma") return -epsilon;
  if (name_ == "trigflow") return a * epsilon * sigma_data_ - s / sigma_data_ * x0;
  const scalings c = preconditioning(level);
  return (x0 - c.skip * x) / c.out;
}

void model_output_kind::convert(diffusion::noise_level level, diffusion::rows<const double> x,
                                diffusion::rows<double> output) const {
  const auto [a, s] = level;
  const auto each = [&](auto f) {
    for (std::size_t i = 0; i < x.count(); ++i)
      for (std::size_t j = 0; j < x.row_size(); ++j) output[i][j] = f(x[i][j], output[i][j]);
  };
  if (name_ == "v") {
    const double scale = std::hypot(a, s);  // the library's v is a ε - s x_0 at every level
    if (std::abs(scale - 1) > 1e-9) each([=](double, double v) { return v * scale; });
  } else if (name_ == "flow") {
    if (sign_ < 0) each([](double, double v) { return -v; });
  } else if (name_ == "score_times_sigma") {
    each([](double, double v) { return -v; });
  } else if (name_ == "trigflow") {
    each([a = a, s = s, d = sigma_data_](double state, double v) { return a * state - s / d * v; });
  } else if (preconditioned()) {
    const scalings c = preconditioning(level);
    each([=](double state, double f) { return c.skip * state + c.out * f; });
  }
}

support::gaussian_mixture read_mixture(const record& predictor, std::size_t size) {
  if (const std::string kind = predictor.text("kind"); kind != "gmm")
    throw unsupported("predictor kind \"" + kind + '"');
  const std::vector<double> weights = predictor.numbers("weights");
  const std::vector<double> stds = predictor.numbers("stds", weights.size());
  std::vector<std::vector<double>> means = predictor.matrix("means", weights.size(), size);
  predictor.refuse_unknown_keys();
  if (weights.empty()) predictor.fail("weights", "expected at least one");
  support::gaussian_mixture data;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (!(weights[k] > 0)) predictor.fail("weights", "expected positive numbers");
    if (!(stds[k] > 0)) predictor.fail("stds", "expected positive numbers");
    data.components.push_back({weights[k], stds[k], std::move(means[k])});
  }
  return data;
}

toy_predictor::toy_predictor(const record& predictor, model_output_kind model, learned_output learned,
                             std::size_t size)
    : data_(read_mixture(predictor, size)), model_(std::move(model)), learned_(learned) {}

void toy_predictor::predict_row(std::span<const double> x, diffusion::noise_level level,
                                std::span<double> out) const {
  std::vector<double> x0(x.size()), epsilon(x.size());
  data_.expect(x, level, x0, epsilon);
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = model_.value(level, x[i], x0[i], epsilon[i]);
  for (std::size_t i = x.size(); i < out.size(); ++i) out[i] = learned_value(learned_, x[i - x.size()]);
}

void toy_predictor::operator()(diffusion::rows<const double> x, diffusion::noise_level level,
                               diffusion::rows<double> out) const {
  for (std::size_t i = 0; i < x.count(); ++i) predict_row(x[i], level, out[i]);
}

}  // namespace golden
