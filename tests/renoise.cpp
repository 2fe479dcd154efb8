#include "diffusion/renoise.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::roundoff;

TEST_CASE("Renoising is the forward process from the level where the step left the state") {
  const noise_level at{0.9, 0.2};
  const noise_level to{0.6, 0.7};
  const step_coefficients c = renoise({.x = 0.5, .x0 = 0.25, .epsilon = -2}, at, to);
  const double scale = 0.6 / 0.9;
  CHECK(c.x == Approx(0.5 * scale).epsilon(4 * roundoff<>));
  CHECK(c.x0 == Approx(0.25 * scale).epsilon(4 * roundoff<>));
  CHECK(c.epsilon == Approx(-2 * scale).epsilon(4 * roundoff<>));
  CHECK(c.noise * c.noise == Approx(0.7 * 0.7 - 0.2 * scale * 0.2 * scale).epsilon(16 * roundoff<>));
  CHECK(renoise({}, at, to, 0.5).noise == 0.5 * c.noise);
}

TEST_CASE("Renoising to the same level adds nothing, to clean data either") {
  CHECK(renoise({.x0 = 1}, {0.6, 0.7}, {0.6, 0.7}).noise == 0);
  const step_coefficients clean = renoise({.x0 = 1}, {1, 0}, {1, 0});
  CHECK(clean.x0 == 1);
  CHECK(clean.noise == 0);
}

TEST_CASE("Renoising refuses a level with less noise than there is") {
  support::check_refused([] { return renoise({}, {0.6, 0.7}, {0.9, 0.2}); }, {"SNR", "[0, 1]"});
}
