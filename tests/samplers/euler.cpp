#include "diffusion/samplers/euler.hpp"

#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;

namespace {

constexpr edm_churn some_churn{.churn = 10};

bool same(const run_plan& a, const run_plan& b) {
  if (a.stages.size() != b.stages.size() || a.slots != b.slots) return false;
  for (std::size_t k = 0; k < a.stages.size(); ++k) {
    const step_coefficients& p = a.stages[k].next.now;
    const step_coefficients& q = b.stages[k].next.now;
    if (p.x != q.x || p.x0 != q.x0 || p.epsilon != q.epsilon || p.noise != q.noise) return false;
    if (!(a.stages[k].eval.level == b.stages[k].eval.level)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("Euler's method is DDIM, also from zero SNR, to clean data and away from the data") {
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    for (const std::vector<double>& s : {support::log_sigmas(7, true), {3, 0}, {0, 0.5, 2}}) {
      const auto path = support::path_of(s, point);
      for (const compat peer : {compat::none, compat::diffusers})
        CHECK(same(euler{.peer = peer}.plan(path), make_plan(path, ddim{})));
    }
  }
  const std::vector<path_point> points{{2, {0, 1}}, support::vp_point(1), {0, {1, 0}}};
  const auto plan = euler{.churn = some_churn}.plan(run_path(points, support::vp_point));
  support::check_finite(plan);
  CHECK(same(euler{}.plan(run_path(points)), make_plan(run_path(points), ddim{})));
}

TEST_CASE("Euler's method is of order 1, with churn in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.5})
    CHECK(order_of(support::error_of(euler{}, data, 128, bend),
                   support::error_of(euler{}, data, 256, bend)) == Approx(1).margin(0.2));
  CHECK(order_of(support::variance_error(euler{.churn = some_churn}, 100),
                 support::variance_error(euler{.churn = some_churn}, 200)) == Approx(1).margin(0.2));
  support::check_same_in_every_process(euler{.churn = some_churn}, support::log_sigmas(12, true));
}

TEST_CASE("Asking before the churn, as diffusers does, leaves too much noise") {
  // One step of a network that knows x_0 and gives ε: x_to = x_0 + (ς + ς' - ς̂) ε + √(ς̂² - ς²) z.
  const auto path = support::path_of({2, 1}, support::ve_point);
  const double lifted = 2 * 1.3;
  const euler late{.churn = {.churn = 0.3 * 1}, .peer = compat::diffusers};
  const auto states = support::marginals_of(late.plan(path));
  REQUIRE(states.size() == 1);
  CHECK(states[0].x0 == Approx(1));
  CHECK(states[0].deviation() == Approx(std::hypot(2 + 1 - lifted, std::sqrt(lifted * lifted - 4))));
  CHECK(states[0].deviation() > 1.5);
  // Both converge, from different sides.
  const euler diffusers{.churn = some_churn, .peer = compat::diffusers};
  CHECK(support::variance_error(diffusers, 100) > 0.05);
  CHECK(support::variance_error(euler{.churn = some_churn}, 100) < -0.05);
  CHECK(order_of(support::variance_error(diffusers, 100), support::variance_error(diffusers, 200)) ==
        Approx(1).margin(0.2));
}

TEST_CASE("What diffusers makes of an output asked before the churn depends on its kind") {
  // x_to = r x̂ + (1 - r) x̂0, r = ς'/ς̂, x̂ = x + n z: x̂0 read from the same output as if at ς̂.
  const double s = 2;
  const double lifted = 2.6;
  const double r = 1 / lifted;
  const double n = std::sqrt(lifted * lifted - s * s);
  const auto path = support::path_of({s, 1}, support::ve_point);
  const auto coefficients = [&](prediction network, double sigma_data) {
    return euler{
        .churn = {.churn = 0.3}, .peer = compat::diffusers, .network = network, .sigma_data = sigma_data}
        .plan(path)
        .stages.at(0)
        .next.now;
  };
  const auto x0 = coefficients(prediction::x0, 0);
  CHECK(x0.x == Approx(r));
  CHECK(x0.x0 == Approx(1 - r));
  CHECK(x0.noise == Approx(r * n));
  const auto v = coefficients(prediction::v, 0);  // x̂0 + n z/(1 + ς²)
  CHECK(v.x == Approx(r));
  CHECK(v.x0 == Approx(1 - r));
  CHECK(v.noise == Approx(n * (r + (1 - r) / (1 + s * s))));
  const auto edm = coefficients(prediction::epsilon, 0.5);  // c_skip x̂ + c_out F
  const auto skip = [](double at) { return 0.25 / (at * at + 0.25); };
  const auto out = [](double at) { return at * 0.5 / std::sqrt(at * at + 0.25); };
  CHECK(edm.x0 == Approx((1 - r) * out(lifted) / out(s)));
  CHECK(edm.noise == Approx(n * (r + (1 - r) * skip(lifted))));
  CHECK(edm.x == Approx(r + (1 - r) * (skip(lifted) - out(lifted) / out(s) * skip(s))));
}

TEST_CASE("Euler's method refuses outputs that diffusers does not know, and impossible sigma_data") {
  const auto path = support::path_of({2, 1}, support::ve_point);
  check_refused(
      [&] {
        return euler{.churn = some_churn, .peer = compat::diffusers, .network = prediction::velocity}.plan(
            path);
      },
      {"network", "velocity", "epsilon, x0 or v"});
  check_refused([&] { return euler{.sigma_data = -1}.plan(path); }, {"sigma_data = -1", "[0, inf)"});
}
