#include "diffusion/schedules/sigma.hpp"

#include "diffusion/schedules/sigma_lists.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("Time of the sigma schedule is sigma, and a list of sigma becomes a path") {
  const std::vector<double> sigmas = with_final(karras_sigmas(4));
  const run_path path(sigma_schedule{}, sigmas);
  REQUIRE(path.size() == 4);
  for (std::size_t k = 0; k <= 4; ++k) {
    CHECK(path.point(k).t == sigmas[k]);
    CHECK(path.point(k).level == noise_level{1, sigmas[k]});
  }
  CHECK(path.find(0.3).t == 0.3);
  CHECK(path.find(0.3).level == noise_level{1, 0.3});
}

TEST_CASE("The sigma schedule refuses what is no standard deviation") {
  check_refused([] { return sigma_schedule{}.level(-1); }, {"sigma = -1", "[0, inf)"});
  check_refused([] { return sigma_schedule{}.level(HUGE_VAL); }, {"sigma = inf", "[0, inf)"});
  check_refused([] { return sigma_schedule{}.find(std::nan("")).t; }, {"sigma = nan", "[0, inf)"});
}
