#include "diffusion/preconditioning.hpp"

#include "diffusion/loss_weight.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

static_assert(Preconditioning<edm_preconditioning>);
static_assert(Preconditioning<iddpm_preconditioning>);
static_assert(!Preconditioning<double (*)(double)>);

namespace {

const std::vector<double> sigmas{0.002, 0.05, 0.5, 1, 7.5, 80};

/// The identities that every preconditioning has. 1 - c_skip has an error of one rounding of 1, which c_out
/// divides.
template <Preconditioning P>
void check_training_target(const P& coefficients) {
  const double x0 = 0.3, noise = -1.7;
  for (const double sigma : sigmas) {
    CAPTURE(sigma);
    const preconditioning c = coefficients(sigma);
    const target_weights w = training_target(c, sigma);
    const double right = w.x0 * x0 + w.epsilon * noise;
    const double y = x0 + sigma * noise;
    const double tolerance = 16 * roundoff<> * (1 + 2 * sigma);
    CHECK(std::abs(c.c_skip * y + c.c_out * right - x0) <= tolerance);
    // An error of F is c_out times that of x̂0.
    CHECK(std::abs(c.c_skip * y + c.c_out * (right + 0.5) - x0 - c.c_out * 0.5) <= tolerance);
  }
}

}  // namespace

TEST_CASE("A network that meets its target gives x0") {
  check_training_target(edm_preconditioning{});
  check_training_target(edm_preconditioning{.sigma_data = 2});
  check_training_target(vp_preconditioning{});
  check_training_target(ve_preconditioning{});
  check_training_target(iddpm_preconditioning{});
}

TEST_CASE("EDM's network has input and target of unit variance and the smallest factor of its errors") {
  for (const double sigma_data : {0.5, 1.0, 3.0})
    for (const double sigma : sigmas) {
      CAPTURE(sigma_data, sigma);
      const preconditioning c = edm_preconditioning{sigma_data}(sigma);
      const target_weights w = training_target(c, sigma);
      const double total = sigma * sigma + sigma_data * sigma_data;
      CHECK(c.c_in * c.c_in * total == Approx(1).epsilon(8 * roundoff<>));
      // 1 - c_skip is a difference: its rounding is divided by c_out, below sigma.
      const double rounding = 16 * roundoff<> * (1 + sigma_data / sigma);
      CHECK(std::abs(w.x0 * w.x0 * sigma_data * sigma_data + w.epsilon * w.epsilon - 1) <= rounding);
      CHECK(c.c_noise == std::log(sigma) / 4);
      // c_out² of a target of unit variance, as a function of c_skip (Karras et al. 2022, appendix B.6).
      const auto amplified = [&](double skip) {
        return (1 - skip) * (1 - skip) * sigma_data * sigma_data + skip * skip * sigma * sigma;
      };
      CHECK(amplified(c.c_skip) == Approx(c.c_out * c.c_out).epsilon(1e-9));
      CHECK(amplified(c.c_skip + 0.01) > amplified(c.c_skip));
      CHECK(amplified(c.c_skip - 0.01) > amplified(c.c_skip));
    }
}

TEST_CASE("EDM's weights make every error of its network count 1") {
  for (const double sigma_data : {0.5, 1.0, 3.0})
    for (const double sigma : sigmas) {
      CAPTURE(sigma_data, sigma);
      const double c_out = edm_preconditioning{sigma_data}(sigma).c_out;
      CHECK(c_out * c_out * edm_weights({1, sigma}, sigma_data).x0 == Approx(1).epsilon(16 * roundoff<>));
    }
}

TEST_CASE("EDM's network of unit data predicts -v") {
  for (const double sigma : sigmas) {
    CAPTURE(sigma);
    const double alpha = 1 / std::hypot(1, sigma);
    const target_weights f = training_target(edm_preconditioning{.sigma_data = 1}(sigma), sigma);
    const target_weights v = training_target(prediction::v, {alpha, alpha * sigma});
    CHECK(std::abs(f.x0 + v.x0) <= 16 * roundoff<> / sigma + 16 * roundoff<>);
    CHECK(std::abs(f.epsilon + v.epsilon) <= 16 * roundoff<>);
  }
}

TEST_CASE("VP and VE networks are told the times of their processes") {
  // 1000 times evenly from 1 to 0.001: the i-th is 1 - i/1000.
  const auto list = vp_sigmas(1000);
  for (const int i : {0, 1, 500, 998, 999}) {
    CAPTURE(i);
    const preconditioning c = vp_preconditioning{.M = 500}(list[static_cast<std::size_t>(i)]);
    CHECK(c.c_noise == Approx(499 * (1 - i / 1000.0)).epsilon(1e-13));
    CHECK(c.c_in * c.c_in * (1 + c.c_out * c.c_out) == Approx(1).epsilon(8 * roundoff<>));
  }
  // β constant: σ² = exp(β_min t) - 1.
  CHECK(vp_preconditioning{.beta_d = 0, .beta_min = 2}(std::sqrt(std::expm1(0.8))).c_noise ==
        Approx(0.4 * 999).epsilon(1e-14));
  CHECK(ve_preconditioning{}(3).c_noise == std::log(1.5));
  CHECK(training_target(ve_preconditioning{}(3), 3).epsilon == -1);
  CHECK(training_target(vp_preconditioning{}(3), 3).epsilon == 1);
}

TEST_CASE("A network of the cosine schedule is told the nearest of its steps") {
  const iddpm_sigma_options options{.M = 50};
  const auto u = iddpm_sigma_table(options);
  const iddpm_preconditioning coefficients(options);
  for (std::size_t j = 0; j < 50; ++j) {
    CAPTURE(j);
    const double index = 49 - static_cast<double>(j);
    CHECK(coefficients(u[j]).c_noise == index);
    CHECK(coefficients.round(u[j]) == u[j]);
    CHECK(coefficients.round(u[j] * (1 + 1e-12)) == u[j]);
    if (j == 49) continue;
    CHECK(coefficients(0.51 * u[j] + 0.49 * u[j + 1]).c_noise == index);
    CHECK(coefficients(0.49 * u[j] + 0.51 * u[j + 1]).c_noise == index - 1);
  }
  CHECK(coefficients.round(1e9) == u[0]);
  CHECK(coefficients.round(1e-9) == u[49]);  // the last entry is clean data
  CHECK(coefficients(1e-9).c_noise == 0);
  CHECK(coefficients(2.5).c_out == -2.5);  // the scale is that of the state, not of the table
}

TEST_CASE("Illegal preconditioning is refused") {
  const auto check = [](const auto& coefficients) {
    for (const double sigma : {0.0, -1.0, std::nan(""), HUGE_VAL})
      check_refused([&] { return coefficients(sigma); }, {"sigma = ", "(0, inf)"});
  };
  check(edm_preconditioning{});
  check(vp_preconditioning{});
  check(ve_preconditioning{});
  check(iddpm_preconditioning{});
  check_refused([] { return edm_preconditioning{.sigma_data = 0}(1); }, {"sigma_data = 0", "(0, inf)"});
  check_refused([] { return vp_preconditioning{.beta_min = 0}(1); }, {"beta_min = 0", "(0, inf)"});
  check_refused([] { return vp_preconditioning{.beta_d = -1}(1); }, {"beta_d = -1", "[0, inf)"});
  check_refused([] { return vp_preconditioning{.M = 0}(1); }, {"M = 0", "at least 1"});
  check_refused([] { return iddpm_preconditioning({.M = 0}); }, {"M = 0", "at least 1"});
}
