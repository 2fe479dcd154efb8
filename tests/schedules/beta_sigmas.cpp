#include "diffusion/schedules/beta_sigmas.hpp"

#include <numbers>

#include "support/check.hpp"

using namespace diffusion;
using diffusion::detail::beta_quantile;
using support::check_refused;

namespace {
// Newton's last step, the series and its powers each leave a few roundoffs.
constexpr double tolerance = 1e-14;
}  // namespace

TEST_CASE("Quantiles of beta distributions with closed forms are exact") {
  for (const double p : {1e-12, 1e-3, 0.1, 0.25, 0.5, 0.7, 0.999}) {
    CAPTURE(p);
    CHECK(beta_quantile(p, 1, 1) == Approx(p).epsilon(tolerance));
    for (const double shape : {0.3, 2.0, 17.0}) {
      CAPTURE(shape);
      // dx/x = dp/p · p/(x f(x)): a roundoff of p is magnified.
      const double power = std::pow(p, 1 / shape);
      CHECK(beta_quantile(p, shape, 1) == Approx(power).epsilon(tolerance * std::max(1.0, 1 / shape)));
      const double mirrored = -std::expm1(std::log1p(-p) / shape);
      const double density = shape * std::pow(1 - mirrored, shape - 1);
      CHECK(beta_quantile(p, 1, shape) ==
            Approx(mirrored).epsilon(tolerance * std::max(1.0, p / (mirrored * density))));
    }
    const double sine = std::sin(std::numbers::pi / 2 * p);  // Beta(1/2, 1/2) is the arcsine distribution
    CHECK(beta_quantile(p, 0.5, 0.5) == Approx(sine * sine).epsilon(tolerance));
  }
}

TEST_CASE("Quantiles of beta distributions agree with 40-digit arithmetic") {
  CHECK(beta_quantile(0.001, 0.6, 0.6) == Approx(0.000018558738517451997143).epsilon(tolerance));
  CHECK(beta_quantile(0.1, 0.6, 0.6) == Approx(0.039584405588780851714).epsilon(tolerance));
  CHECK(beta_quantile(0.25, 0.6, 0.6) == Approx(0.1756803786526950145).epsilon(tolerance));
  CHECK(beta_quantile(0.3, 2.5, 0.7) == Approx(0.70977589121488045238).epsilon(tolerance));
  CHECK(beta_quantile(0.9, 2.5, 0.7) == Approx(0.98604772602954570477).epsilon(tolerance));
  CHECK(beta_quantile(0.2, 30, 50) == Approx(0.32913307993765412422).epsilon(tolerance));
  CHECK(beta_quantile(0.7, 100, 3.25) == Approx(0.97921557061206486695).epsilon(tolerance));
  CHECK(beta_quantile(0.01, 0.05, 5) ==
        Approx(1.2890340234049673329e-41).epsilon(1e-13));  // to the 20th power
}

TEST_CASE("Quantiles of beta distributions are odd about the median and rise over all shapes") {
  CHECK(beta_quantile(0, 2, 3) == 0);
  CHECK(beta_quantile(1, 2, 3) == 1);
  for (const double a : {0.1, 0.6, 1.0, 5.0, 100.0})
    for (const double b : {0.1, 0.6, 1.0, 5.0, 100.0}) {
      CAPTURE(a, b);
      CHECK(beta_quantile(0.5, a, a) == Approx(0.5).epsilon(tolerance));
      double previous = 0;
      for (int i = 1; i < 64; ++i) {
        const double x = beta_quantile(i / 64.0, a, b);
        const double mirrored = 1 - beta_quantile(1 - i / 64.0, b, a);
        CHECK(std::abs(x - mirrored) <= tolerance);
        CHECK(x >= previous);
        previous = x;
      }
    }
}

TEST_CASE("Beta sigma reach both ends and crowd there") {
  const std::vector<double> sigmas = beta_sigmas(9, {.min = 1, .max = 3});
  CHECK(sigmas.front() == 3);
  CHECK(sigmas.back() == 1);
  CHECK(sigmas[4] == Approx(2).epsilon(tolerance));
  CHECK(sigmas[0] - sigmas[1] < sigmas[3] - sigmas[4]);
  CHECK(sigmas[7] - sigmas[8] < sigmas[4] - sigmas[5]);
  const std::vector<double> uniform = beta_sigmas(5, {.min = 1, .max = 3}, 1, 1);
  support::check_close(uniform, std::vector{3.0, 2.5, 2.0, 1.5, 1.0}, tolerance);
}

TEST_CASE("Illegal shapes of beta sigma are refused") {
  check_refused([] { return beta_sigmas(5, {}, 0); }, {"alpha = 0", "(0, 100]"});
  check_refused([] { return beta_sigmas(5, {}, 1, 101); }, {"beta = 101", "(0, 100]"});
  check_refused([] { return beta_sigmas(5, {.min = 0}); }, {"sigma_range.min = 0"});
  check_refused([] { return beta_quantile(1.5, 1, 1); }, {"p = 1.5", "[0, 1]"});
}
