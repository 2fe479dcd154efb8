#include "diffusion/schedules/zero_terminal_snr.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::roundoff;

TEST_CASE("Rescaling ends at zero SNR, keeps the first level and scales alpha evenly in between") {
  support::for_each_schedule_factory([](const char* schedule_name, auto make) {
    CAPTURE(schedule_name);
    const auto before = make(double{}, 1000);
    const auto after = rescale_zero_terminal_snr(before);
    CHECK(after.steps() == 1000);
    CHECK(after.level(1000) == noise_level{0, 1});
    CHECK(after.beta(1000) == 1);
    const double first = before.level(1).alpha;
    const double last = before.level(1000).alpha;
    CHECK(after.level(1).alpha == Approx(first).epsilon(8 * roundoff<>));
    double worst = 0;
    for (int t = 1; t <= 1000; ++t)
      worst = std::max(
          worst, std::abs(after.level(t).alpha - (before.level(t).alpha - last) * first / (first - last)));
    CHECK(worst <= 8 * roundoff<>);
  });
}

TEST_CASE("Rescaling twice changes nothing more") {
  const auto once = rescale_zero_terminal_snr(scaled_linear_schedule(1000));
  const auto twice = rescale_zero_terminal_snr(once);
  for (int t = 0; t <= 1000; ++t)
    CHECK(std::abs(twice.level(t).alpha - once.level(t).alpha) <= 8 * roundoff<>);
}

TEST_CASE("Two steps can be rescaled, one cannot") {
  CHECK(rescale_zero_terminal_snr(linear_schedule(2)).alpha_bar(2) == 0);
  support::check_refused([] { return rescale_zero_terminal_snr(linear_schedule(1)); },
                         {"steps = 1", "at least 2"});
}
