#include "diffusion/samplers/lms.hpp"

#include "diffusion/samplers/euler.hpp"
#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

TEST_CASE("The weights of LMS integrate polynomials of lower degree than its order exactly") {
  const std::vector<double> nodes{0, 1.3, 1.9, 4, 4.2};
  for (std::size_t order = 1; order <= nodes.size(); ++order) {
    CAPTURE(order);
    const auto weights = detail::lagrange_integrals(std::span(nodes).first(order), -0.7);
    REQUIRE(weights.size() == order);
    for (std::size_t degree = 0; degree < order; ++degree) {
      double sum = 0;
      double size = 0;
      for (std::size_t j = 0; j < order; ++j) {
        sum += weights[j] * std::pow(nodes[j], double(degree));
        size += std::abs(weights[j]) * std::pow(nodes[j], double(degree));
      }
      const double integral = std::pow(-0.7, double(degree + 1)) / double(degree + 1);
      CHECK(std::abs(sum - integral) <= 32 * roundoff<> * size);
    }
  }
}

TEST_CASE("LMS on an even grid is Adams-Bashforth") {
  const std::vector<double> nodes{0, 1, 2, 3};
  const auto weights = detail::lagrange_integrals(nodes, -1);
  support::check_close(weights, std::vector<double>{-55. / 24, 59. / 24, -37. / 24, 9. / 24},
                       16 * roundoff<>);
}

TEST_CASE("A run of LMS follows a slope that is a polynomial in sigma, once it has its history") {
  // dy/dς = p(ς): the network is asked what it cannot know, so that only the weights count.
  const std::vector<double> sigmas{5, 4, 3.2, 2, 1.5, 0.4, 0};
  for (const int order : {1, 2, 3, 4}) {
    CAPTURE(order);
    const auto slope = [&](double s) { return std::pow(s - 1, order - 1); };
    const auto integral = [&](double s) { return std::pow(s - 1, order) / order; };
    for (const auto& [name, point] : support::all_processes()) {
      CAPTURE(name);
      const auto plan = lms{order}.plan(support::path_of(sigmas, point));
      CHECK(plan.slots == std::size_t(order - 1));
      std::vector<double> y{0.5};
      support::run_on(
          plan, 0.5 * plan.stages[0].from.level.alpha,
          [&](double x, const run_stage& stage) {
            const auto [a, s] = stage.eval.level;
            return support::expectation{(x - s * slope(s / a)) / a, slope(s / a)};
          },
          [](std::size_t) { return 0.0; },
          [&](std::size_t k, double x) { y.push_back(x / plan.stages[k].to.level.alpha); });
      for (std::size_t k = std::size_t(order - 1); k < sigmas.size() - 1; ++k) {
        CAPTURE(k);
        CHECK(std::abs(y[k + 1] - y[k] - (integral(sigmas[k + 1]) - integral(sigmas[k]))) <=
              1e4 * roundoff<>);  // slopes up to 64 as differences of states up to 300
      }
    }
  }
}

TEST_CASE("LMS has its order on grids that begin with short steps, and at least order 2 on others") {
  const support::mixture data;
  const auto order = [&](int k, int n, double bend) {
    return order_of(support::error_of(lms{k}, data, n, bend), support::error_of(lms{k}, data, 2 * n, bend));
  };
  for (const int k : {1, 2, 3, 4}) {
    CAPTURE(k);
    CHECK(order(k, 256, -1) == Approx(k).margin(0.2));  // λ = 3 - 5 u²
  }
  // The error of the first step, of Euler's, is of order h² and outlives those of the others.
  CHECK(order(2, 256, 0) == Approx(2).margin(0.2));
  CHECK(order(6, 256, 0) == Approx(2).margin(0.2));
}

TEST_CASE("LMS of order 1 is Euler's method, in every process") {
  const support::mixture data;
  for (const auto& [name, point] : support::all_processes()) {
    CAPTURE(name);
    const auto path = support::path_of(support::log_sigmas(9, true), point);
    CHECK(support::run_on(lms{1}.plan(path), data, 1.5) == support::run_on(euler{}.plan(path), data, 1.5));
    support::check_keeps_marginals(lms{4}.plan(path));
  }
  support::check_same_in_every_process(lms{4}, support::log_sigmas(12, true));
}

TEST_CASE(
    "LMS is finite from zero SNR, to and from clean data, in one step and in steps of length zero at the "
    "end") {
  const std::vector<path_point> points{{9, {0, 1}}, support::vp_point(2), support::vp_point(1), {0, {1, 0}}};
  const auto plan = lms{}.plan(run_path(points));
  support::check_finite(plan);
  support::check_keeps_marginals(plan);
  CHECK(plan.slots == 1);
  support::check_finite(lms{}.plan(support::path_of({0, 0.5, 1, 2}, support::vp_point)));
  support::check_finite(lms{}.plan(support::path_of({1, 0}, support::vp_point)));
  support::check_finite(lms{}.plan(support::path_of({1, 0.5, 0.5}, support::vp_point)));
}

TEST_CASE("LMS refuses an order below 1") {
  const auto path = support::path_of({2, 1}, support::ve_point);
  check_refused([&] { return lms{0}.plan(path); }, {"order = 0", "at least 1"});
}
