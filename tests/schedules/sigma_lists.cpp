#include "diffusion/schedules/sigma_lists.hpp"

#include "diffusion/schedules/linear.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

namespace {

/// Whether f of the values is uniform from f(max) to f(min), to the given error relative to f's range.
template <class F>
void check_uniform(const std::vector<double>& sigmas, sigma_range range, F f, double tolerance) {
  const double first = f(range.max);
  const double step = (f(range.min) - first) / (static_cast<double>(sigmas.size()) - 1);
  double worst = 0;
  for (std::size_t k = 0; k < sigmas.size(); ++k)
    worst = std::max(worst, std::abs(f(sigmas[k]) - (first + static_cast<double>(k) * step)) /
                                std::abs(f(range.min) - first));
  CHECK(worst <= tolerance);
}

}  // namespace

TEST_CASE("Lists of sigma are uniform in the quantity that they are named after") {
  const sigma_range range{0.03, 14.6};
  for (const int n : {2, 10, 101}) {
    check_uniform(
        karras_sigmas(n, range), range, [](double s) { return std::pow(s, 1.0 / 7); }, 1e-15);
    check_uniform(
        karras_sigmas(n, range, 3), range, [](double s) { return std::cbrt(s); }, 1e-15);
    check_uniform(
        karras_sigmas(n, range, 1), range, [](double s) { return s; }, 1e-15);
    check_uniform(
        exponential_sigmas(n, range), range, [](double s) { return std::log(s); }, 1e-15);
    check_uniform(
        kl_optimal_sigmas(n, range), range, [](double s) { return std::atan(s); }, 1e-15);
    check_uniform(
        polyexponential_sigmas(n, range, 0.7), range,
        [&](double s) {
          return std::pow(std::max(std::log(s / range.min), 0.0) / std::log(range.max / range.min), 1 / 0.7);
        },
        1e-14);
  }
}

TEST_CASE("Variance preserving sigma follow the integral of beta") {
  const std::vector<double> sigmas = vp_sigmas(11, {.beta_d = 19.9, .beta_min = 0.1, .eps_s = 1e-3});
  for (std::size_t k = 0; k <= 10; ++k) {
    const long double t = 1 - static_cast<long double>(k) / 10 * 0.999L;
    // α = exp(-½ ∫β), β(t) = β_min + β_d t
    const auto want = static_cast<double>(std::sqrt(std::expm1(19.9L * t * t / 2 + 0.1L * t)));
    CHECK(sigmas[k] == Approx(want).epsilon(1e-14));
  }
}

TEST_CASE("One value of a list is its noisy end, and the end of the run is appended") {
  const sigma_range range{0.5, 8};
  for (const auto& list :
       {karras_sigmas(1, range), exponential_sigmas(1, range), kl_optimal_sigmas(1, range)}) {
    REQUIRE(list.size() == 1);
    CHECK(list[0] == Approx(8).epsilon(8 * support::roundoff<>));
  }
  CHECK(vp_sigmas(1)[0] == Approx(std::sqrt(std::expm1(10.05))).epsilon(1e-14));
  CHECK(with_final({3, 2}) == std::vector<double>{3, 2, 0});
  CHECK(with_final({3, 2}, 0.1) == std::vector<double>{3, 2, 0.1});
}

TEST_CASE("The sigma of a grid are those of its times, the end included") {
  const auto schedule = linear_schedule(1000);
  const std::vector<double> sigmas = sigmas_of(schedule, trailing_grid(1000, 4));
  REQUIRE(sigmas.size() == 5);
  for (std::size_t k = 0; k < 4; ++k)
    CHECK(sigmas[k] == noise_to_signal(schedule.level(1000 - 250 * static_cast<int>(k))));
  CHECK(sigmas[4] == 0);
}

TEST_CASE("Illegal options of lists of sigma are refused") {
  check_refused([] { return karras_sigmas(0); }, {"steps = 0", "at least 1"});
  check_refused([] { return karras_sigmas(5, {.min = 0}); }, {"sigma_range.min = 0", "(0, 80]"});
  check_refused([] { return exponential_sigmas(5, {.min = 2, .max = 1}); },
                {"sigma_range.min = 2", "(0, 1]"});
  check_refused([] { return kl_optimal_sigmas(5, {.max = HUGE_VAL}); },
                {"sigma_range.max = inf", "(0, inf)"});
  check_refused([] { return karras_sigmas(5, {}, 0); }, {"rho = 0", "(0, inf)"});
  check_refused([] { return polyexponential_sigmas(5, {}, -1); }, {"rho = -1", "(0, inf)"});
  check_refused([] { return vp_sigmas(5, {.beta_d = -1}); }, {"beta_d = -1", "[0, inf)"});
  check_refused([] { return vp_sigmas(5, {.beta_min = 0}); }, {"beta_min = 0", "(0, inf)"});
  check_refused([] { return vp_sigmas(5, {.eps_s = 0}); }, {"eps_s = 0", "(0, 1]"});
  check_refused([] { return with_final({1}, -1); }, {"final_sigma = -1", "[0, inf)"});
}
