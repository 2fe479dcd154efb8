#include "diffusion/schedules/align_your_steps.hpp"

#include "support/check.hpp"

using namespace diffusion;

TEST_CASE("Ten aligned sigma are the published ones without their end") {
  const std::vector<double> sd = aligned_sigmas(10, aligned_for::stable_diffusion_1);
  REQUIRE(sd.size() == 10);
  CHECK(sd[0] == 14.6146412293);
  CHECK(sd[1] == 6.4745760956);
  CHECK(sd[9] == 0.1515232662);
  CHECK(aligned_sigmas(10, aligned_for::sdxl)[3] == 2.1811480769);
  CHECK(aligned_sigmas(10, aligned_for::stable_video)[9] == 0.034);
}

TEST_CASE("Any number of aligned sigma falls, starts at the published start and leaves out the end") {
  for (const auto network : {aligned_for::stable_diffusion_1, aligned_for::sdxl, aligned_for::stable_video})
    for (const int n : {1, 2, 5, 10, 20, 37}) {
      const std::vector<double> sigmas = aligned_sigmas(n, network);
      const std::vector<double> published = aligned_sigmas(10, network);
      REQUIRE(sigmas.size() == static_cast<std::size_t>(n));
      CHECK(sigmas[0] == published[0]);
      for (std::size_t k = 1; k < sigmas.size(); ++k) CHECK(sigmas[k] < sigmas[k - 1]);
    }
  // Halves lie in the middle in ln σ, so that every other of 20 is published.
  const std::vector<double> twenty = aligned_sigmas(20, aligned_for::sdxl);
  const std::vector<double> ten = aligned_sigmas(10, aligned_for::sdxl);
  for (std::size_t k = 0; k < 10; ++k) CHECK(twenty[2 * k] == ten[k]);
  CHECK(twenty[1] == Approx(std::sqrt(ten[0] * ten[1])).epsilon(8 * support::roundoff<>));
}

TEST_CASE("No aligned sigma are refused") {
  support::check_refused([] { return aligned_sigmas(0, aligned_for::sdxl); }, {"n = 0", "at least 1"});
}
