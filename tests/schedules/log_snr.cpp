#include "diffusion/schedules/log_snr.hpp"

#include "diffusion/schedule.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

static_assert(NoiseSchedule<linear_log_snr_schedule>);
static_assert(NoiseSchedule<cosine_log_snr_schedule>);

TEST_CASE("Continuous schedules have their published signal power") {
  for (double t = 0; t <= 1; t += 1 / 64.0) {
    CAPTURE(t);
    const noise_level linear = linear_log_snr_schedule{}.level(t);
    // SNR = 1/(exp(y) - 1) means ᾱ = exp(-y).
    CHECK(linear.alpha * linear.alpha == Approx(std::exp(-1e-4 - 10 * t * t)).epsilon(1e-13));
    const double angle = std::numbers::pi / 2 * (t + 0.008) / 1.008;
    const noise_level cosine = cosine_log_snr_schedule{}.level(t);
    CHECK(cosine.alpha == Approx(std::cos(angle)).epsilon(1e-13).margin(1e-15));
    CHECK(cosine.sigma == Approx(std::sin(angle)).epsilon(1e-13));
    CHECK(snr(cosine) == Approx(std::exp(cosine_log_snr_schedule{}.log_snr(t))).epsilon(1e-13));
  }
}

TEST_CASE("The cosine log SNR is bounded near clean data") {
  CHECK(cosine_log_snr_schedule{.s = 1e-6}.log_snr(0) == -std::log(1e-5));
}

TEST_CASE("Continuous schedules refuse times outside [0, 1]") {
  check_refused([] { return linear_log_snr_schedule{}.level(-0.5); }, {"t = -0.5", "[0, 1]"});
  check_refused([] { return linear_log_snr_schedule{}.level(1.5); }, {"t = 1.5", "[0, 1]"});
  check_refused([] { return cosine_log_snr_schedule{}.log_snr(1.5); }, {"t = 1.5", "[0, 1]"});
  check_refused([] { return cosine_log_snr_schedule{}.level(std::nan("")); }, {"t = nan", "[0, 1]"});
}
