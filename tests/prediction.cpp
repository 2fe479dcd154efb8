#include "diffusion/prediction.hpp"

#include "support/check.hpp"
#include "support/methods.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

double output_of(prediction kind, noise_level level, double x0, double epsilon) {
  const target_weights w = training_target(kind, level);
  return w.x0 * x0 + w.epsilon * epsilon;
}

}  // namespace

TEST_CASE("Training targets are what each prediction is defined to be") {
  const noise_level level{0.8, 0.6};
  const double x0 = 2;
  const double epsilon = -3;
  CHECK(output_of(prediction::epsilon, level, x0, epsilon) == -3);
  CHECK(output_of(prediction::x0, level, x0, epsilon) == 2);
  CHECK(output_of(prediction::v, level, x0, epsilon) == Approx(0.8 * -3 - 0.6 * 2).epsilon(1e-15));
  CHECK(output_of(prediction::score, level, x0, epsilon) == Approx(3 / 0.6).epsilon(1e-15));
  CHECK(output_of(prediction::velocity, level, x0, epsilon) == -5);
}

TEST_CASE("All 25 conversions between predictions agree with the training targets at every level") {
  for (const noise_level level : support::typical_levels())
    for (const double x0 : {0.0, 0.7, -3.0})
      for (const double epsilon : {0.0, -0.4, 5.0})
        for (const auto& [from_name, from] : prediction_names)
          for (const auto& [to_name, to] : prediction_names) {
            CAPTURE(from_name, to_name, level.alpha, level.sigma, x0, epsilon);
            const auto [a, s] = level;
            const double x_t = a * x0 + s * epsilon;
            const double converted = convert(from, to, level, x_t, output_of(from, level, x0, epsilon));
            // Eight roundings, magnified by finding x0 in noise (σ/α) or noise in x0 (α/σ) and by the target.
            const double tolerance = 8 * roundoff<> * (std::abs(x0) + std::abs(epsilon)) * (1 + s / a) *
                                     (1 + a / s) * (1 + 1 / s) * (1 + a + s);
            CHECK(std::abs(converted - output_of(to, level, x0, epsilon)) <= tolerance);
          }
}

TEST_CASE("x0 and epsilon maps agree with the state: alpha x0 + sigma epsilon is x_t for any output") {
  for (const noise_level level : support::typical_levels())
    for (const auto& [kind_name, kind] : prediction_names) {
      CAPTURE(kind_name, level.alpha, level.sigma);
      const double x_t = 1.5;
      const double output = -0.25;  // no network is perfect
      const auto [a, s] = level;
      const double x0 = x0_map(kind, level)(x_t, output);
      const double epsilon = epsilon_map(kind, level)(x_t, output);
      const double scale = std::abs(a * x0) + std::abs(s * epsilon) + 1 + s * s;
      CHECK(std::abs(a * x0 + s * epsilon - x_t) <= 16 * roundoff<> * scale);
    }
}

TEST_CASE("x0 is found to the accuracy of x_t near zero SNR") {
  const noise_level level = vp_level_from_log_snr(-20);  // α = 4.5e-5, beyond the end of a cosine schedule
  const double x0 = 0.3;
  const double epsilon = 1.7;
  const double x_t = level.alpha * x0 + level.sigma * epsilon;
  // Three roundings of numbers below 2, and x_t's own two, divided by α at the end.
  const double tolerance = 10 * roundoff<> / level.alpha;
  CHECK(std::abs(x0_map(prediction::epsilon, level)(x_t, epsilon) - x0) <= tolerance);
  // v and velocity know x0 without dividing by α.
  const double v = output_of(prediction::v, level, x0, epsilon);
  CHECK(std::abs(x0_map(prediction::v, level)(x_t, v) - x0) <= 10 * roundoff<>);
}

TEST_CASE("x0 from an epsilon map is the epsilon of one level in the state of another") {
  const noise_level asked{0.6, 0.8};
  const noise_level level{0.8, 0.6};
  const double x = 1.5;
  const double output = -0.25;
  for (const auto& [kind_name, kind] : prediction_names) {
    CAPTURE(kind_name);
    const prediction_map epsilon = epsilon_map(kind, asked);
    const double want = (x - level.sigma * epsilon(x, output)) / level.alpha;
    CHECK(x0_map(epsilon, level)(x, output) == Approx(want).epsilon(16 * roundoff<>));
    CHECK(x0_map(epsilon_map(kind, level), level)(x, output) ==
          Approx(x0_map(kind, level)(x, output)).epsilon(16 * roundoff<>));
  }
  check_refused([] { return x0_map(prediction_map{}, {0, 1}); }, {"alpha = 0", "(0, inf)"});
}

TEST_CASE("At zero SNR, x0, v and velocity give x0 and the others are refused") {
  const noise_level level{0, 1};
  const double x0 = 0.3;
  const double epsilon = 1.7;
  for (const prediction kind : {prediction::x0, prediction::v, prediction::velocity}) {
    CAPTURE(name(kind));
    const double output = output_of(kind, level, x0, epsilon);
    CHECK(x0_map(kind, level)(epsilon, output) == Approx(x0).epsilon(1e-15));
    CHECK(convert(kind, prediction::x0, level, epsilon, output) == Approx(x0).epsilon(1e-15));
  }
  for (const prediction kind : {prediction::epsilon, prediction::score}) {
    check_refused([&] { return x0_map(kind, level); },
                  {"alpha = 0", "(0, inf)", name(kind), "x0, v and velocity"});
    check_refused([&] { return convert(kind, prediction::v, level, 1.0, 1.0); }, {"alpha = 0"});
    CHECK(epsilon_map(kind, level)(epsilon, output_of(kind, level, x0, epsilon)) == epsilon);
  }
}

TEST_CASE("On clean data, epsilon, v and velocity give epsilon and the others are refused") {
  const noise_level level{1, 0};
  const double x0 = 0.3;
  const double epsilon = 1.7;
  for (const prediction kind : {prediction::epsilon, prediction::v, prediction::velocity}) {
    CAPTURE(name(kind));
    const double output = output_of(kind, level, x0, epsilon);
    CHECK(epsilon_map(kind, level)(x0, output) == Approx(epsilon).epsilon(1e-15));
    CHECK(x0_map(kind, level)(x0, output) == Approx(x0).epsilon(1e-15));
  }
  for (const prediction kind : {prediction::x0, prediction::score})
    check_refused([&] { return epsilon_map(kind, level); }, {"sigma = 0", "(0, inf)", name(kind)});
  check_refused([&] { return training_target(prediction::score, level); }, {"sigma = 0", "score"});
}

TEST_CASE("Levels that are no levels are refused by name") {
  const auto ask = [](double alpha, double sigma) {
    return [=] { return x0_map(prediction::x0, {alpha, sigma}); };
  };
  check_refused(ask(-1, 1), {"level.alpha = -1", "[0, inf)"});
  check_refused(ask(std::nan(""), 1), {"level.alpha = nan"});
  check_refused(ask(1, -2), {"level.sigma = -2", "[0, inf)"});
  check_refused(ask(1, HUGE_VAL), {"level.sigma = inf"});
  check_refused(ask(0, 0), {"level.sigma = 0", "alpha = 0"});
}

TEST_CASE("Every prediction has its name, and a number that is none is refused") {
  for (const auto& [text, kind] : prediction_names) CHECK(name(kind) == text);
  const auto none = static_cast<prediction>(9);
  check_refused([&] { return x0_map(none, {1, 1}); }, {"prediction = 9"});
  check_refused([&] { return epsilon_map(none, {1, 1}); }, {"prediction = 9"});
  check_refused([&] { return training_target(none, {1, 1}); }, {"prediction = 9"});
}

TEST_CASE("Score maps give the score that other kinds mean") {
  const noise_level level{0.8, 0.6};
  for (const auto& [name, kind] : prediction_names) {
    CAPTURE(std::string(name));
    const double x = 0.7, output = -0.4;
    CHECK(score_map(kind, level)(x, output) ==
          Approx(convert(kind, prediction::score, level, x, output)).epsilon(8 * roundoff<>));
    if (kind != prediction::score)
      check_refused([&, kind = kind] { return score_map(kind, {1, 0}); }, {"sigma = 0", "(0, inf)"});
  }
  CHECK(score_map(prediction::score, {1, 0})(3, 5) == 5);
}
