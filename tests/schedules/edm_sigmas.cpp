#include "diffusion/schedules/edm_sigmas.hpp"

#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;

TEST_CASE("The EDM discretisations vp and ve reach their ends") {
  const std::vector<double> vp = edm_vp_sigmas(7, {0.01, 60});
  CHECK(vp.front() == Approx(60).epsilon(1e-13));
  CHECK(vp.back() == Approx(0.01).epsilon(1e-12));  // ln(1+σ²) = 1e-4 is a sum; β_min a difference of 8 and 8
  const std::vector<double> late = edm_vp_sigmas(7, {0.5, 60}, 0.1);
  CHECK(late.front() == Approx(60).epsilon(1e-13));
  CHECK(late.back() == Approx(0.5).epsilon(1e-13));
  check_close(edm_ve_sigmas(3, {0.5, 8}), std::vector{8.0, 2.0, 0.5}, 0, 8 * support::roundoff<>);
}

TEST_CASE("The vp discretisation of a process's own range is that process") {
  const std::vector<double> process = vp_sigmas(9);
  check_close(edm_vp_sigmas(9, {process.back(), process.front()}), process, 0, 1e-11);
}

TEST_CASE("The iddpm table is the cosine schedule") {
  const int T = 200;
  const std::vector<double> u = iddpm_sigma_table({.M = T});
  const auto schedule = cosine_schedule(T);
  REQUIRE(u.size() == 201);
  CHECK(u.back() == 0);
  for (int t = 1; t <= T; ++t) {
    CAPTURE(t);
    // u² = Π 1/(1-β) - 1 loses the digits of 1/u².
    const double want = noise_to_signal(schedule.level(t));
    CHECK(u[static_cast<std::size_t>(T - t)] == Approx(want).epsilon(1e-13 + 1e-15 / (want * want)));
  }
}

TEST_CASE("The iddpm discretisation takes entries of the table in its range, both ends included") {
  const std::vector<double> table = iddpm_sigma_table();
  const std::vector<double> sigmas = edm_iddpm_sigmas(10);
  CHECK(sigmas.front() <= 81);
  CHECK(sigmas.back() >= 0.002);
  CHECK(sigmas.back() == table[table.size() - 2]);
  for (std::size_t k = 0; k < 10; ++k) {
    CHECK(std::find(table.begin(), table.end(), sigmas[k]) != table.end());
    if (k > 0) CHECK(sigmas[k] < sigmas[k - 1]);
  }
  CHECK(edm_iddpm_sigmas(1)[0] == sigmas[0]);
}

TEST_CASE("Illegal options of the EDM discretisations are refused") {
  check_refused([] { return edm_vp_sigmas(5, {0.01, 60}, 1); }, {"eps_s = 1", "(0, 1)"});
  check_refused([] { return edm_ve_sigmas(5, {-1, 60}); }, {"sigma_range.min = -1"});
  check_refused([] { return edm_iddpm_sigmas(5, {}, {.M = 0}); }, {"M = 0", "at least 1"});
  check_refused([] { return edm_iddpm_sigmas(5, {}, {.C_1 = 1}); }, {"C_1 = 1", "(0, 1)"});
  check_refused([] { return edm_iddpm_sigmas(5, {}, {.C_2 = 0}); }, {"C_2 = 0", "(0, inf)"});
  check_refused([] { return edm_iddpm_sigmas(30, {}, {.M = 20}); }, {"n = 30", "entries in the range"});
}
