#include "diffusion/schedules/shifted_cosine.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("The bounded cosine schedule falls from one bound to the other through 0") {
  const shifted_cosine_schedule schedule{.min_log_snr = -8, .max_log_snr = 8};
  CHECK(schedule.log_snr(0) == Approx(8).epsilon(1e-14));
  CHECK(schedule.log_snr(0.5) == Approx(0).margin(1e-14));
  CHECK(schedule.log_snr(1) == Approx(-8).epsilon(1e-13));
  for (double t = 0; t < 0.95; t += 0.1) CHECK(schedule.log_snr(t + 0.1) < schedule.log_snr(t));
  CHECK(2 * half_log_snr(schedule.level(0.3)) == Approx(schedule.log_snr(0.3)).epsilon(1e-13));
}

TEST_CASE("Shifts multiply the SNR by the ratio of areas, interpolated between both ends") {
  const shifted_cosine_schedule plain, half{.clean_size = 32, .noisy_size = 32},
      interpolated{.clean_size = 32, .noisy_size = 16};
  for (const double t : {0.0, 0.25, 1.0}) {
    CHECK(half.log_snr(t) == Approx(plain.log_snr(t) - std::log(4)).epsilon(1e-13));
    CHECK(interpolated.log_snr(t) == Approx(plain.log_snr(t) - std::log(4) * (1 + t)).epsilon(1e-13));
  }
}

TEST_CASE("Illegal options of the shifted cosine schedule are refused") {
  check_refused([] { return shifted_cosine_schedule{}.level(1.1); }, {"t = 1.1", "[0, 1]"});
  check_refused([] { return shifted_cosine_schedule{.image_size = 0}.level(1); },
                {"image_size = 0", "(0, inf)"});
  check_refused([] { return shifted_cosine_schedule{.clean_size = 0}.level(1); },
                {"clean_size = 0", "(0, inf)"});
  check_refused([] { return shifted_cosine_schedule{.noisy_size = 65}.level(1); },
                {"noisy_size = 65", "(0, 64]"});
  check_refused([] { return shifted_cosine_schedule{.min_log_snr = 15}.level(1); },
                {"min_log_snr = 15", "max_log_snr"});
}
