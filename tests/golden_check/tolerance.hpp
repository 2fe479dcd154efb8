#pragma once

#include <algorithm>
#include <limits>

#include "diffusion/prediction.hpp"

namespace golden {

/// How far a computed value may be from the recorded one: |difference| ≤ relative · scale, the scale being
/// the largest magnitude of the recorded array (or that of the element), but at least `floor`.
struct tolerance {
  double relative = 0;
  double floor = 0;
  bool per_element = false;
};

/// Precision that the peer computed in.
enum class precision { f64, f32 };

// Every tolerance of this program. None was chosen by looking at what passes; measured errors are in
// tests/golden/README.md.

/// f64: 1e-9. Peers agree among themselves and with us to about 1e-13; a wrong formula is off by far more.
/// f32: a table of ᾱ in single precision has the relative error 2⁻²⁴, so near clean data σ = √(1-ᾱ) with 1-ᾱ
/// = 1e-4 has 2⁻²⁴ / 2e-4 = 3e-4, and 1/α multiplies rounding by up to 1e3 at the noisy end.
[[nodiscard]] inline double base_tolerance(precision p) { return p == precision::f64 ? 1e-9 : 1e-2; }

/// Arrays of states, predictions, noise and means: rounding is relative to the terms that are summed, which
/// are of order 1 even where the sum is small.
[[nodiscard]] inline tolerance of_state(precision p) { return {base_tolerance(p), 1}; }

/// Tables of positive numbers spread over many orders of magnitude, and levels: every element by itself.
[[nodiscard]] inline tolerance of_table(precision p) { return {base_tolerance(p), 0, true}; }

/// Logarithms: an absolute error is the relative error of the argument.
[[nodiscard]] inline tolerance of_logarithm(precision p) { return {base_tolerance(p), 1, true}; }

/// Exception 1: x̂0 = (x - σ ε)/α from ε or score prediction. The rounding of the numerator, 2⁻⁵³ for each of
/// its terms and operations (8 in all), is divided by α. It exceeds 1e-9 from α < 9e-7 on: cosine schedules
/// of more than 5e4 steps and continuous time t = 1, where α = 6e-17 and x̂0 has no correct digit.
[[nodiscard]] inline tolerance of_x0(precision p, diffusion::prediction kind, double alpha) {
  const bool divides = kind == diffusion::prediction::epsilon || kind == diffusion::prediction::score;
  const double rounding = divides ? 8 * 0x1p-53 / alpha : 0;
  return {std::max(base_tolerance(p), rounding), 1};
}

/// Exception 2: ε̂ = (x - α x̂0)/σ, the same near clean data.
[[nodiscard]] inline tolerance of_epsilon(precision p, double sigma) {
  return {std::max(base_tolerance(p), 8 * 0x1p-53 / sigma), 1};
}

/// Exception 3: the end of a closed loop. `gain` is how much the run amplifies a change of its start; a step
/// adds rounding of 1e-13 at most.
[[nodiscard]] inline tolerance of_closed_loop(precision p, double gain, std::size_t steps) {
  return {std::max(base_tolerance(p), 1e-12 + 1e-13 * gain * static_cast<double>(steps)), 1};
}

}  // namespace golden
