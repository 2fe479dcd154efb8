#include "diffusion/interop/odeint.hpp"

#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/flow.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "support/check.hpp"
#include "support/gaussian_mixture.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;
using support::gaussian_mixture;
using support::mixture_network;

namespace {

const sigma_schedule ve;
const continuous_schedule vp = continuous(linear_schedule(1000));
const flow_schedule rectified;
constexpr log_likelihood_options tight{.atol = 1e-9, .rtol = 1e-9};

/// Three components in general position.
gaussian_mixture mixture_in(std::size_t dimensions) {
  const auto z = support::normals(3 * dimensions, 11);
  const auto mean = [&](std::size_t k) {
    return std::vector<double>(z.begin() + std::ptrdiff_t(k * dimensions),
                               z.begin() + std::ptrdiff_t((k + 1) * dimensions));
  };
  return {{{0.5, 0.3, mean(0)}, {0.3, 0.6, mean(1)}, {0.2, 1.0, mean(2)}}};
}

/// `count` samples of it at a noise level, the first ones near its components.
std::vector<double> samples_of(const gaussian_mixture& data, std::size_t count, noise_level level) {
  const std::size_t d = data.components[0].mean.size();
  auto x = support::normals(count * d, 12);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto& c = data.components[i / d % data.components.size()];
    x[i] = level.alpha * c.mean[i % d] + std::sqrt(c.variance_at(level)) * x[i];
  }
  return x;
}

/// log q of the latent at the noisy end: VE at the same σ/α is x/α in every process.
double latent_density(const gaussian_mixture& data, const log_likelihood_result& result, double sigma) {
  return data.log_density(result.latent, {1, sigma});
}

}  // namespace

TEST_CASE("The log-density of Gaussian mixtures is exact to 1e-6 in 1 to 16 dimensions, in every process") {
  // From σ/α = 0.05 up to where the prior is exact: it neglects |m|/ς · |z| + d s²/2ς² = 1e-7.
  const sigma_range range{0.05, 1e8};
  for (const std::size_t d : {1u, 2u, 3u, 8u, 16u}) {
    const auto data = mixture_in(d);
    const auto check = [&](const auto& schedule, prediction kind) {
      const noise_level level = schedule.find(range.min).level;
      auto x = samples_of(data, 3, level);
      auto network = predicts(kind, mixture_network{data, kind});
      const auto found = log_likelihood(schedule, range, network, rows<double>(x, 3), tight);
      for (std::size_t i = 0; i < 3; ++i) {
        const double expected = data.log_density(std::span(x).subspan(i * d, d), level);
        CAPTURE(d, std::string(name(kind)), level.alpha, i, found[i].evaluations);
        CHECK(std::abs(found[i].log_likelihood - expected) <= 1e-6);
        CHECK(found[i].standard_error == 0);
      }
    };
    check(ve, prediction::epsilon);
    check(vp, prediction::v);
    check(rectified, prediction::velocity);
    for (const auto& [kind_name, kind] : prediction_names)
      if (d == 3) check(vp, kind);
  }
}

TEST_CASE("With the exact density of the latent for its prior the likelihood does not depend on the range") {
  const auto data = mixture_in(4);
  const noise_level level = vp.find(0.05).level;
  const auto x = samples_of(data, 1, level);
  const double expected = data.log_density(x, level);
  for (const double top : {0.05, 0.06, 1.0, 30.0}) {
    const auto found =
        log_likelihood(vp, {0.05, top}, mixture_network{data}, rows<const double>(x, 1), tight)[0];
    CAPTURE(top);
    CHECK(found.log_volume + latent_density(data, found, top) == Approx(expected).margin(1e-7));
  }
}

TEST_CASE("The error follows the tolerance, and the evaluations its root of order five") {
  const auto data = mixture_in(3);
  const noise_level level{1, 0.05};
  const auto x = samples_of(data, 1, level);
  double error = 1;
  double evaluations = 0;
  for (const double tolerance : {1e-4, 1e-6, 1e-8, 1e-10}) {
    const auto found = log_likelihood(ve, {0.05, 50}, mixture_network{data}, rows<const double>(x, 1),
                                      {.atol = tolerance, .rtol = tolerance})[0];
    const double now =
        std::abs(found.log_volume + latent_density(data, found, 50) - data.log_density(x, level));
    const double count = double(found.evaluations);
    CAPTURE(tolerance, now, error, count);
    CHECK(now <= 100 * tolerance);  // of some twenty to a hundred steps
    if (evaluations > 0) {
      CHECK(now < error);
      CHECK(count / evaluations < 1.3 * std::pow(100, 0.2));
      CHECK(count > evaluations);
    }
    error = now;
    evaluations = count;
  }
}

TEMPLATE_TEST_CASE("A sample's likelihood does not depend on its batch", "", float, double) {
  using T = TestType;
  const auto data = mixture_in(5);
  const auto drawn = samples_of(data, 4, {1, 0.05});
  const std::vector<T> x(drawn.begin(), drawn.end());
  for (const divergence_method& method :
       {divergence_method{exact_divergence{}}, divergence_method{hutchinson{.probes = 2, .seed = 4}}}) {
    const log_likelihood_options options{.divergence = method, .atol = 1e-4, .rtol = 1e-4};
    const auto together = log_likelihood(ve, {0.05, 50}, mixture_network{data}, rows<const T>(x, 4), options);
    REQUIRE(together.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      auto own = options;
      own.first_sample = i;
      const auto alone = log_likelihood(ve, {0.05, 50}, mixture_network{data},
                                        rows<const T>(std::span(x).subspan(5 * i, 5), 1), own)[0];
      CHECK(alone.log_likelihood == together[i].log_likelihood);
      CHECK(alone.standard_error == together[i].standard_error);
      CHECK(alone.evaluations == together[i].evaluations);
      support::check_identical(alone.latent, together[i].latent);
    }
  }
}

TEST_CASE("Float networks give the density to float's precision") {
  const auto data = mixture_in(3);
  const auto drawn = samples_of(data, 2, {1, 0.05});
  const std::vector<float> x(drawn.begin(), drawn.end());
  const auto found = log_likelihood(ve, {0.05, 1e6}, mixture_network{data}, rows<const float>(x, 2),
                                    {.atol = 1e-5, .rtol = 1e-5});
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<double> row(x.begin() + std::ptrdiff_t(3 * i), x.begin() + std::ptrdiff_t(3 * i + 3));
    // Some 30 steps of the tolerance and of roundings of numbers up to 10 in the score, 1/σ times x.
    CHECK(found[i].log_likelihood == Approx(data.log_density(row, {1, 0.05})).margin(1e-3));
  }
}

TEST_CASE("The flow leads back to the sample, and its density with it") {
  const auto data = mixture_in(4);
  const mixture_network network{data};
  probability_flow<double, continuous_schedule, const mixture_network> flow(
      vp, network, probes_of<double>(exact_divergence{}, 4, 0));
  const auto x = samples_of(data, 1, vp.find(0.05).level);
  const auto start = flow.start(std::span(x), 0.05);
  auto state = start;
  integrate(flow, 0.05, 30, tight, state);
  CHECK(std::abs(state[0] - start[0]) > 1);
  integrate(flow, 30, 0.05, tight, state);
  // The way back shrinks what the way up has got wrong, and adds errors of its own to what is left to grow.
  check_close(state, start, 1e-6);
}

TEST_CASE("Hutchinson's estimate of the likelihood lies within its standard error") {
  const auto data = mixture_in(8);
  const auto x = samples_of(data, 3, {1, 0.05});
  for (const auto distribution : {probe_distribution::rademacher, probe_distribution::gaussian}) {
    const auto found = log_likelihood(ve, {0.05, 50}, mixture_network{data}, rows<const double>(x, 3),
                                      {.divergence = hutchinson{1000, distribution, 9}});
    for (std::size_t i = 0; i < 3; ++i) {
      const double exact = data.log_density(std::span(x).subspan(8 * i, 8), {1, 0.05});
      const double error = found[i].log_volume + latent_density(data, found[i], 50) - exact;
      CAPTURE(i, error, found[i].standard_error);
      CHECK(std::abs(error) <= 4 * found[i].standard_error);
      // ℓ is at most ln(50/0.05) for each dimension; ‖v‖² of a Gaussian probe has the variance 2 · 8.
      CHECK(found[i].standard_error > 0);
      CHECK(found[i].standard_error < std::log(1000) * std::sqrt(2 * 8.0 / 1000));
    }
  }
}

TEST_CASE("For isotropic Gaussians one Rademacher probe is exact") {
  const gaussian_mixture data{{{1, 0.4, {0.5, -0.2, 0.1, 0.9}}}};
  const auto x = samples_of(data, 1, {1, 0.01});
  const auto found = log_likelihood(ve, {0.01, 100}, mixture_network{data}, rows<const double>(x, 1),
                                    {.divergence = hutchinson{}, .atol = 1e-9, .rtol = 1e-9})[0];
  const double exact = data.log_density(x, {1, 0.01});
  CHECK(found.log_volume + latent_density(data, found, 100) == Approx(exact).margin(1e-7));
  CHECK(std::isnan(found.standard_error));
}

TEST_CASE("Likelihoods refuse bad ranges and tolerances, networks that fail, and tasks without end") {
  const auto data = mixture_in(2);
  const std::vector<double> x{0.1, 0.2};
  const auto run = [&](sigma_range range, const log_likelihood_options& options) {
    return log_likelihood(ve, range, mixture_network{data}, rows<const double>(x, 1), options);
  };
  check_refused([&] { return run({0, 1}, {}); }, {"sigma_range.min = 0", "(0, 1]"});
  check_refused([&] { return run({2, 1}, {}); }, {"sigma_range.min = 2", "(0, 1]"});
  check_refused([&] { return run({1, HUGE_VAL}, {}); }, {"sigma_range.max = inf"});
  check_refused([&] { return run({0.1, 1}, {.atol = 0}); }, {"atol = 0", "(0, inf)"});
  check_refused([&] { return run({0.1, 1}, {.atol = HUGE_VAL}); }, {"atol = inf", "(0, inf)"});
  check_refused([&] { return run({0.1, 1}, {.rtol = -1}); }, {"rtol = -1", "[0, inf)"});
  check_refused([&] { return run({0.1, 1}, {.divergence = hutchinson{0}}); }, {"probes = 0"});
  check_refused(
      [&] {
        return run({0.1, 50}, {.max_evaluations = 20});
      },
      {"evaluations = 21", "at most max_evaluations: sigma / alpha = "});
  const std::vector<double> nan{0.1, std::nan("")};
  check_refused(
      [&] {
        return log_likelihood(ve, {0.1, 1}, mixture_network{data}, rows<const double>(nan, 1));
      },
      {"derivative at sigma / alpha = ", "nan, allowed: finite"});
}
