#include "diffusion/samplers/vp_euler_maruyama.hpp"

#include <vector>

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

/// ln α = -t²/4 (β_max - β_min) - t/2 β_min.
path_point point_at(double t, const vp_euler_maruyama& sde) {
  const double log_alpha = -t * t / 4 * (sde.beta_max - sde.beta_min) - t / 2 * sde.beta_min;
  return {t, {std::exp(log_alpha), std::sqrt(-std::expm1(2 * log_alpha))}};
}

std::vector<path_point> points(double end, int n, const vp_euler_maruyama& sde) {
  std::vector<path_point> result;
  for (int k = 0; k <= n; ++k) result.push_back(point_at(1 + (end - 1) * k / n, sde));
  return result;
}

}  // namespace

TEST_CASE("Euler-Maruyama is of first order in distribution") {
  const vp_euler_maruyama sde;
  const support::gaussian data{0.5, 0.4};
  const auto error = [&](int n) {
    const auto path = points(0.05, n, sde);
    const auto end = support::moments_of(sde.plan(run_path(path)), data);
    return std::abs(end.variance - data.variance_at(path.back().level));
  };
  CHECK(support::order_of(error(1000), error(2000)) == Approx(1).margin(0.2));
}

TEST_CASE("Euler-Maruyama steps over its times; diffusers over 1/n, with noise at the end") {
  const vp_euler_maruyama sde{.beta_min = 0.2, .beta_max = 12};
  const auto path = points(0, 4, sde);
  const auto plan = sde.plan(run_path(path));
  const double beta = 0.2 + 0.75 * 11.8;
  CHECK(plan.stages[1].next.now.noise == Approx(std::sqrt(beta / 4)));
  CHECK(plan.stages[3].next.now.noise == 0);
  std::vector<path_point> uneven(path.begin(), path.end());
  uneven[2] = point_at(0.6, sde);
  CHECK(sde.plan(run_path(uneven)).stages[1].next.now.noise == Approx(std::sqrt(beta * 0.15)));
  const auto theirs =
      vp_euler_maruyama{.beta_min = 0.2, .beta_max = 12, .peer = compat::diffusers}.plan(run_path(uneven));
  CHECK(theirs.stages[1].next.now.noise == Approx(std::sqrt(beta / 4)));
  CHECK(theirs.stages[3].next.now.noise > 0);
}

TEST_CASE("Bad options and times of Euler-Maruyama are refused") {
  const auto path = run_path(points(0, 4, {}));
  check_refused([&] { return vp_euler_maruyama{.beta_min = -1}.plan(path); }, {"beta_min = -1"});
  check_refused([&] { return vp_euler_maruyama{.beta_max = 0}.plan(path); }, {"beta_max = 0"});
  check_refused([&] { return vp_euler_maruyama{.peer = compat::k_diffusion}.plan(path); }, {"k_diffusion"});
  const std::vector<path_point> integers{{1000, {0.1, 0.99}}, {500, {0.5, 0.87}}};
  check_refused([&] { return vp_euler_maruyama{}.plan(run_path(integers)); }, {"t = 1000", "1]"});
}
