#include "diffusion/samplers/ddpm_learned.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;

TEST_CASE("A learned variance leaves the posterior mean and takes the noise out of the coefficients") {
  const noise_level from{0.6, 0.8};
  const noise_level to{0.8, 0.6};
  const step_coefficients c = ddpm_learned{}(from, to);
  const step_coefficients p = posterior(from, to);
  CHECK(c.x == p.x);
  CHECK(c.x0 == p.x0);
  CHECK(c.noise == 0);
}

TEST_CASE("A learned log range goes from the posterior variance at -1 to the transition variance at 1") {
  const auto schedule = cosine_schedule(1000);
  for (const auto& [t, s] : {std::pair{1000, 999}, {500, 400}, {2, 1}}) {
    CAPTURE(t, s);
    const noise_level from = schedule.level(t);
    const noise_level to = schedule.level(s);
    const variance_map map = ddpm_learned{}.variance_of(from, to);
    CHECK(map.is_log);
    const double tolerance = 1e-14;  // a few roundoffs of logarithms up to 20
    CHECK(map.offset - map.slope ==
          Approx(std::log(posterior_variance(from, to))).margin(tolerance).epsilon(tolerance));
    CHECK(map.offset + map.slope ==
          Approx(std::log(transition_variance(from, to))).margin(tolerance).epsilon(tolerance));
  }
}

TEST_CASE("A learned log range is finite where the posterior variance is zero") {
  const variance_map map = ddpm_learned{}.variance_of({0.9, 0.3}, {1, 0});
  CHECK(map.offset - map.slope == Approx(std::log(1e-20)));
  CHECK(map.offset + map.slope == Approx(std::log(0.09)));
  CHECK(ddpm_learned{}.variance_of({0.9, 0.3}, {1, 0}, 1e-6).offset == Approx(std::log(0.09e-6) / 2));
}

TEST_CASE("Learned values and log values are taken as they are") {
  const variance_map log_value = ddpm_learned{learned_variance::log_value}.variance_of({0.6, 0.8}, {1, 0});
  CHECK(log_value.offset == 0);
  CHECK(log_value.slope == 1);
  CHECK(log_value.is_log);
  CHECK_FALSE(ddpm_learned{learned_variance::value}.variance_of({0.6, 0.8}, {1, 0}).is_log);
  support::check_refused(
      [] { return ddpm_learned{static_cast<learned_variance>(7)}.variance_of({0.6, 0.8}, {1, 0}); },
      {"variance = 7"});
}
