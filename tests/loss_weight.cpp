#include "diffusion/loss_weight.hpp"

#include <cmath>
#include <limits>

#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

constexpr double inf = std::numeric_limits<double>::infinity();

TEST_CASE("Min-SNR weights of a variance preserving level are those of the paper") {
  const auto schedule = cosine_schedule(1000);
  for (const double gamma : {0.5, 5.0, 1e9}) {
    for (int t = 1; t <= 1000; t += 27) {
      CAPTURE(gamma, t);
      const noise_level level = schedule.level(t);
      const double ratio = snr(level), least = std::min(ratio, gamma);
      // alpha² + sigma² = 1 and the SNR have a few roundings each.
      const auto close = [&](prediction kind, double expected) {
        CHECK(std::abs(min_snr_weight(kind, level, gamma) - expected) <= 16 * roundoff<> * expected);
      };
      close(prediction::epsilon, least / ratio);
      close(prediction::x0, least);
      close(prediction::v, least / (ratio + 1));
    }
  }
  CHECK(min_snr_weight(prediction::x0, schedule.level(1)) == 5);
}

TEST_CASE("A min-SNR weighted error is the same for every kind of prediction") {
  // The same wrong x̂0, expressed as an output of each kind, on levels of any power.
  const double x_t = 0.3, x0 = 0.7, x0_hat = 0.9;
  for (const noise_level level : {noise_level{0.6, 0.8}, {1, 2.5}, {0.7, 0.3}, {0.05, 1}}) {
    const double epsilon = (x_t - level.alpha * x0) / level.sigma;
    const double expected = min_snr_weight(prediction::x0, level) * (x0_hat - x0) * (x0_hat - x0);
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(level.alpha, level.sigma, std::string(name));
      const target_weights w = training_target(kind, level);
      const double right = w.x0 * x0 + w.epsilon * epsilon;
      const double wrong = convert(prediction::x0, kind, level, x_t, x0_hat);
      const double found = min_snr_weight(kind, level) * (wrong - right) * (wrong - right);
      // The outputs are below 30 in size and 0.004 apart at the least: 2^-53 · 30 / 0.004 is 1e-12.
      CHECK(std::abs(found - expected) <= 1e-10 * expected);
    }
  }
}

TEST_CASE("Min-SNR weights at zero SNR and of clean data are the limits") {
  struct row {
    prediction kind;
    double zero_snr, clean, clean_without_limit;
  };
  for (const auto& [kind, zero_snr, clean, without] : {row{prediction::epsilon, 1, 0, 1},
                                                       {prediction::x0, 0, 5, inf},
                                                       {prediction::v, 0, 0, 1},
                                                       {prediction::score, 1, 0, 0},
                                                       {prediction::velocity, 0, 0, 1}}) {
    CAPTURE(std::string(name(kind)));
    CHECK(min_snr_weight(kind, {0, 1}) == zero_snr);
    CHECK(min_snr_weight(kind, {0, 1}, inf) == zero_snr);
    CHECK(min_snr_weight(kind, {1, 0}) == clean);
    CHECK(min_snr_weight(kind, {1, 0}, inf) == without);
  }
}

TEST_CASE("A min-SNR weight refuses limits and levels that are none") {
  for (const double gamma : {0.0, -1.0, std::nan("")})
    check_refused([&] { return min_snr_weight(prediction::v, {0.6, 0.8}, gamma); }, {"gamma = ", "(0, inf]"});
  check_refused([] { return min_snr_weight(prediction::v, {std::nan(""), 0.8}); }, {"level.alpha = nan"});
  check_refused([] { return min_snr_weight(prediction::v, {0, 0}); }, {"level.sigma = 0"});
}
