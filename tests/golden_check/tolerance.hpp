#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

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

/// f64: peers agree among themselves and with us to about 1e-13; a wrong formula is off by far more than
/// 1e-9. f32: the product ᾱ of T single-precision factors has a relative error of T · 2⁻²⁵, 1.2e-4 for T =
/// 4000.
[[nodiscard]] inline double base_tolerance(precision p) { return p == precision::f64 ? 1e-9 : 1e-3; }

/// Half the distance from 1 to the next number: the rounding of one operation.
[[nodiscard]] inline double unit_rounding(precision p) { return p == precision::f64 ? 0x1p-53 : 0x1p-24; }

/// Arrays of states, predictions, noise and means: rounding is relative to the terms that are summed, which
/// are of order 1 even where the sum is small.
[[nodiscard]] inline tolerance of_state(precision p) { return {base_tolerance(p), 1}; }

/// One step from the recorded state with the recorded output: independent implementations agree to 1e-12 of
/// the larger of 1 and the state in f64.
[[nodiscard]] inline tolerance of_open_loop(precision p) {
  return {p == precision::f64 ? 1e-12 : base_tolerance(p), 1};
}

/// The model recomputed from the recorded state: 4e-13 between implementations, of states
/// that may be large.
[[nodiscard]] inline tolerance of_model_output(precision p) {
  return {p == precision::f64 ? 1e-12 : base_tolerance(p), 1};
}

/// Times that need not be integers.
[[nodiscard]] inline tolerance of_fractional_times(precision p = precision::f64) {
  return {p == precision::f64 ? 1e-12 : base_tolerance(p), 1};
}

/// σ lists by formulas of σ: 2e-15 between implementations, twice that where the ends are
/// computed too.
[[nodiscard]] inline tolerance of_sigmas(precision p) {
  return {p == precision::f64 ? 4e-15 : base_tolerance(p), 0, true};
}

/// One σ of a list down to `smallest`, whose ends are from a table of `train_steps` ᾱ, or from exp(…) - 1.
/// The peers subtract from 1: 2⁻⁵³ over 1-ᾱ = σ²/(1+σ²) is the rounding of ᾱ. ᾱ has as many roundings as
/// factors, that of a last 1-β = 0.001 is 1000 times as large, and that of an exponent counts as many times
/// as it is large. The library sums logarithms. Rescaling to zero SNR rounds ᾱ three times more: its root is
/// shifted, scaled and squared.
[[nodiscard]] inline tolerance of_sigma(precision p, double sigma, double smallest, int train_steps,
                                        bool zero_snr = false) {
  tolerance allowed = of_sigmas(p);
  const double lost =
      (zero_snr ? 4 : 1) * (1 + smallest * smallest) / (smallest * smallest) + 8 * std::log1p(sigma * sigma);
  const double products = train_steps > 0 ? train_steps + 1000 : 0;
  if (p == precision::f32)  // the base has the products
    allowed.relative = std::max(allowed.relative, unit_rounding(p) * lost);
  else
    allowed.relative += unit_rounding(p) * (lost + products);
  return allowed;
}

/// Tables of positive numbers spread over many orders of magnitude, and levels: every element by itself.
[[nodiscard]] inline tolerance of_table(precision p) { return {base_tolerance(p), 0, true}; }

/// Logarithms: an absolute error is the relative error of the argument.
[[nodiscard]] inline tolerance as_logarithm(tolerance of_argument) { return {of_argument.relative, 1, true}; }

/// Random normals of the C library's log, sin and cos: each is good to an ulp, log counts half, and there are
/// three roundings. In f32 the double is rounded, by a neighbour's last bit perhaps to the next number.
[[nodiscard]] inline tolerance of_normals(precision p) {
  return {(p == precision::f64 ? 8 : 2) * unit_rounding(p), 0, true};
}

/// Scores of sets of images: sums of a few hundred products, and decompositions of matrices whose condition
/// costs four digits at most. The peers' root of a singular product turns rounding of 0 into its root, 1e-8
/// of the largest eigenvalue, for each of a few dimensions.
[[nodiscard]] inline tolerance of_scores(precision p, bool singular) {
  return {p == precision::f64 ? (singular ? 1e-6 : 1e-10) : base_tolerance(p)};
}

/// Exception 1: x̂0 = (x - σ ε)/α from ε or score prediction. The rounding of the numerator, u for each of its
/// terms and operations (8 in all), is relative to the state, √(α² + σ²), and divided by α. In f64 it exceeds
/// 1e-12 from σ/α > 1100 on, and has no correct digit at continuous time t = 1, where α = 6e-17.
[[nodiscard]] inline double x0_rounding(precision p, diffusion::prediction kind,
                                        diffusion::noise_level level) {
  const bool divides = kind == diffusion::prediction::epsilon || kind == diffusion::prediction::score;
  return divides ? 8 * unit_rounding(p) * std::hypot(level.alpha, level.sigma) / level.alpha : 0;
}

/// Exception 2: ε̂ = (x - α x̂0)/σ, the same near clean data.
[[nodiscard]] inline double epsilon_rounding(precision p, double sigma) {
  return 8 * unit_rounding(p) / sigma;
}

/// Exception 3: guided-diffusion rebuilds a respaced process from its betas, β = 1 - ᾱ_from/ᾱ_to, and so
/// rounds 1 - β to a multiple of 2⁻⁵³: the relative error of ᾱ_from is 2⁻⁵³/(1-β), doubled for the
/// subtraction before it. It exceeds 1e-9 where a step changes ᾱ by more than 4e6, as the first of a few over
/// a cosine schedule. At ᾱ_from = 0, β = 1 is exact.
[[nodiscard]] inline double respacing_rounding(diffusion::noise_level from, diffusion::noise_level to) {
  const double kept = from.alpha / to.alpha;
  return kept > 0 ? 2 * 0x1p-53 / (kept * kept) : 0;
}

/// Exception 4: levels from single-precision tables. σ = √(1-ᾱ) has the relative error u/(2σ²), doubled for
/// the product; α of a zero-SNR table is a difference of numbers up to 1.
[[nodiscard]] inline double level_rounding(precision p, diffusion::noise_level level) {
  if (p == precision::f64 || level.alpha == 0 || level.sigma == 0) return 0;
  const double u = unit_rounding(p);
  return std::max(u / (level.sigma * level.sigma), 8 * u / level.alpha);
}

/// Exception 5: the peers compute DDIM's weight of ε̂ as √(σ_to² - noise²), a difference with an absolute
/// error of 4 u; its root has 4 u divided by the root, √(4 u) = 2e-8 at most. It matters at η = 1 from zero
/// SNR, where the weight is exactly 0.
[[nodiscard]] inline double ddim_rounding(precision p, double sigma_to, double noise) {
  const double rounding = 4 * unit_rounding(p);
  const double weight = std::sqrt(std::max(sigma_to * sigma_to - noise * noise, 0.0));
  return noise > 0 ? rounding / std::max(weight, std::sqrt(rounding)) : 0;
}

/// Exception 8: a step sums terms as large as the state that it starts from, hypot(α, σ)/α times α of its
/// end, also where the sum is far smaller; and where the peers take σ through its logarithm and back, as they
/// do for points between two others, that has |ln σ/α| roundings more. In the ranges of most files that is
/// below 1e-12.
[[nodiscard]] inline double step_rounding(precision p, diffusion::noise_level from,
                                          diffusion::noise_level to) {
  if (from.alpha == 0 || from.sigma == 0) return 0;
  const double ratio = from.sigma / from.alpha;
  return 8 * unit_rounding(p) * to.alpha * std::hypot(1, ratio) * (1 + std::abs(std::log(ratio)));
}

/// Exception 9: the noise of a step between two σ that are equal up to rounding. Its variance is proportional
/// to the step 2h of ln SNR, which has the rounding of two logarithms: its root, σ √(2h), is off by δh/√(2h),
/// at most √(2 δh). Six standard deviations are the largest normal.
[[nodiscard]] inline double noise_rounding(precision p, diffusion::noise_level from,
                                           diffusion::noise_level to) {
  if (from.alpha == 0 || from.sigma == 0 || to.sigma == 0) return 0;
  const double ratio = to.sigma / to.alpha;
  const double h = std::abs(std::log(from.sigma / from.alpha) - std::log(ratio));
  const double rounding = 8 * unit_rounding(p) * (1 + std::abs(std::log(ratio)));
  return 6 * to.sigma * std::min(std::sqrt(2 * rounding), h > 0 ? rounding / std::sqrt(2 * h) : HUGE_VAL);
}

/// Exception 10: the ancestral DPM-2 goes to σ_down = √(σ_to² - σ_up²), whose terms cancel where the step is
/// long: its relative error is (σ_to/σ_down)² roundings, of which the middle has half, and the step divides
/// by that.
[[nodiscard]] inline double down_rounding(precision p, double sigma_from, double sigma_to, double eta) {
  const double up = eta * sigma_to * std::sqrt(1 - sigma_to * sigma_to / (sigma_from * sigma_from));
  const double down_squared = sigma_to * sigma_to - up * up;
  return down_squared > 0 ? 8 * unit_rounding(p) * sigma_from * sigma_to * sigma_to / down_squared : 0;
}

/// Exception 11: a polynomial through predictions at λ that are close to each other. The peers integrate its
/// powers of λ, up to `degree`, one by one, and divide by as many gaps between the λ. `weights` is the sum of
/// the magnitudes that come out. More than the base tolerance is no agreement.
[[nodiscard]] inline double history_rounding(precision p, double weights, std::size_t degree,
                                             double largest_log, double smallest_gap) {
  const double limit = p == precision::f64 ? base_tolerance(p) : 10 * base_tolerance(p);
  if (weights == 0 || !(smallest_gap > 0)) return 0;
  return std::min(limit,
                  8 * unit_rounding(p) * weights * std::pow(1 + largest_log / smallest_gap, double(degree)));
}

/// Exception 6: the end of a closed loop. `gain` is how much the run amplifies a change of its start; a step
/// adds rounding of 1e-13 at most. In f32 every step's levels are off by the tolerance above: ten times that.
/// Where a step may have more, or a run amplifies what comes later, `change` is what the rounding of every
/// step makes of the end if it has the same sign everywhere: see check_closed_loop.
[[nodiscard]] inline tolerance of_closed_loop(precision p, double gain, std::size_t steps, double change) {
  const double rounding = 1e-12 + 1e-13 * gain * static_cast<double>(steps);
  const double base = p == precision::f64 ? 0 : 10 * base_tolerance(p);
  return {std::max({base, rounding, change}), 1};
}

/// Exception 7: a closed loop starts after the steps whose x̂0 has no digit by exception 1:
/// what comes out of them is rounding noise, from every implementation another.
inline constexpr double no_digits = 0.1;

/// The same tolerance where rounding may be larger.
[[nodiscard]] inline tolerance at_least(tolerance t, double rounding) {
  t.relative = std::max(t.relative, rounding);
  return t;
}

}  // namespace golden
