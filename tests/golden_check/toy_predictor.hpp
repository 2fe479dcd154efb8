#pragma once

#include <span>
#include <string>
#include <vector>

#include "diffusion/prediction.hpp"
#include "diffusion/rows.hpp"
#include "record.hpp"
#include "support/gaussian_mixture.hpp"

namespace golden {

/// What a model returns, as the files name it. The library knows some of these;
/// from the others the recorded output is turned into x̂0 before the library sees it, as a network's
/// preconditioning would.
class model_output_kind {
 public:
  /// Options of the preconditioned kinds are read from the file.
  explicit model_output_kind(const record& file);

  /// What the library is told.
  [[nodiscard]] diffusion::prediction kind() const;
  /// The value that the model returns.
  [[nodiscard]] double value(diffusion::noise_level level, double x, double x0, double epsilon) const;
  /// Turns outputs into what kind() says, in place.
  void convert(diffusion::noise_level level, diffusion::rows<const double> x,
               diffusion::rows<double> output) const;

 private:
  struct scalings {
    double skip, out;
  };
  /// x̂0 = skip · x + out · output.
  [[nodiscard]] scalings preconditioning(diffusion::noise_level level) const;
  [[nodiscard]] bool preconditioned() const;

  std::string name_;
  double sign_ = 1;
  double sigma_data_ = 0.5;
  double sigma_min_ = 0;
};

/// Second half of a model's output, where it has one.
enum class learned_output { none, value, log_value, log_range };

/// Reads data ~ Σ_k w_k N(m_k, c_k² I); `size` is that of a flattened sample.
[[nodiscard]] support::gaussian_mixture read_mixture(const record& predictor, std::size_t size);

/// The exact model for such data: E[x_0 | x] and E[ε | x], so that a recorded run can be
/// repeated without a network.
class toy_predictor {
 public:
  /// `size` is that of a flattened sample.
  toy_predictor(const record& predictor, model_output_kind model, learned_output learned, std::size_t size);

  /// Writes the output for every row of x at one level. Rows of `out` are twice as long with learned
  /// variance.
  void operator()(diffusion::rows<const double> x, diffusion::noise_level level,
                  diffusion::rows<double> out) const;

 private:
  void predict_row(std::span<const double> x, diffusion::noise_level level, std::span<double> out) const;

  support::gaussian_mixture data_;
  model_output_kind model_;
  learned_output learned_;
};

}  // namespace golden
