#include "diffusion/schedules/jsd.hpp"

#include "support/check.hpp"

using namespace diffusion;

TEST_CASE("The jsd schedule loses signal power linearly and ends at zero SNR") {
  for (const int T : {1, 2, 10, 1000}) {
    const auto schedule = jsd_schedule(T);
    for (int t = 1; t <= T; ++t) {
      CAPTURE(T, t);
      // ᾱ = exp(L) with |L| ≤ ln T from t additions.
      const double tolerance = (std::log(T) + 1) * (t + 8) * support::roundoff<>;
      CHECK(schedule.alpha_bar(t) == Approx(1 - double(t) / T).epsilon(tolerance).margin(0));
    }
    CHECK(schedule.level(T) == noise_level{0, 1});
    CHECK(schedule.beta(T) == 1);
  }
}
