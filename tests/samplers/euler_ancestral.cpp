#include "diffusion/samplers/euler_ancestral.hpp"

#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;

TEST_CASE("Ancestral Euler steps go down to sigma_down and up by sigma_up, as k-diffusion writes them") {
  for (const double eta : {0.0, 0.4, 1.0}) {
    const double from = 3, to = 1.2, x = 1.9, x0 = -0.3, z = 0.8;
    const double up = std::min(to, eta * std::sqrt(to * to * (from * from - to * to) / (from * from)));
    const double down = std::sqrt(to * to - up * up);
    const double expected = x + (x - x0) / from * (down - from) + z * up * 1.05;
    const step_coefficients c = euler_ancestral{.eta = eta, .s_noise = 1.05}({1, from}, {1, to});
    CHECK(c.x * x + c.x0 * x0 + c.noise * z == Approx(expected).epsilon(1e-14));
    CHECK(c.epsilon == 0);
  }
}

TEST_CASE("Ancestral Euler steps keep the marginals in every process and are of order 1 in distribution") {
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    const auto path = support::path_of(support::log_sigmas(12, true), point);
    for (const double eta : {0.0, 0.4, 1.0})
      support::check_keeps_marginals(make_plan(path, euler_ancestral{.eta = eta}));
  }
  support::check_same_in_every_process(euler_ancestral{.s_noise = 1.01}, support::log_sigmas(12, true));
  for (const double eta : {0.5, 1.0})
    CHECK(order_of(support::variance_error(euler_ancestral{.eta = eta}, 100),
                   support::variance_error(euler_ancestral{.eta = eta}, 200)) == Approx(1).margin(0.2));
}

TEST_CASE("Ancestral Euler steps refuse impossible eta and s_noise") {
  const noise_level from{1, 2}, to{1, 1};
  check_refused([&] { return euler_ancestral{.eta = 1.5}(from, to); }, {"eta = 1.5", "[0, 1]"});
  check_refused([&] { return euler_ancestral{.s_noise = -1}(from, to); }, {"s_noise = -1", "[0, inf)"});
}
