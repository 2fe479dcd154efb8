#include "diffusion/samplers/heun.hpp"

#include "support/processes.hpp"

using namespace diffusion;
using support::check_refused;
using support::order_of;
using support::roundoff;

TEST_CASE("Heun's method is algorithm 2 of Karras et al. 2022") {
  const support::mixture data;
  const std::vector<double> sigmas{2, 0.8, 0};
  double x = 1.1;
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double t = sigmas[i];
    const double next = sigmas[i + 1];
    const double d = (x - data(x, {1, t}).x0) / t;
    double x_next = x + (next - t) * d;
    if (next > 0) x_next = x + (next - t) * (d + (x_next - data(x_next, {1, next}).x0) / next) / 2;
    x = x_next;
  }
  const auto plan = heun{}.plan(support::path_of(sigmas, support::ve_point));
  CHECK(plan.stages.size() == 3);  // the last step is Euler's
  CHECK(plan.slots == 1);
  CHECK(support::run_on(plan, data, 1.1) == Approx(x).epsilon(64 * roundoff<>));
}

TEST_CASE("Heun's method is of order 2, with churn in distribution") {
  const support::mixture data;
  for (const double bend : {0.0, 0.5})
    CHECK(order_of(support::error_of(heun{}, data, 64, bend), support::error_of(heun{}, data, 128, bend)) ==
          Approx(2).margin(0.2));
  const heun churned{.churn = {.churn = 10}};
  CHECK(order_of(support::variance_error(churned, 100), support::variance_error(churned, 200)) ==
        Approx(2).margin(0.2));
  support::check_same_in_every_process(churned, support::log_sigmas(12, true));
}

TEST_CASE("Heun's method is finite from zero SNR, to and from clean data, over steps of length zero") {
  const std::vector<path_point> points{{2, {0, 1}}, support::vp_point(1), {0, {1, 0}}};
  const auto plan = heun{}.plan(run_path(points));
  support::check_finite(plan);
  support::check_keeps_marginals(plan);
  CHECK(plan.stages.size() == 2);
  support::check_finite(heun{}.plan(support::path_of({0, 0.5, 1}, support::vp_point)));
  support::check_finite(heun{}.plan(support::path_of({2, 0}, support::vp_point)));
  const auto still = heun{}.plan(support::path_of({0.5, 0.5}, support::vp_point));
  CHECK(support::run_on(still, support::mixture{}, 0.3) == Approx(0.3).epsilon(8 * roundoff<>));
}

TEST_CASE("Heun's method goes to noise and back with an error of its order") {
  const support::mixture data;
  const auto there_and_back = [&](int n) {
    std::vector<double> s;
    for (int k = 0; k <= n; ++k) s.push_back(3.0 * k / n);
    std::vector<double> back(s.rbegin(), s.rend());
    back.back() = s[0] = 1e-3;
    const double noisy = support::run_on(heun{}.plan(support::path_of(s, support::ve_point)), data, 0.2);
    return std::abs(support::run_on(heun{}.plan(support::path_of(back, support::ve_point)), data, noisy) -
                    0.2);
  };
  CHECK(there_and_back(200) < 1e-3);
  CHECK(order_of(there_and_back(200), there_and_back(400)) > 1.8);
}

TEST_CASE("Heun's method refuses grids with gaps") {
  const basic_time_grid<int> gap(std::vector<interval<int>>{{9, 6, 9}, {5, 0, 5}});
  const auto schedule = discrete_schedule<>::from_betas(std::vector<double>(10, 0.1));
  check_refused([&] { return heun{}.plan(run_path(schedule, gap)); }, {"grid[1].from = 5", "6"});
}
