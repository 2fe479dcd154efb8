#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "diffusion/samplers/dpm_solver.hpp"

namespace diffusion {

/// How the steps of a batch follow from the errors of its samples.
enum class batch_error {
  each,   ///< a sample has steps of its own: the network sees one sample at a time
  worst,  ///< the sample with the largest error decides for all (Lu et al.'s code)
  mean,   ///< the root mean square over the batch decides for all (k-diffusion)
};

/// DPM-Solver-12 and -23 with error control (Lu et al. 2022a, appendix C; k-diffusion `sample_dpm_adaptive`):
/// every step is done with two orders, their difference is the error, and a PID controller proposes the
/// length of the next step in λ. How many evaluations that takes is only known afterwards: see
/// sample_adaptive.
struct dpm_adaptive {
  int order = 3;         ///< 2 or 3: evaluations per attempt
  double rtol = 0.05;    ///< error relative to |x/α|, [0, inf)
  double atol = 0.0078;  ///< error in units of the data, (0, inf): one of 256 grey values
  double h_init = 0.05;  ///< first step in λ, (0, inf)
  double pcoeff = 0, icoeff = 1, dcoeff = 0;      ///< of the controller, finite
  double accept_safety = 0.81;                    ///< a step is kept if it would shrink by no more, (0, 1]
  double eta = 0;                                 ///< ancestral noise, [0, inf)
  double s_noise = 1;                             ///< factor of fresh noise, [0, inf)
  dpm_solver_form form = dpm_solver_form::noise;  ///< ε̂, or x̂0 (DPM-Solver++)

  /// With `each`, the default, a sample never depends on the batch that it is in. With `worst` and `mean` it
  /// does, and the network sees the whole batch at once.
  batch_error batch = batch_error::each;
  std::size_t max_steps = 10'000;  ///< attempts per sample or batch, after which a run gives up
};

namespace detail {

inline void require_options(const dpm_adaptive& o) {
  const auto require = [](bool holds, const char* symbol, double value, const char* allowed) {
    if (!(holds && std::isfinite(value))) invalid(symbol, value, allowed);
  };
  if (o.order != 2 && o.order != 3) invalid("order", o.order, "2 or 3");
  require(o.rtol >= 0, "rtol", o.rtol, "[0, inf)");
  require(o.atol > 0, "atol", o.atol, "(0, inf)");
  require(o.h_init > 0, "h_init", o.h_init, "(0, inf)");
  require(true, "pcoeff", o.pcoeff, "(-inf, inf)");
  require(true, "icoeff", o.icoeff, "(-inf, inf)");
  require(true, "dcoeff", o.dcoeff, "(-inf, inf)");
  require(o.accept_safety > 0 && o.accept_safety <= 1, "accept_safety", o.accept_safety, "(0, 1]");
  require_solver_options(o.eta, o.s_noise);
  if (o.max_steps < 1) invalid("max_steps", o.max_steps, "at least 1");
}

/// Proposes step sizes from errors in units of the tolerance (Söderlind 2003).
struct step_size_controller {
  double h = 0;
  std::array<double, 3>
      inverse_errors{};  ///< of this and of the two accepted steps before; 0 before the first

  step_size_controller() = default;
  explicit step_size_controller(double first) : h(first) {}

  /// Whether a step with this error is good enough; sets the length of the next or of the repeated one.
  bool propose(double error, const dpm_adaptive& options) {
    const double order = options.eta > 0 ? 1.5 : options.order;
    const double inverse = 1 / (error + 1e-8);
    if (inverse_errors[2] == 0) inverse_errors.fill(inverse);
    inverse_errors[0] = inverse;
    const double wanted =
        std::pow(inverse_errors[0], (options.pcoeff + options.icoeff + options.dcoeff) / order) *
        std::pow(inverse_errors[1], -(options.pcoeff + 2 * options.dcoeff) / order) *
        std::pow(inverse_errors[2], options.dcoeff / order);
    const double factor = 1 + std::atan(wanted - 1);
    h *= factor;
    if (!(factor >= options.accept_safety)) return false;
    inverse_errors[2] = inverse_errors[1];
    inverse_errors[1] = inverse_errors[0];
    return true;
  }
};

/// An attempt from one level to another: its states as weights of the start and of one prediction each at the
/// start and inside. `level_at(u)` is the level at λ_from + u (λ_to - λ_from).
struct embedded_step {
  double second_at, third_at = 1;  ///< u of the second and, for order 3, the third evaluation
  dpm_weights second, third;       ///< the states there
  dpm_weights low;                 ///< the result of order - 1, for order 3 with the second evaluation
  dpm_weights high;                ///< the result of the order, with the last evaluation
};
template <class LevelAt>
[[nodiscard]] embedded_step make_embedded_step(const dpm_adaptive& options, LevelAt level_at) {
  const double second_at = options.order == 2 ? 1.0 / 2 : 1.0 / 3;
  const double third_at = 2.0 / 3;
  const noise_level from = level_at(0.0);
  const std::array<noise_level, 2> first{from, level_at(second_at)};
  const dpm_integral whole = integrate(from, level_at(1.0), options.form, 0);
  dpm_integral midpoint = whole;
  midpoint.slope = whole.value / 2;
  const dpm_weights second =
      interpolate(integrate(from, first[1], options.form, 0), std::span(first).first(1));
  if (options.order == 2)
    return {second_at,
            1,
            second,
            {},
            interpolate(whole, std::span(first).first(1)),
            interpolate(midpoint, first)};
  const std::array<noise_level, 2> last{from, level_at(third_at)};
  const dpm_weights third = interpolate(integrate(from, last[1], options.form, 0), first);
  return {second_at, third_at, second, third, interpolate(midpoint, first), interpolate(whole, last)};
}

}  // namespace detail
}  // namespace diffusion
