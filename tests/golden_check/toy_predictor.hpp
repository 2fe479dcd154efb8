#pragma once

#include <span>
#include <string>
#include <vector>

#include "diffusion/noise_level.hpp"
#include "diffusion/rows.hpp"
#include "record.hpp"

namespace golden {

/// Second half of a model's output, where it has one.
enum class learned_output { none, value, log_value, log_range };

/// The exact model for data ~ Σ_k w_k N(m_k, c_k² I): E[x_0 | x] and E[ε | x], so that a recorded run can be
/// repeated without a network.
class toy_predictor {
 public:
  /// `size` is that of a flattened sample, `prediction` the schema's name of what the model returns.
  toy_predictor(const record& predictor, std::string prediction, learned_output learned, std::size_t size);

  /// Writes the output for every row of x at one level. Rows of `out` are twice as long with learned
  /// variance.
  void operator()(diffusion::rows<const double> x, diffusion::noise_level level,
                  diffusion::rows<double> out) const;

 private:
  struct component {
    double log_weight, std;
    std::vector<double> mean;
  };

  void predict_row(std::span<const double> x, diffusion::noise_level level, std::span<double> out) const;

  std::vector<component> components_;
  std::string prediction_;
  learned_output learned_;
};

}  // namespace golden
