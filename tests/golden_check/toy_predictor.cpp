#include "toy_predictor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace golden {

namespace {

/// What a model of this kind returns, given the conditional expectations of x_0 and ε.
double model_value(const std::string& prediction, diffusion::noise_level level, double x0, double epsilon) {
  const auto [a, s] = level;
  if (prediction == "epsilon") return epsilon;
  if (prediction == "sample") return x0;
  if (prediction == "v") return (a * epsilon - s * x0) / std::hypot(a, s);
  if (prediction == "flow") return epsilon - x0;
  if (prediction == "score") return -epsilon / s;
  throw unsupported("prediction \"" + prediction + '"');
}

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

toy_predictor::toy_predictor(const record& predictor, std::string prediction, learned_output learned,
                             std::size_t size)
    : prediction_(std::move(prediction)), learned_(learned) {
  if (const std::string kind = predictor.text("kind"); kind != "gmm")
    throw unsupported("predictor kind \"" + kind + '"');
  const std::vector<double> weights = predictor.numbers("weights");
  const std::vector<double> stds = predictor.numbers("stds", weights.size());
  std::vector<std::vector<double>> means = predictor.matrix("means", weights.size(), size);
  predictor.refuse_unknown_keys();
  if (weights.empty()) predictor.fail("weights", "expected at least one");
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (!(weights[k] > 0)) predictor.fail("weights", "expected positive numbers");
    if (!(stds[k] > 0)) predictor.fail("stds", "expected positive numbers");
    components_.push_back({std::log(weights[k]), stds[k], std::move(means[k])});
  }
}

void toy_predictor::predict_row(std::span<const double> x, diffusion::noise_level level,
                                std::span<double> out) const {
  const auto [a, s] = level;
  const auto variance = [&, a = a, s = s](const component& c) { return a * a * c.std * c.std + s * s; };
  std::vector<double> responsibility;
  double largest = -std::numeric_limits<double>::infinity();
  for (const component& c : components_) {
    const double v = variance(c);
    double squares = 0;
    for (std::size_t i = 0; i < x.size(); ++i) squares += std::pow(x[i] - a * c.mean[i], 2);
    const double size = static_cast<double>(x.size());
    responsibility.push_back(c.log_weight - size / 2 * std::log(v) - squares / (2 * v));
    largest = std::max(largest, responsibility.back());
  }
  double total = 0;
  for (double& r : responsibility) total += r = std::exp(r - largest);
  for (std::size_t i = 0; i < x.size(); ++i) {
    double x0 = 0;
    double epsilon = 0;
    for (std::size_t k = 0; k < components_.size(); ++k) {
      const component& c = components_[k];
      const double r = responsibility[k] / total;
      const double deviation = (x[i] - a * c.mean[i]) / variance(c);
      x0 += r * (c.mean[i] + a * c.std * c.std * deviation);
      epsilon += r * s * deviation;
    }
    out[i] = model_value(prediction_, level, x0, epsilon);
  }
  for (std::size_t i = x.size(); i < out.size(); ++i) out[i] = learned_value(learned_, x[i - x.size()]);
}

void toy_predictor::operator()(diffusion::rows<const double> x, diffusion::noise_level level,
                               diffusion::rows<double> out) const {
  for (std::size_t i = 0; i < x.count(); ++i) predict_row(x[i], level, out[i]);
}

}  // namespace golden
