#include "diffusion/noise_level.hpp"

#include <limits>

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

constexpr double inf = std::numeric_limits<double>::infinity();

TEST_CASE("SNR, half log SNR and noise-to-signal of a level agree with their definitions") {
  const noise_level level{0.6, 0.3};
  CHECK(snr(level) == Approx(4).epsilon(4 * roundoff<>));
  CHECK(half_log_snr(level) == Approx(std::log(2.0)).epsilon(8 * roundoff<>));
  CHECK(noise_to_signal(level) == Approx(0.5).epsilon(2 * roundoff<>));
  CHECK(snr({1, 0}) == inf);
  CHECK(half_log_snr({1, 0}) == inf);
  CHECK(half_log_snr({0, 1}) == -inf);
  CHECK(noise_to_signal({0, 1}) == inf);
  CHECK(noise_level{} == noise_level{1, 0});
}

TEST_CASE("A variance preserving level from log SNR has that log SNR and unit power") {
  for (double log_snr = -700; log_snr <= 700; log_snr += 12.5) {
    CAPTURE(log_snr);
    const noise_level level = vp_level_from_log_snr(log_snr);
    // exp rounds relatively: an error of 1 ulp of exp and of its argument, that is |log_snr| roundoffs.
    const double tolerance = (8 + std::abs(log_snr)) * roundoff<>;
    CHECK(std::abs(2 * half_log_snr(level) - log_snr) <= 4 * tolerance);
    CHECK(std::abs(level.alpha * level.alpha + level.sigma * level.sigma - 1) <= 8 * roundoff<>);
  }
  CHECK(vp_level_from_log_snr(inf) == noise_level{1, 0});
  CHECK(vp_level_from_log_snr(-inf) == noise_level{0, 1});
}

TEST_CASE("A variance preserving level from signal power takes square roots and refuses other powers") {
  CHECK(vp_level_from_alpha_bar(0.36) == noise_level{std::sqrt(0.36), std::sqrt(1 - 0.36)});
  CHECK(vp_level_from_alpha_bar(0) == noise_level{0, 1});
  CHECK(vp_level_from_alpha_bar(1) == noise_level{1, 0});
  check_refused([] { return vp_level_from_alpha_bar(1.5); }, {"alpha_bar = 1.5", "[0, 1]"});
  check_refused([] { return vp_level_from_alpha_bar(-0.25); }, {"alpha_bar = -0.25", "[0, 1]"});
  check_refused([] { return vp_level_from_alpha_bar(std::nan("")); }, {"alpha_bar = nan"});
}
