#include "diffusion/samplers/dpm_solver.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::roundoff;

namespace {

constexpr noise_level start{0.3, 0.9};
constexpr noise_level end{0.8, 0.5};

/// What the weights make of x_from = 1 without noise and of the prediction f(λ).
template <class F>
double move(const detail::dpm_weights& w, std::span<const noise_level> levels, F f) {
  double x = w.x;
  for (std::size_t i = 0; i < levels.size(); ++i) x += w.f[i] * f(half_log_snr(levels[i]));
  return x;
}

/// The same by Simpson's rule over the definition. Along the ODE or SDE without its noise, with y = x/α and
/// ς = e^-λ: data   x_to = σ_to/σ_from e^-ηh + α_to (1+η) ∫ e^-(1+η)(λ_to-λ) f dλ
///          noise  x_to = α_to/α_from         - σ_to (1+η) ∫ e^(λ_to-λ) f dλ.
template <class F>
double integral(dpm_solver_form form, double eta, F f) {
  const double a = half_log_snr(start);
  const double b = half_log_snr(end);
  const bool data = form == dpm_solver_form::data;
  const auto integrand = [&](double l) {
    return (1 + eta) * f(l) *
           (data ? end.alpha * std::exp(-(1 + eta) * (b - l)) : -end.sigma * std::exp(b - l));
  };
  const int n = 400;
  double sum = integrand(a) + integrand(b);
  for (int i = 1; i < n; ++i) sum += (i % 2 ? 4 : 2) * integrand(a + (b - a) * i / n);
  const double x = data ? end.sigma / start.sigma * std::exp(-eta * (b - a)) : end.alpha / start.alpha;
  return x + sum * (b - a) / (3 * n);
}

noise_level after(double half_log_snr_step) {
  return vp_level_from_log_snr(2 * (half_log_snr(start) + half_log_snr_step));
}

}  // namespace

TEST_CASE(
    "A step of order n is exact for predictions that are polynomials of degree n - 1 in the half log-SNR") {
  const auto constant = [](double) { return 0.7; };
  const auto line = [](double l) { return 0.7 - 1.3 * l; };
  const auto parabola = [](double l) { return 0.7 - 1.3 * l + 0.4 * l * l; };
  // Simpson's error is h⁵/(180 n⁴) times a fourth derivative of order 10, 1e-10.
  const double tolerance = 1e-9;
  for (const auto form : {dpm_solver_form::data, dpm_solver_form::noise})
    for (const double eta : {0.0, 0.5, 1.0})
      for (const bool behind : {true, false}) {
        CAPTURE(form, eta, behind);
        const noise_level levels[] = {start, after(behind ? -0.4 : 0.3), after(behind ? -1.1 : 0.8)};
        const std::span all(levels);
        const detail::dpm_integral i = detail::integrate(start, end, form, eta);
        const auto moved = [&](std::size_t n, auto f) {
          return move(detail::interpolate(i, all.first(n)), all.first(n), f);
        };
        CHECK(std::abs(moved(1, constant) - integral(form, eta, constant)) < tolerance);
        CHECK(std::abs(moved(2, line) - integral(form, eta, line)) < tolerance);
        CHECK(std::abs(moved(3, parabola) - integral(form, eta, parabola)) < tolerance);
        CHECK(std::abs(moved(2, parabola) - integral(form, eta, parabola)) > 1e-3);
      }
}

TEST_CASE("A perfect prediction keeps the marginals in either form of the SDE") {
  for (const double eta : {0.0, 0.5, 1.0, 2.0}) {
    // x_from = α x_0 + σ z_1 with x̂0 = x_0: the prediction carries no noise.
    const detail::dpm_integral data = detail::integrate(start, end, dpm_solver_form::data, eta);
    CHECK(std::abs(data.x * start.alpha + data.value - end.alpha) < 8 * roundoff<>);
    CHECK(std::abs(std::hypot(data.x * start.sigma, data.noise) - end.sigma) < 8 * roundoff<>);
  }
  // In noise form the perfect ε̂ is that of the state, z_1, and the ODE moves all of it.
  const detail::dpm_integral noise = detail::integrate(start, end, dpm_solver_form::noise, 0);
  CHECK(std::abs(noise.x * start.alpha - end.alpha) < 8 * roundoff<>);
  CHECK(std::abs(noise.x * start.sigma + noise.value - end.sigma) < 8 * roundoff<>);
}

TEST_CASE("The noise of two steps of the SDE is that of both together") {
  const noise_level middle{0.5, 0.7};
  for (const auto form : {dpm_solver_form::data, dpm_solver_form::noise})
    for (const double eta : {0.5, 1.0}) {
      const auto first = detail::integrate(start, middle, form, eta);
      const auto second = detail::integrate(middle, end, form, eta);
      const auto both = detail::integrate(start, end, form, eta);
      CHECK(second.x * first.x == Approx(both.x).epsilon(8 * roundoff<>));
      CHECK(std::hypot(second.x * first.noise, second.noise) == Approx(both.noise).epsilon(16 * roundoff<>));
    }
}

TEST_CASE("The noise of a short step has variance 2 η σ² per unit of the half log-SNR") {
  const double h = 1e-6;
  for (const auto form : {dpm_solver_form::data, dpm_solver_form::noise})
    for (const double eta : {0.5, 1.0}) {
      const noise_level near = after(h);
      const double noise = detail::integrate(start, near, form, eta).noise;
      // Higher terms are of order η h, the rounding of h itself 1e-16/h.
      CHECK(noise * noise / (2 * eta * near.sigma * near.sigma * h) == Approx(1).epsilon(4 * h));
    }
}

TEST_CASE("Predictions at an infinite distance or at the same level have no weight") {
  const detail::dpm_integral i = detail::integrate(start, end, dpm_solver_form::data, 0);
  const noise_level near = after(-0.4);
  const noise_level pure_noise{0, 1};
  const noise_level line[] = {start, near};
  const detail::dpm_weights expected = detail::interpolate(i, line);
  const auto check = [&](std::vector<noise_level> levels, std::array<double, 3> f) {
    support::check_close(detail::interpolate(i, levels).f, f, 4 * roundoff<>);
  };
  check({start, pure_noise}, {i.value, 0, 0});
  check({start, start}, {i.value, 0, 0});
  check({start, near, pure_noise}, {expected.f[0], expected.f[1], 0});
  check({start, start, near}, {expected.f[0], 0, expected.f[1]});
  check({start, near, near}, {expected.f[0], 0, expected.f[1]});
  const detail::dpm_integral nothing = detail::integrate(start, start, dpm_solver_form::noise, 1);
  const noise_level levels[] = {start, near, pure_noise};
  const detail::dpm_weights w = detail::interpolate(nothing, levels);
  CHECK(w.x == 1);
  CHECK(w.noise == 0);
  for (const double weight : w.f) CHECK(weight == 0);
}
