#include "diffusion/schedule.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

TEST_CASE("Every schedule starts clean, loses signal strictly and never leaves unit power") {
  for (const int T : {1, 2, 3, 1000, 4000})
    for (const auto& [schedule_name, schedule] : support::all_schedules(T)) {
      CAPTURE(schedule_name, T);
      REQUIRE(schedule.steps() == T);
      CHECK(schedule.level(0) == noise_level{1, 0});
      CHECK(schedule.alpha_bar(0) == 1);
      bool alpha_falls = true;
      bool sigma_grows = true;
      bool beta_legal = true;
      double worst_power = 0;
      for (int t = 1; t <= T; ++t) {
        const noise_level now = schedule.level(t);
        const noise_level before = schedule.level(t - 1);
        alpha_falls = alpha_falls && now.alpha < before.alpha && now.alpha >= 0;
        // σ² grows by ᾱβ, which rounding hides near σ = 1.
        const bool visible = schedule.alpha_bar(t - 1) * schedule.beta(t) > 16 * roundoff<>;
        sigma_grows = sigma_grows && (visible ? now.sigma > before.sigma : now.sigma > 1 - 1e-10);
        beta_legal = beta_legal && schedule.beta(t) > 0 && (schedule.beta(t) < 1 || t == T);
        worst_power = std::max(worst_power, std::abs(now.alpha * now.alpha + now.sigma * now.sigma - 1));
      }
      CHECK(alpha_falls);
      CHECK(sigma_grows);
      CHECK(beta_legal);
      // ᾱ = exp(L), L a sum of T logarithms: a relative error of |L| (T + 1) roundoffs, and ᾱ|L| ≤ 1/e; the
      // same L gives 1 - ᾱ, so that only the last operations of both are left.
      CHECK(worst_power <= 8 * roundoff<>);
    }
}

TEST_CASE("Signal and noise power are as accurate as the betas allow, down to the first steps") {
  for (const int T : {2, 1000, 4000}) {
    support::for_each_schedule_factory([&](const char* schedule_name, auto make) {
      CAPTURE(schedule_name, T);
      const discrete_schedule<> schedule = make(double{}, T);
      long double log_alpha_bar = 0;
      double worst_noise = 0;  // in tolerances
      double worst_signal = 0;
      for (int t = 1; t <= T && schedule.alpha_bar(t) > 0; ++t) {
        log_alpha_bar += std::log1p(-static_cast<long double>(schedule.beta(t)));
        const double noise = static_cast<double>(-std::expm1(log_alpha_bar));
        const double signal = static_cast<double>(std::exp(log_alpha_bar));
        const double log_error = (t + 3) * roundoff<>;  // relative: t additions of one sign, and log1p
        const double sigma = schedule.level(t).sigma;
        // expm1 does not magnify a relative error of its argument; the square of σ has three more roundings.
        worst_noise =
            std::max(worst_noise, std::abs(sigma * sigma / noise - 1) / (log_error + 6 * roundoff<>));
        worst_signal = std::max(
            worst_signal, std::abs(schedule.alpha_bar(t) / signal - 1) /
                              (log_error * std::abs(static_cast<double>(log_alpha_bar)) + 6 * roundoff<>));
      }
      CHECK(worst_noise <= 1);
      CHECK(worst_signal <= 1);
    });
  }
}

TEST_CASE("A table of floats is the table of doubles, rounded once") {
  for (const int T : {1, 2, 1000, 4000})
    support::for_each_schedule_factory([&](const char* schedule_name, auto make) {
      CAPTURE(schedule_name, T);
      const discrete_schedule<double> wide = make(double{}, T);
      const discrete_schedule<float> narrow = make(float{}, T);
      bool same = true;
      for (int t = 0; t <= T; ++t) {
        const auto [a, s] = wide.level(t);
        const auto rounded = [](double x) { return static_cast<double>(static_cast<float>(x)); };
        same = same && narrow.level(t) == noise_level{rounded(a), rounded(s)};
        same = same && (t == 0 || narrow.beta(t) == rounded(wide.beta(t)));
      }
      CHECK(same);
    });
}

TEST_CASE("Betas and signal powers give the same schedule") {
  for (const auto& [schedule_name, schedule] : support::all_schedules(100)) {
    CAPTURE(schedule_name);
    std::vector<double> alpha_bars;
    std::vector<double> sigmas;
    std::vector<double> betas;
    for (int t = 1; t <= 100; ++t) {
      alpha_bars.push_back(schedule.alpha_bar(t));
      sigmas.push_back(schedule.level(t).sigma);
      betas.push_back(schedule.beta(t));
    }
    const auto back = discrete_schedule<>::from_alpha_bars(alpha_bars);
    for (int t = 1; t <= 100; ++t) {
      const auto i = static_cast<std::size_t>(t - 1);
      CAPTURE(t);
      // ᾱ near 1 is known to 4 roundoffs, after 100 logarithms; 1 - ᾱ and β are differences of such numbers.
      const double tolerance = 110 * roundoff<>;
      CHECK(back.alpha_bar(t) == Approx(alpha_bars[i]).epsilon(4 * roundoff<>));
      CHECK(std::abs(back.level(t).sigma * back.level(t).sigma - sigmas[i] * sigmas[i]) <= tolerance);
      CHECK(std::abs(back.beta(t) - betas[i]) <= tolerance * (1 - std::log(alpha_bars[i] + 1e-300)));
    }
  }
}

TEST_CASE("Signal powers are taken as they are") {
  const std::vector<double> alpha_bars{0.75, 0.5, 0.125, 0};
  const auto schedule = discrete_schedule<>::from_alpha_bars(alpha_bars);
  CHECK(schedule.beta(1) == 0.25);
  CHECK(schedule.beta(2) == Approx(1.0 / 3).epsilon(4 * roundoff<>));
  CHECK(schedule.beta(3) == 0.75);
  CHECK(schedule.beta(4) == 1);
  CHECK(schedule.level(2) == noise_level{std::sqrt(0.5), std::sqrt(0.5)});
  CHECK(schedule.level(4) == noise_level{0, 1});
}

TEST_CASE("Betas outside (0, 1) are refused by index, value and range; the last may be 1") {
  const auto from = [](std::vector<double> betas) {
    return [=] { return discrete_schedule<>::from_betas(betas); };
  };
  check_refused(from({}), {"steps = 0", "at least 1"});
  check_refused(from({0.1, 0.2, -0.5}), {"beta_3 = -0.5", "(0, 1]"});
  check_refused(from({0.1, 0.0, 0.5}), {"beta_2 = 0", "(0, 1)"});
  check_refused(from({0.1, 1.0, 0.5}), {"beta_2 = 1", "(0, 1)", "only the last may be 1"});
  check_refused(from({1.25}), {"beta_1 = 1.25", "(0, 1]"});
  check_refused(from({std::nan(""), 0.1}), {"beta_1 = nan"});
  // √ᾱ = 1e-400 is no double.
  check_refused(from(std::vector<double>(400, 0.99)), {"alpha_bar_", "= 0", "no signal"});
  const std::vector<double> to_zero{0.5, 1};
  CHECK(discrete_schedule<>::from_betas(to_zero).level(2) == noise_level{0, 1});
}

TEST_CASE("Signal powers that do not fall strictly within (0, 1) are refused; the last may be 0") {
  const auto from = [](std::vector<double> alpha_bars) {
    return [=] { return discrete_schedule<>::from_alpha_bars(alpha_bars); };
  };
  check_refused(from({}), {"steps = 0", "at least 1"});
  check_refused(from({1.0, 0.5}), {"alpha_bar_1 = 1", "(0, 1)", "strictly decreasing"});
  check_refused(from({0.5, 0.5}), {"alpha_bar_2 = 0.5", "[0, 0.5)", "strictly decreasing"});
  check_refused(from({0.5, 0.0, 0.0}), {"alpha_bar_2 = 0", "(0, 0.5)"});
  check_refused(from({0.5, -0.1}), {"alpha_bar_2 = -0.1", "[0, 0.5)"});
  check_refused(from({std::nan("")}), {"alpha_bar_1 = nan"});
}

TEST_CASE("Steps outside the schedule are refused with the range") {
  const auto schedule = linear_schedule(10);
  check_refused([&] { return schedule.level(-1); }, {"t = -1", "[0, 10]"});
  check_refused([&] { return schedule.level(11); }, {"t = 11", "[0, 10]"});
  check_refused([&] { return schedule.alpha_bar(11); }, {"t = 11", "[0, 10]"});
  check_refused([&] { return schedule.beta(0); }, {"t = 0", "[1, 10]"});
  check_refused([&] { return schedule.beta(11); }, {"t = 11", "[1, 10]"});
}

TEST_CASE("Every schedule refuses fewer than one step") {
  support::for_each_schedule_factory([](const char* schedule_name, auto make) {
    CAPTURE(schedule_name);
    check_refused([&] { return make(double{}, 0); }, {"steps = 0", "at least 1"});
    check_refused([&] { return make(double{}, -3); }, {"steps = -3", "at least 1"});
  });
}
