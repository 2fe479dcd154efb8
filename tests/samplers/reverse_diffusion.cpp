#include "diffusion/samplers/reverse_diffusion.hpp"

#include "diffusion/run_plan.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("Reverse diffusion is equation 46 of Song et al. 2021 for variance preserving processes") {
  const double beta = 0.03;
  const noise_level to = vp_level_from_log_snr(1.5);
  const noise_level from{to.alpha * std::sqrt(1 - beta), std::sqrt(1 - to.alpha * to.alpha * (1 - beta))};
  const step_coefficients c = reverse_diffusion{.rederive_epsilon = false}(from, to);
  CHECK(c.x == Approx(2 - std::sqrt(1 - beta)).epsilon(4 * roundoff<>));
  CHECK(c.epsilon == Approx(-beta / from.sigma).epsilon(1e-13));
  CHECK(c.noise == Approx(std::sqrt(beta)).epsilon(1e-13));
  CHECK(c.x0 == 0);
}

TEST_CASE("Reverse diffusion is x + (sigma^2 - sigma'^2) score + noise for variance exploding processes") {
  const step_coefficients c = reverse_diffusion{.rederive_epsilon = false}({1, 5}, {1, 3});
  CHECK(c.x == 1);
  CHECK(c.epsilon == Approx(-16.0 / 5));
  CHECK(c.noise == Approx(4));
  const step_coefficients derived = reverse_diffusion{}({1, 5}, {1, 3});
  CHECK(derived.x == Approx(1 - 16.0 / 25));
  CHECK(derived.x0 == Approx(16.0 / 25));
}

TEST_CASE("Reverse diffusion is of first order in distribution, for every process") {
  const support::gaussian data{0.5, 0.4};
  for (const auto& point_at : {support::vp_point, support::ve_point}) {
    const auto error = [&](int n) {
      std::vector<path_point> points;
      for (int k = 0; k <= n; ++k) points.push_back(point_at(std::exp(2 - 4.0 * k / n)));
      const auto end = support::moments_of(make_plan(run_path(points), reverse_diffusion{}), data);
      return std::abs(end.variance - data.variance_at(points.back().level));
    };
    CHECK(support::order_of(error(200), error(400)) == Approx(1).margin(0.2));
  }
}

TEST_CASE("The last step of reverse diffusion leaves clean data without noise, unless as in diffusers") {
  CHECK(reverse_diffusion{}({1, 0.3}, {1, 0}).noise == 0);
  CHECK(reverse_diffusion{}({1, 0.3}, {1, 0}).x0 == 1);
  CHECK(reverse_diffusion{.peer = compat::diffusers}({1, 0.3}, {1, 0}).noise == 0.3);
  check_refused(
      [] {
        return reverse_diffusion{.peer = compat::k_diffusion}({1, 1}, {1, 0.5});
      },
      {"peer", "k_diffusion", "diffusers"});
  check_refused([] { return reverse_diffusion{}({1, 0.5}, {1, 1}); }, {"must not add noise"});
}
