#include "diffusion/samplers/gam_mu.hpp"

#include "diffusion/samplers/ddpm.hpp"
#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

TEST_CASE("The generalised sampler of Permenter and Yuan holds DDIM and DDPM") {
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    const auto path = support::path_of(support::log_sigmas(9, true), point);
    const auto compare = [&](const run_plan& a, const run_plan& b) {
      REQUIRE(a.stages.size() == b.stages.size());
      CHECK(a.slots == 0);
      for (std::size_t k = 0; k < a.stages.size(); ++k) {
        const auto& p = a.stages[k].next.now;
        const auto& q = b.stages[k].next.now;
        support::check_close(std::vector{p.x, p.x0, p.noise}, std::vector{q.x, q.x0, q.noise}, 0,
                             64 * roundoff<>);
      }
    };
    compare(gam_mu{.gam = 1}.plan(path), make_plan(path, ddim{}));
    compare(gam_mu{.gam = 1, .mu = 0.5}.plan(path), make_plan(path, ddpm{}));
  }
}

TEST_CASE("The generalised sampler mixes the last direction in") {
  // In VE: x - (ς - ς_down) (γ ε + (1 - γ) ε_last) + noise, the second step of 4, 2, 1.
  const double gam = 1.7, mu = 0.25;
  const auto plan = gam_mu{gam, mu}.plan(support::path_of({4, 2, 1}, support::ve_point));
  const double down = std::pow(1 / std::pow(2, mu), 1 / (1 - mu));
  const double epsilons[] = {0.4, -0.6};
  double x = 2.5;
  std::vector<double> states{x};
  support::run_on(
      plan, x,
      [&](double at, const run_stage& stage) {
        const double e = epsilons[states.size() - 1];
        return support::expectation{at - stage.eval.level.sigma * e, e};
      },
      [](std::size_t k) { return double(k); }, [&](std::size_t, double at) { states.push_back(at); });
  const double mean = gam * epsilons[1] + (1 - gam) * epsilons[0];
  CHECK(states[2] == Approx(states[1] - (2 - down) * mean + std::sqrt(1 - down * down)).epsilon(1e-13));
  CHECK(plan.slots == 1);
}

TEST_CASE("The generalised sampler is of order 1, and of order 2 for gam 3/2") {
  const support::mixture data;
  const auto order = [&](gam_mu sampler, double bend) {
    return order_of(support::error_of(sampler, data, 128, bend), support::error_of(sampler, data, 256, bend));
  };
  for (const double bend : {0.0, 0.5}) {
    CHECK(order({.gam = 1}, bend) == Approx(1).margin(0.2));
    CHECK(order({.gam = 2}, bend) == Approx(1).margin(0.2));
    CHECK(order({.gam = 1.5}, bend) == Approx(2).margin(0.2));
  }
  for (const gam_mu sampler : {gam_mu{1, 0.5}, gam_mu{1.5, 0.5}, gam_mu{1, 0.8}})
    CHECK(order_of(support::variance_error(sampler, 200), support::variance_error(sampler, 400)) ==
          Approx(1).margin(0.2));
}

TEST_CASE(
    "The generalised sampler keeps the marginals for gam 1, and is finite from zero SNR and to clean data") {
  const std::vector<path_point> points{{9, {0, 1}}, support::vp_point(2), support::vp_point(1), {0, {1, 0}}};
  for (const gam_mu sampler : {gam_mu{1, 0}, gam_mu{1, 0.5}, gam_mu{1, 0.9}, gam_mu{2, 0}, gam_mu{2, 0.3}}) {
    const auto plan = sampler.plan(run_path(points));
    support::check_finite(plan);
    if (sampler.gam == 1) support::check_keeps_marginals(plan);
    support::check_same_in_every_process(sampler, support::log_sigmas(12, true));
  }
  support::check_finite(gam_mu{}.plan(support::path_of({0, 1, 2}, support::vp_point)));
}

TEST_CASE("The generalised sampler refuses impossible options") {
  const auto path = support::path_of({2, 1}, support::ve_point);
  check_refused([&] { return gam_mu{.mu = 1}.plan(path); }, {"mu = 1", "[0, 1)"});
  check_refused([&] { return gam_mu{.mu = -0.1}.plan(path); }, {"mu = -0.1", "[0, 1)"});
  check_refused([&] { return gam_mu{.gam = std::nan("")}.plan(path); }, {"gam = nan"});
  const auto up = support::path_of({1, 2}, support::ve_point);
  check_refused([&] { return gam_mu{.mu = 0.5}.plan(up); }, {"SNR"});
}
