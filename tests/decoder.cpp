#include "diffusion/decoder.hpp"

#include "support/check.hpp"

using namespace diffusion;

namespace {

double value_of(int k) { return k / 127.5 - 1; }

template <class D>
double numerical_slope(const D& decoder, double x0, double mean, double log_variance) {
  const double h = 1e-4;
  return (decoder.log_likelihood(x0, mean, log_variance + h) -
          decoder.log_likelihood(x0, mean, log_variance - h)) /
         (2 * h);
}

}  // namespace

static_assert(Decoder<continuous_gaussian> && Decoder<discretized_gaussian>);
static_assert(!Decoder<double>);

TEST_CASE("The probabilities of all 256 values add up to 1") {
  for (const double mean : {-1.3, -1.0, -0.5, 0.001, 0.99, 4.0})
    for (const double log_variance : {-14.0, -9.7, -5.0, -1.0, 3.0, 12.0}) {
      CAPTURE(mean, log_variance);
      double sum = 0;
      double approximate = 0;
      for (int k = 0; k < 256; ++k) {
        sum += std::exp(discretized_gaussian{}.log_likelihood(value_of(k), mean, log_variance));
        approximate +=
            std::exp(discretized_gaussian{normal_cdf::tanh}.log_likelihood(value_of(k), mean, log_variance));
      }
      // 256 probabilities of about 64 roundings each, see tests/gaussian.cpp. The ends of neighbouring bins
      // differ by a rounding of the value, which is up to 1e-16 e^7 deviations.
      CHECK(sum == Approx(1).margin(1e-12));
      CHECK(approximate >= 1 - 1e-12);
      CHECK(approximate <= 1 + 256 * 1e-12);  // the floor
    }
}

TEST_CASE("The first and the last bin are open, also for values rounded to float") {
  const discretized_gaussian decoder;
  for (const int end : {0, 255}) {
    const double x0 = static_cast<double>(static_cast<float>(end) / 127.5f - 1);
    const double inner = end == 0 ? -1 + 1.0 / 255 : 1 - 1.0 / 255;
    const double mean = 0.2;
    const double log_variance = -2;
    const double z = std::abs(inner - mean) * std::exp(1.0);
    CHECK(decoder.log_likelihood(x0, mean, log_variance) ==
          Approx(std::log(std::erfc(z / std::sqrt(2.0)) / 2)).epsilon(1e-12));
  }
  // The bins beside them are not.
  CHECK(decoder.log_likelihood(value_of(1), -3, -2) < decoder.log_likelihood(value_of(0), -3, -2) - 5);
  CHECK(decoder.log_likelihood(value_of(254), 3, -2) < decoder.log_likelihood(value_of(255), 3, -2) - 5);
}

TEST_CASE("A value is the likelier the nearer the mean is to it, however far away") {
  // 1/255 from the mean to 300 deviations: the floor of the approximation would end this at 7.
  for (const int k : {3, 128, 255}) {
    double before = 1;
    for (double distance = 0.004; distance < 1.2; distance *= 1.5) {
      const double found = discretized_gaussian{}.log_likelihood(value_of(k), value_of(k) - distance, -11);
      CHECK(found < before);
      CHECK(std::isfinite(found));
      before = found;
    }
    CHECK(before < -10'000);
    CHECK(discretized_gaussian{normal_cdf::tanh}.log_likelihood(value_of(k), value_of(k) - 1, -11) ==
          std::log(1e-12));
  }
}

TEST_CASE("A bin far narrower than the deviation has the density times its width") {
  for (const double mean : {-0.4, 0.3, 0.9}) {
    const double x0 = value_of(150);
    const double log_variance = 2;
    const double width = std::log(discretized_gaussian::bin_width);
    // The curvature of the density over the bin, (bin/deviation)²/24.
    CHECK(discretized_gaussian{}.log_likelihood(x0, mean, log_variance) ==
          Approx(continuous_gaussian{}.log_likelihood(x0, mean, log_variance) + width).margin(4e-7));
  }
}

TEST_CASE("The tanh approximation is near the exact likelihood where that is not small") {
  // Off by 3e-4 in Φ at most (Page 1977), here of a probability of 0.1 at least.
  for (const double mean : {0.0, 0.005, 0.015}) {
    const double exact = discretized_gaussian{}.log_likelihood(value_of(128), mean, -8);
    const double found = discretized_gaussian{normal_cdf::tanh}.log_likelihood(value_of(128), mean, -8);
    CHECK(std::exp(exact) > 0.1);
    CHECK(found != exact);
    CHECK(std::abs(std::exp(found) - std::exp(exact)) < 6e-4);
  }
}

TEST_CASE("The slope of a decoder is the derivative of its likelihood by the log variance") {
  const auto check = [](const auto& decoder) {
    for (const int k : {0, 1, 100, 254, 255})
      for (const double distance : {-0.3, -0.02, 0.0, 0.005, 0.1})
        for (const double log_variance : {-7.0, -4.0, 0.0, 5.0}) {
          const double x0 = value_of(k);
          const double mean = x0 + distance;
          CAPTURE(k, distance, log_variance);
          // h² times the third derivative, which is below 100 times the slope; and the rounding of 12 digits
          // over h.
          CHECK(decoder.log_variance_slope(x0, mean, log_variance) ==
                Approx(numerical_slope(decoder, x0, mean, log_variance)).epsilon(1e-6).margin(1e-8));
        }
  };
  check(continuous_gaussian{});
  check(discretized_gaussian{});
  check(discretized_gaussian{normal_cdf::tanh});
}
