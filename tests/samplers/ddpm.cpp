#include "diffusion/samplers/ddpm.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;

TEST_CASE("DDPM is the posterior, with one of two standard deviations") {
  const auto schedule = cosine_schedule(100);
  for (const auto& [t, s] : {std::pair{100, 99}, {100, 40}, {2, 1}}) {
    CAPTURE(t, s);
    const noise_level from = schedule.level(t);
    const noise_level to = schedule.level(s);
    const step_coefficients p = posterior(from, to);
    for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
      const step_coefficients c = ddpm{variance}(from, to);
      CHECK(c.x == p.x);
      CHECK(c.x0 == p.x0);
      CHECK(c.epsilon == 0);
    }
    CHECK(ddpm{}(from, to).noise == p.noise);
    CHECK(ddpm{fixed_variance::transition}(from, to).noise == std::sqrt(transition_variance(from, to)));
    CHECK(ddpm{fixed_variance::transition}(from, to).noise > p.noise);
  }
}

TEST_CASE("DDPM adds no noise in the step to clean data, whatever the variance") {
  for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
    const step_coefficients c = ddpm{variance}({0.99, 0.1}, {1, 0});
    CHECK(c.x == 0);
    CHECK(c.x0 == 1);
    CHECK(c.noise == 0);
  }
}

TEST_CASE("DDPM refuses steps towards more noise") {
  support::check_refused([] { return ddpm{}({0.8, 0.6}, {0.6, 0.8}); }, {"SNR", "must not add noise"});
}
