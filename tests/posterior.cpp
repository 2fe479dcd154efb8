#include "diffusion/posterior.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

struct normal_weights {
  double x, x0, variance;
};

/// The product of the two normals q(x_to | x_0) and q(x_from | x_to), as a normal in x_to.
normal_weights bayes(noise_level from, noise_level to) {
  const long double gain = static_cast<long double>(from.alpha) / to.alpha;
  const long double prior_variance = static_cast<long double>(to.sigma) * to.sigma;
  const long double step_variance =
      static_cast<long double>(from.sigma) * from.sigma - gain * gain * prior_variance;
  const long double precision = 1 / prior_variance + gain * gain / step_variance;
  return {static_cast<double>(gain / step_variance / precision),
          static_cast<double>(to.alpha / prior_variance / precision), static_cast<double>(1 / precision)};
}

/// 1 - SNR_from/SNR_to, to which rounding errors of the coefficients are relative.
double lost(noise_level from, noise_level to) { return 1 - snr(from) / snr(to); }

template <class Use>
void for_each_step(Use use) {
  for (const auto& [schedule_name, schedule] : support::all_schedules(50))
    for (int from = 2; from <= 50; ++from)
      for (int to = 1; to < from; to += 1 + to / 4) {
        CAPTURE(schedule_name, from, to);
        use(schedule.level(from), schedule.level(to));
      }
}

}  // namespace

TEST_CASE("The posterior is Bayes' product of prior and likelihood") {
  for_each_step([](noise_level from, noise_level to) {
    const step_coefficients p = posterior(from, to);
    const normal_weights want = bayes(from, to);
    // 1 - r² has an absolute error of 9 roundoffs (r has 3, each factor 4 or 1); the rest are single ones.
    const double relative = 16 * roundoff<> / lost(from, to);
    CHECK(p.x == Approx(want.x).epsilon(relative).margin(0));
    CHECK(p.x0 == Approx(want.x0).epsilon(relative).margin(0));
    CHECK(p.epsilon == 0);
    CHECK(p.noise * p.noise == Approx(want.variance).epsilon(relative).margin(0));
    CHECK(posterior_variance(from, to) == Approx(want.variance).epsilon(relative).margin(0));
  });
}

TEST_CASE("The posterior of one step has the coefficients of Ho et al. 2020, equation 7") {
  const auto schedule = linear_schedule(1000);
  for (const int t : {2, 3, 500, 1000}) {
    CAPTURE(t);
    const double beta = schedule.beta(t);
    const double now = schedule.alpha_bar(t);
    const double before = schedule.alpha_bar(t - 1);
    const step_coefficients p = posterior(schedule.level(t), schedule.level(t - 1));
    // 1 - ᾱ is computed here as a difference: 1e-16 of an ᾱ near 1, relative to 1e-4.
    const double relative = 1e-11;
    CHECK(p.x0 == Approx(std::sqrt(before) * beta / (1 - now)).epsilon(relative));
    CHECK(p.x == Approx(std::sqrt(1 - beta) * (1 - before) / (1 - now)).epsilon(relative));
    CHECK(p.noise * p.noise == Approx((1 - before) / (1 - now) * beta).epsilon(relative));
  }
}

TEST_CASE("Two posterior steps given x0 are one (Chapman-Kolmogorov)") {
  for (const auto& [schedule_name, schedule] : support::all_schedules(50))
    for (const auto& [from, middle, to] : {std::array{50, 25, 1}, {50, 49, 48}, {3, 2, 1}, {30, 2, 0}}) {
      CAPTURE(schedule_name, from, middle, to);
      const step_coefficients first = posterior(schedule.level(from), schedule.level(middle));
      const step_coefficients second = posterior(schedule.level(middle), schedule.level(to));
      const step_coefficients whole = posterior(schedule.level(from), schedule.level(to));
      const double tolerance = 40 * roundoff<>;  // 16 for each of the three, all numbers at most 1
      CHECK(std::abs(second.x * first.x - whole.x) <= tolerance);
      CHECK(std::abs(second.x * first.x0 + second.x0 - whole.x0) <= tolerance);
      const double spread = second.x * first.noise;
      CHECK(std::abs(spread * spread + second.noise * second.noise - whole.noise * whole.noise) <= tolerance);
    }
}

TEST_CASE("The posterior does not depend on the scale of either level: VP, VE and flow agree") {
  const auto ve = [](noise_level l) { return 1 / l.alpha; };
  const auto flow = [](noise_level l) { return 1 / (l.alpha + l.sigma); };
  const auto scaled = [](noise_level l, double k) { return noise_level{k * l.alpha, k * l.sigma}; };
  for_each_step([&](noise_level from, noise_level to) {
    const step_coefficients vp = posterior(from, to);
    for (const auto& scale : {std::function<double(noise_level)>(ve), {flow}}) {
      if (from.alpha == 0 && !std::isfinite(scale(from))) continue;  // no VE level has zero SNR
      const double kf = scale(from);
      const double kt = scale(to);
      const step_coefficients p = posterior(scaled(from, kf), scaled(to, kt));
      const double relative = 24 * roundoff<> / lost(from, to);
      CHECK(p.x == Approx(vp.x * kt / kf).epsilon(relative).margin(0));
      CHECK(p.x0 == Approx(vp.x0 * kt).epsilon(relative).margin(0));
      CHECK(p.noise == Approx(vp.noise * kt).epsilon(relative).margin(0));
    }
  });
}

TEST_CASE("The posterior variance lies below the transition variance, which is beta for one step") {
  for_each_step([](noise_level from, noise_level to) {
    CHECK(posterior_variance(from, to) <= transition_variance(from, to));
  });
  for (const auto& [schedule_name, schedule] : support::all_schedules(1000))
    for (const int t : {1, 2, 400, 1000}) {
      CAPTURE(schedule_name, t);
      // β as a loss of SNR: the levels' roundings over β.
      const double tolerance = 2000 * roundoff<>;
      CHECK(std::abs(transition_variance(schedule.level(t), schedule.level(t - 1)) - schedule.beta(t)) <=
            tolerance);
    }
}

TEST_CASE("A step to clean data returns x0, and a step from zero SNR forgets the state") {
  const step_coefficients last = posterior({0.9, 0.1}, {1, 0});
  CHECK(last.x == 0);
  CHECK(last.x0 == 1);
  CHECK(last.noise == 0);
  const step_coefficients first = posterior({0, 1}, {0.6, 0.8});
  CHECK(first.x == 0);
  CHECK(first.x0 == 0.6);
  CHECK(first.noise == 0.8);
  CHECK(transition_variance({0, 1}, {0.6, 0.8}) == 1);
  const step_coefficients only = posterior({0, 1}, {1, 0});
  CHECK(only.x0 == 1);
  CHECK(only.noise == 0);
}

TEST_CASE("Log variances are finite at the last step, where the variance is zero") {
  const auto schedule = linear_schedule(1000);
  const auto variance = [&](int t) { return posterior_variance(schedule.level(t), schedule.level(t - 1)); };
  CHECK(variance(1) == 0);
  CHECK(posterior_log_variance(schedule, 1) == std::log(variance(2)));
  CHECK(posterior_log_variance(schedule, 2) == std::log(variance(2)));
  CHECK(posterior_log_variance(schedule, 1000) == std::log(variance(1000)));
  CHECK(posterior_log_variance(linear_schedule(1), 1) == std::log(1e-4));
  CHECK(posterior_log_variance(schedule.level(1), schedule.level(0)) == std::log(1e-20));
  CHECK(posterior_log_variance(schedule.level(1), schedule.level(0), 1e-6) == std::log(1e-6));
  CHECK(posterior_log_variance(schedule.level(9), schedule.level(8)) == std::log(variance(9)));
  check_refused([&] { return posterior_log_variance({0.5, 0.5}, {1, 0}, 0); }, {"floor = 0", "(0, inf)"});
  check_refused([&] { return posterior_log_variance(schedule, 0); }, {"t = 0", "[1, 1000]"});
  check_refused([&] { return posterior_log_variance(schedule, 1001); }, {"t = 1001", "[1, 1000]"});
}

TEST_CASE("Steps that a posterior does not have are refused by the level at fault") {
  check_refused([] { return posterior({1, 0}, {1, 0}); }, {"from.sigma = 0", "(0, inf)"});
  check_refused([] { return posterior({0, 1}, {0, 2}); }, {"to.alpha = 0", "(0, inf)"});
  check_refused([] { return posterior({0.8, 0.6}, {0.6, 0.8}); }, {"SNR", "[0, 1]"});
  check_refused([] { return posterior({-1, 1}, {1, 0}); }, {"from.alpha = -1"});
  check_refused([] { return posterior({1, 1}, {1, std::nan("")}); }, {"to.sigma = nan"});
  check_refused([] { return transition_variance({1, 0}, {1, 0}); }, {"from.sigma = 0"});
  check_refused([] { return posterior_variance({1, 1}, {0, 1}); }, {"to.alpha = 0"});
}
