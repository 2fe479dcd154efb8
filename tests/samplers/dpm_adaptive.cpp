#include "diffusion/samplers/dpm_adaptive.hpp"

#include "support/check.hpp"
#include "support/oracle.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

/// The results of both orders of one step of length h in λ from x, as errors.
struct errors {
  double low, high;
};
errors errors_of_step(const dpm_adaptive& method, double h) {
  const support::mixture data;
  const double from = -1;
  const auto level_at = [&](double u) { return vp_level_from_log_snr(2 * (from + u * h)); };
  const auto step = detail::make_embedded_step(method, level_at);
  const auto predicted = [&](double x, double u) {
    const auto e = data(x, level_at(u));
    return method.form == dpm_solver_form::noise ? e.epsilon : e.x0;
  };
  const double x = 0.3;
  const double at_start = predicted(x, 0);
  const auto state = [&](const detail::dpm_weights& w, double other) {
    return w.x * x + w.f[0] * at_start + w.f[1] * other;
  };
  const double second = predicted(state(step.second, 0), step.second_at);
  const double last = method.order == 2 ? second : predicted(state(step.third, second), step.third_at);
  const double want = support::probability_flow(data, x, level_at(0), level_at(1));
  return {std::abs(state(step.low, second) - want), std::abs(state(step.high, last) - want)};
}

}  // namespace

TEST_CASE("A step's two results have local errors of the orders that they claim") {
  for (const int order : {2, 3})
    for (const auto form : {dpm_solver_form::noise, dpm_solver_form::data}) {
      CAPTURE(order, form == dpm_solver_form::noise);
      const dpm_adaptive method{.order = order, .form = form};
      const errors coarse = errors_of_step(method, 0.04);
      const errors fine = errors_of_step(method, 0.02);
      // A method of order p errs by O(h^(p+1)) in one step.
      CHECK(support::order_of(coarse.low, fine.low) == Approx(order).margin(0.2));
      CHECK(support::order_of(coarse.high, fine.high) == Approx(order + 1).margin(0.2));
    }
}

TEST_CASE("The controller keeps good steps, repeats bad ones and changes their length within bounds") {
  const dpm_adaptive method;
  const double pi = 3.14159265358979323846;
  for (const double error : {0.0, 1e-3, 0.5, 1.0, 1.5, 2.0, 10.0, 1e9}) {
    CAPTURE(error);
    detail::step_size_controller controller(0.1);
    const bool accepted = controller.propose(error, method);
    const double factor = 1 + std::atan(std::pow(1 / (error + 1e-8), 1.0 / 3) - 1);
    CHECK(controller.h == Approx(0.1 * factor));
    CHECK(accepted == (factor >= 0.81));
    CHECK(controller.h > 0.1 * (1 - pi / 4));
    CHECK(controller.h < 0.1 * (1 + pi / 2));
  }
}

TEST_CASE("The controller's history is that of accepted steps") {
  const dpm_adaptive method{.order = 2, .pcoeff = 0.3, .icoeff = 0.4, .dcoeff = 0.1};
  detail::step_size_controller controller(1);
  controller.propose(0.5, method);
  CHECK_FALSE(controller.propose(100, method));
  const auto before = controller.inverse_errors;
  CHECK(before[1] == Approx(2));
  CHECK(controller.propose(0.25, method));
  CHECK(controller.inverse_errors[2] == before[1]);
  CHECK(controller.inverse_errors[1] == Approx(4));
}

TEST_CASE("Bad options of the adaptive DPM-Solver are refused") {
  const auto refuse = [](const dpm_adaptive& method, std::initializer_list<std::string_view> parts) {
    check_refused([&] { return detail::require_options(method), 0; }, parts);
  };
  refuse({.order = 1}, {"order = 1", "2 or 3"});
  refuse({.rtol = -1}, {"rtol = -1", "[0, inf)"});
  refuse({.atol = 0}, {"atol = 0", "(0, inf)"});
  refuse({.h_init = 0}, {"h_init = 0"});
  refuse({.icoeff = NAN}, {"icoeff = nan"});
  refuse({.accept_safety = 1.1}, {"accept_safety = 1.1", "(0, 1]"});
  refuse({.eta = -1}, {"eta = -1"});
  refuse({.s_noise = INFINITY}, {"s_noise = inf"});
  refuse({.max_steps = 0}, {"max_steps = 0"});
}
