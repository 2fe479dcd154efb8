#include "diffusion/gaussian.hpp"

#include <limits>

#include "support/check.hpp"

using namespace diffusion;
using support::roundoff;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// Within so many roundings of the value.
void check_roundings(double found, double expected, double roundings) {
  CAPTURE(found, expected, (found - expected) / (roundoff<> * std::abs(expected)));
  CHECK(std::abs(found - expected) <= roundings * roundoff<> * std::abs(expected));
}

}  // namespace

// Reference values of this file: mpmath 1.3 with 60 digits, from the definitions.

TEST_CASE("The KL of normal distributions has all digits, also where they are nearly equal") {
  struct row {
    double mean, log_variance, other_mean, other_log_variance, kl;
  };
  for (const auto& [m, l, om, ol, kl] :
       {row{0.5, -1.0, 0.25, -2.0, 0.590048917321105437}, row{0.0, 0.0, 0.0, 0x1p-10, 2.38340987831117356e-7},
        row{0x1p-9, -3.0, 0.0, -3.0000152587890625, 0.0000383107641682251127},
        row{0.0, -20.0, 0.0, 0.0, 9.50000000103057681}, row{1.0, 3.0, -2.0, -10.0, 320318.792081090476},
        row{0.0, -0.4375, 0.0, 0.0, 0.0415742632139460187}, row{0.0, 0.0, 0.0, 0.53125, 0.059559836561173247},
        row{0.0, 1e-9, 0.0, 0.0, 2.50000000083333364e-19}})
    // A dozen operations, and expm1(d) - d loses two bits from |d| = 0.5 on.
    check_roundings(normal_kl(m, l, om, ol), kl, 16);
}

TEST_CASE("The KL of equal normal distributions is exactly 0, and of others above") {
  for (double mean = -2; mean <= 2; mean += 0.37)
    for (double log_variance = -30; log_variance <= 5; log_variance += 0.61) {
      CHECK(normal_kl(mean, log_variance, mean, log_variance) == 0);
      CHECK(normal_kl(mean, log_variance, mean + 1e-9, log_variance) > 0);
      CHECK(normal_kl(mean, log_variance, mean, std::nextafter(log_variance, 9)) > 0);
    }
}

TEST_CASE("The KL is the expectation of the difference of the log densities") {
  // Both are quadratic in x, so two points at mean ± deviation are exact.
  const double mean = 0.3, log_variance = -1.2, other_mean = -0.1, other_log_variance = 0.4;
  double sum = 0;
  for (const double sign : {-1.0, 1.0}) {
    const double x = mean + sign * std::exp(log_variance / 2);
    sum += normal_log_density(x, mean, log_variance) - normal_log_density(x, other_mean, other_log_variance);
  }
  CHECK(normal_kl(mean, log_variance, other_mean, other_log_variance) == Approx(sum / 2).epsilon(1e-14));
  CHECK(normal_log_density(0.5, 0.5, 0) == Approx(-0.91893853320467274178).epsilon(1e-15));
}

TEST_CASE("Probabilities of intervals have all digits in both tails, and so has their slope") {
  struct row {
    double a, b, log_probability, slope;
  };
  for (const auto& [a, b, log_probability, slope] :
       {row{-1.0, 2.0, -0.20016629432446258, 0.42750422676744297},
        row{-0.25, 0.5, -1.23729250132245024, 0.93979678325406058},
        row{0.0, 0.125, -3.00098153022418569, 0.994802509279287829},
        row{0.5, inf, -1.17591176159361861, -0.57053888518403224},
        row{-inf, 1.5, -0.069143455612233983, 0.208184625688276134},
        row{-inf, -37.5, -707.668989317507191, -1407.24858280813701},
        row{3.0, 3.0009765625, -12.3518749837555881, -8.00292857441453549},
        row{2.0, 2.00048828125, -10.5440458006043699, -3.00097648298833709},
        row{-5.0001220703125, -5.0, -22.4301570432263168, -24.0006102944398667},
        row{20.0, 20.5, -203.917194464608981, -400.994269702275323},
        row{29.0, 31.0, -424.787419909730163, -841.997635894353441},
        row{29.5, 30.25, -439.429474609331449, -871.247714894834482},
        row{30.25, inf, -461.860774569534643, -916.060326203947889},
        row{-64.0, -63.0, -1989.56232505372569, -3969.99949672835476},
        row{60.0, 60.0078125, -1805.99621423253239, -3599.43227804090005},
        row{200.0, 201.0, -20006.2172808981904, -40000.9999500062488},
        row{1000.0, 1000.5, -500007.826694812184, -1000000.99999800001},
        row{-8.0, 9.0, -6.2220891626777399e-16, 4.04274204645096655e-14},
        row{-0x1p-11, 0x1p-11, -7.85041037854055505, 0.999999920527142826},
        row{7.5, 7.5000152587890625, -40.1343506421158892, -55.2501144388127872},
        row{0x1p-10, 0x1p-9, -7.85041145142407575, 0.999997774760271972},
        row{-0.00390625, 0.005859375, -5.5478296962801179, 0.999991099080135427},
        row{8.0, 8.0009765625, -39.8543142043092585, -63.0078026441344289},
        row{1.5, 1.50390625, -7.59204677407753462, -1.25585872431328138},
        row{-100000.0, -99999.0, -4999900012.931854, -9999800002.0}}) {
    CAPTURE(a, b);
    // A difference of tails loses at most two digits to the width of the interval, and the mirrored one is
    // the same number.
    check_roundings(normal_log_probability(a, b), log_probability, 64);
    CHECK(normal_log_probability(-b, -a) == normal_log_probability(a, b));
    // The slope is a difference of two numbers up to z/(b - a), which each have the rounding of a
    // logarithm; an interval narrower than 0.01/(1 + |z|) takes the series.
    const double z = std::min(std::abs(a), std::abs(b));
    const double lost = (1 + z) * (1 + z) / std::max(std::abs(slope), 1e-13) *
                        (1 + std::abs(log_probability)) / std::min(1.0, (b - a) * (1 + z));
    check_roundings(normal_log_probability_slope(a, b), slope, 16 * lost);
  }
}

TEST_CASE("Probabilities of neighbouring intervals add up to 1, wherever they are cut") {
  for (const double width : {0.0004, 0.0011, 0.01, 0.3, 2.5}) {
    double sum = std::exp(normal_log_probability(-inf, -9)) + std::exp(normal_log_probability(9, inf));
    double end = -9;
    for (; end + width < 9; end += width) sum += std::exp(normal_log_probability(end, end + width));
    sum += std::exp(normal_log_probability(end, 9));
    // 45,000 terms of a few roundings each, of which about √45,000 remain.
    CHECK(sum == Approx(1).margin(1e-12));
  }
}

TEST_CASE("The slope of a probability is its derivative by the common logarithm of the ends") {
  for (const auto& [a, b] : {std::pair{-1.0, 2.0}, {0.5, 0.5008}, {0.5, 0.502}, {-40.0, -39.0}, {2.0, inf}}) {
    const double h = 1e-5;
    const auto at = [a = a, b = b](double s) {
      return normal_log_probability(a * std::exp(s), b * std::exp(s));
    };
    // h² times the third derivative, and the rounding of a logarithm over h.
    CHECK(normal_log_probability_slope(a, b) == Approx((at(h) - at(-h)) / (2 * h)).epsilon(1e-8));
  }
}
