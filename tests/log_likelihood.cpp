#include "diffusion/log_likelihood.hpp"

#include <limits>

#include "diffusion/schedules/sigma.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/gaussian_mixture.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

namespace {

/// The perfect network for data N(0, 0.5² I) in a variance exploding process: ε̂ = σ x/(0.25 + σ²).
struct gaussian_network {
  template <class T>
  void operator()(rows<const T> x, const time_point<double>& at, rows<T> out) const {
    scale(x, at, out);
  }
  template <class T>
  void vector_jacobian(rows<const T> x, const time_point<double>& at, rows<const T> v, rows<T> out,
                       rows<T> product) const {
    scale(x, at, out);
    scale(v, at, product);
  }
  template <class T>
  static void scale(rows<const T> from, const time_point<double>& at, rows<T> to) {
    const double s = at.level.sigma;
    for (std::size_t i = 0; i < from.data().size(); ++i)
      to.data()[i] = static_cast<T>(s / (0.25 + s * s) * static_cast<double>(from.data()[i]));
  }
};

const gaussian_network network;

auto flow_of(const divergence_method& method, std::size_t dimensions) {
  return probability_flow<double, sigma_schedule, const gaussian_network>(
      sigma_schedule{}, network, probes_of<double>(method, dimensions, 0));
}

/// n steps of the classical method of Runge and Kutta over log σ: any solver will do.
template <class Flow>
std::vector<double> solve(Flow& flow, std::vector<double> state, double from, double to, int n) {
  const double h = std::log(to / from) / n;
  std::vector<double> at(state.size());
  std::vector<std::vector<double>> k(4, at);
  for (int step = 0; step < n; ++step) {
    const double u = std::log(from) + h * step;
    flow(state, k[0], u);
    for (std::size_t j = 1; j < 4; ++j) {
      const double part = j == 3 ? h : h / 2;
      for (std::size_t i = 0; i < state.size(); ++i) at[i] = state[i] + part * k[j - 1][i];
      flow(at, k[j], u + part);
    }
    for (std::size_t i = 0; i < state.size(); ++i)
      state[i] += h / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
  }
  return state;
}

}  // namespace

TEST_CASE("A fixed-step solver finds flow and density of Gaussian data with its order") {
  const std::vector<double> x{0.3, -0.8, 0.1};
  const sigma_range range{0.1, 10};
  // The flow of a Gaussian scales it to its new deviation.
  const double growth = std::sqrt((0.25 + 100) / (0.25 + 0.01));
  double before = 0;
  double volume_before = 0;
  for (const int n : {16, 32, 64}) {
    auto flow = flow_of(exact_divergence{}, 3);
    const auto end = solve(flow, flow.start(x, range.min), range.min, range.max, n);
    const auto result = flow.result(end, range);
    CHECK(result.evaluations == std::size_t(4 * n));
    support::check_identical(result.latent, std::span(end).first(3));
    const double error = std::abs(result.latent[1] / (growth * x[1]) - 1);
    const double volume_error = std::abs(result.log_volume / (3 * std::log(growth)) - 1);
    if (n > 16) {
      CAPTURE(n, error, before, volume_error, volume_before);
      CHECK(support::order_of(before, error) == Approx(4).margin(0.4));
      CHECK(support::order_of(volume_before, volume_error) == Approx(4).margin(0.4));
    }
    before = error;
    volume_before = volume_error;
  }
}

TEST_CASE("The result is the prior of the latent and the volume, for one estimate or the mean of several") {
  const std::vector<double> end{0.5, -1, 2, 7, 8, 12};  // of three values and three probes
  const auto flow = flow_of(hutchinson{3}, 3);
  const auto result = flow.result(end, {0.1, 2});
  support::check_identical(result.latent, std::vector<double>{0.5, -1, 2});
  CHECK(result.log_volume == Approx(9).epsilon(1e-15));
  // Σ (ℓ - 9)² = 14 over 3 · 2.
  CHECK(result.standard_error == Approx(std::sqrt(14.0 / 6)).epsilon(1e-15));
  const double prior = -(0.25 + 1 + 4) / 8 - 1.5 * std::log(2 * std::numbers::pi * 4);
  CHECK(result.log_likelihood == Approx(9 + prior).epsilon(1e-15));

  const std::vector<double> single{0.5, -1, 2, 7};
  CHECK(flow_of(exact_divergence{}, 3).result(single, {0.1, 2}).standard_error == 0);
  CHECK(std::isnan(flow_of(hutchinson{1}, 3).result(single, {0.1, 2}).standard_error));
}

TEST_CASE("The derivatives of a flow allocate nothing") {
  auto flow = flow_of(hutchinson{2}, 3);
  const std::vector<double> state{1, 2, 3, 0, 0};
  std::vector<double> derivative(5);
  const std::size_t before = support::allocations;
  flow(state, derivative, 0.0);
  CHECK(support::allocations - before == 0);
  // At σ = 1: dy/du = σ ε̂ = y/1.25, dℓ/du = 3/1.25.
  check_close(derivative, std::vector<double>{0.8, 1.6, 2.4, 2.4, 2.4}, 4 * support::roundoff<>, 0);
}

TEST_CASE("A flow refuses states of the wrong size, levels without a flow, and networks that fail") {
  auto flow = flow_of(exact_divergence{}, 3);
  std::vector<double> four(4), three(3);
  check_refused([&] { return flow.start(std::span(four), 1); }, {"size of x = 4, allowed: 3"});
  check_refused([&] { return flow(three, four, 0.0), 0; }, {"size of state = 3, allowed: 4"});
  check_refused([&] { return flow(four, three, 0.0), 0; }, {"size of derivative = 3, allowed: 4"});
  check_refused([&] { return flow.result(three, {1, 2}); }, {"size of state = 3, allowed: 4"});
  four[1] = std::numeric_limits<double>::quiet_NaN();
  check_refused([&] { return flow(four, four, std::log(2.0)), 0; },
                {"derivative at sigma / alpha = 2", "= nan, allowed: finite"});
}
