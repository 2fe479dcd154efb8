#include "diffusion/divergence.hpp"

#include <array>
#include <numeric>

#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/gaussian_mixture.hpp"
#include "support/oracle.hpp"
#include "support/plan.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

namespace {

const support::gaussian_mixture data{
    {{0.5, 0.2, {1.0, 0.9, 0.4}}, {0.3, 0.35, {0.5, -0.8, -0.8}}, {0.2, 0.5, {-0.7, -0.3, 1.0}}}};
const std::vector<double> x{0.3, 0.1, 0.2};
const std::array levels{noise_level{1, 0.5}, support::vp_point(0.7).level, noise_level{0.6, 0.4}};

struct measured {
  std::vector<double> epsilon, divergence;
};
template <Scalar T = double, class P>
measured measure(P predictor, std::span<const double> at, noise_level level, const divergence_method& method,
                 std::uint64_t sample = 0) {
  epsilon_divergence<T> of(probes_of<T>(method, at.size(), sample));
  measured found{std::vector<double>(at.size()), std::vector<double>(of.estimates())};
  of(predictor, at, time_point<double>{0, level}, found.epsilon, found.divergence);
  return found;
}

/// ∂E[ε | x]ᵢ/∂xⱼ from differences of the densities' closed form.
double difference(noise_level level, std::size_t i, std::size_t j) {
  constexpr double h = 1e-3;
  const auto epsilon_at = [&](double shift) {
    auto moved = x;
    moved[j] += shift;
    std::vector<double> x0(3), epsilon(3);
    data.expect(moved, level, x0, epsilon);
    return epsilon[i];
  };
  return (8 * (epsilon_at(h) - epsilon_at(-h)) - (epsilon_at(2 * h) - epsilon_at(-2 * h))) / (12 * h);
}

std::vector<double> jacobian(noise_level level) {
  std::vector<double> j;
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t column = 0; column < 3; ++column) j.push_back(difference(level, row, column));
  return j;
}

}  // namespace

TEST_CASE("The exact divergence is the trace of the Jacobian, whatever the network predicts") {
  for (const noise_level level : levels) {
    const auto j = jacobian(level);
    std::vector<double> x0(3), epsilon(3);
    data.expect(x, level, x0, epsilon);
    for (const auto& [kind_name, kind] : prediction_names) {
      CAPTURE(std::string(kind_name), level.alpha, level.sigma);
      const auto found =
          measure(predicts(kind, support::mixture_network{data, kind}), x, level, exact_divergence{});
      check_close(found.epsilon, epsilon, 1e-13);
      // Differences of order 4 with h = 1e-3: h⁴/30 times a fifth derivative up to 4!·(1/σ)⁵.
      check_close(found.divergence, std::vector{j[0] + j[4] + j[8]}, 1e-12 * 24 / std::pow(level.sigma, 5));
    }
  }
}

TEST_CASE("Hutchinson's estimate has the trace for its mean and the variance that theory gives it") {
  const noise_level level = levels[1];
  const auto j = jacobian(level);
  double trace = 0;
  double squares = 0;
  double diagonal = 0;
  for (std::size_t i = 0; i < 9; ++i) squares += j[i] * j[i];
  for (std::size_t i = 0; i < 3; ++i) {
    trace += j[4 * i];
    diagonal += j[4 * i] * j[4 * i];
  }
  constexpr std::size_t n = 20'000;
  const support::mixture_network network{data};
  for (const auto distribution : {probe_distribution::rademacher, probe_distribution::gaussian}) {
    const auto found = measure(network, x, level, hutchinson{n, distribution, 3}).divergence;
    const double mean = std::accumulate(found.begin(), found.end(), 0.0) / n;
    double variance = 0;
    for (const double estimate : found) variance += (estimate - mean) * (estimate - mean) / (n - 1);
    // For a symmetric J: twice its squares, for signs without those of the diagonal.
    const double expected = 2 * (distribution == probe_distribution::gaussian ? squares : squares - diagonal);
    // Four standard errors. Quadratic forms of normals have a kurtosis of at most 15, that of a square.
    CHECK(mean == Approx(trace).margin(4 * std::sqrt(expected / n)));
    CHECK(variance == Approx(expected).epsilon(4 * std::sqrt(14.0 / n)));
  }
}

TEMPLATE_TEST_CASE("Every Rademacher probe is exact where the Jacobian is diagonal", "", float, double) {
  using T = TestType;
  const support::gaussian normal{0.2, 0.6};
  const support::gaussian_mixture single{{{1, 0.6, std::vector<double>(33, 0.2)}}};
  const auto at = support::normals(33);
  for (const auto& [kind_name, kind] : prediction_names) {
    const auto network = predicts(kind, support::mixture_network{single, kind});
    const double expected = 33 * (normal(1, levels[1]).epsilon - normal(0, levels[1]).epsilon);
    const auto found = measure<T>(network, at, levels[1], hutchinson{5});
    // 33 products of numbers below 2, each rounded to T.
    check_close(found.divergence, std::vector<double>(5, expected), 33 * 8 * support::roundoff<T>);
    check_close(measure<T>(network, at, levels[1], exact_divergence{}).divergence, std::vector{expected},
                33 * 8 * support::roundoff<T>);
  }
}

TEST_CASE("Probes are addressed: they depend on the seed, the sample and their number alone") {
  for (const auto distribution : {probe_distribution::rademacher, probe_distribution::gaussian}) {
    const hutchinson method{3, distribution, 7};
    const auto probes = probes_of<double>(method, 300, 5);
    CHECK(probes.count == 3);
    CHECK_FALSE(probes.exact);
    auto one = method;
    one.probes = 1;
    support::check_identical(probes_of<double>(one, 300, 5).values, std::span(probes.values).first(300));
    support::check_identical(probes_of<double>(one, 170, 5).values, std::span(probes.values).first(170));
    CHECK(probes_of<double>(method, 300, 6).values != probes.values);
    CHECK(probes_of<double>({hutchinson{3, distribution, 8}}, 300, 5).values != probes.values);
    CHECK(std::vector(probes.values.begin(), probes.values.begin() + 300) !=
          std::vector(probes.values.begin() + 300, probes.values.begin() + 600));
  }
  const auto unit = probes_of<float>(exact_divergence{}, 3, 5);
  CHECK(unit.exact);
  support::check_identical(unit.values, std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1});
}

TEST_CASE("The elements of Rademacher probes are fair signs and not correlated") {
  constexpr std::size_t n = 4096;
  const auto v = probes_of<double>(hutchinson{1}, n, 0).values;
  double sum = 0;
  for (const double value : v) {
    REQUIRE(std::abs(value) == 1);
    sum += value;
  }
  // Five standard deviations of a sum of n signs. The distances are those that share a bit or a word.
  CHECK(std::abs(sum) <= 5 * 64);
  for (const std::size_t distance : {1u, 2u, 16u, 31u, 32u, 64u, 128u, 1024u}) {
    double correlation = 0;
    for (std::size_t i = 0; i + distance < n; ++i) correlation += v[i] * v[i + distance];
    CAPTURE(distance);
    CHECK(std::abs(correlation) <= 5 * 64);
  }
}

TEST_CASE("A divergence allocates nothing and refuses what does not fit") {
  struct linear_network {
    void operator()(rows<const double> in, const time_point<double>&, rows<double> out) const {
      std::copy(in.data().begin(), in.data().end(), out.data().begin());
    }
    void vector_jacobian(rows<const double> in, const time_point<double>& at, rows<const double> v,
                         rows<double> out, rows<double> product) const {
      (*this)(in, at, out);
      std::copy(v.data().begin(), v.data().end(), product.data().begin());
    }
  };
  linear_network network;
  epsilon_divergence<double> of(probes_of<double>(hutchinson{2}, 3, 0));
  std::vector<double> epsilon(3), divergence(2);
  const time_point<double> at{0, levels[0]};
  const std::size_t before = support::allocations;
  of(network, x, at, epsilon, divergence);
  CHECK(support::allocations - before == 0);
  support::check_identical(epsilon, x);
  support::check_identical(divergence, std::vector<double>{3, 3});
  check_refused([&] { return of(network, std::span(x).first(2), at, epsilon, divergence), 0; },
                {"size of x = 2, allowed: 3"});
  check_refused([&] { return of(network, x, at, divergence, divergence), 0; },
                {"size of epsilon = 2, allowed: 3"});
  check_refused([&] { return of(network, x, at, epsilon, epsilon), 0; },
                {"size of divergence = 3, allowed: 2"});
  check_refused([] { return probes_of<double>(hutchinson{0}, 3, 0).count; }, {"probes = 0", "[1, 2^32)"});
  check_refused([&] { return measure(support::mixture_network{data}, {}, levels[0], hutchinson{1}).epsilon; },
                {"size of rows = 0"});
}
