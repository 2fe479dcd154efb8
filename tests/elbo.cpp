#include "diffusion/elbo.hpp"

#include <vector>

#include "diffusion/schedules/constant.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"
#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

constexpr std::size_t n = 19;

/// A sample with its x_t and what a network said about it: twice as many values, the second half in [-1, 1].
template <class T = double>
struct example {
  std::vector<T> x0, x_t, output;

  explicit example(std::size_t outputs = 1) : x0(n), x_t(n) {
    const auto z = support::normals(4 * n);
    for (std::size_t j = 0; j < n; ++j) {
      x0[j] = static_cast<T>(0.5 * z[j]);
      x_t[j] = static_cast<T>(z[n + j]);
    }
    for (std::size_t j = 0; j < outputs * n; ++j)
      output.push_back(static_cast<T>(j < n ? z[2 * n + j] : std::tanh(z[2 * n + j])));
  }
  template <class D = continuous_gaussian>
  double loss(const bound_term& term, const D& decoder = {}, const x0_clamp& clamp = {}) const {
    return term_loss(term, decoder, clamp, std::span<const T>(x0), x_t, output);
  }
};

const auto schedule = cosine_schedule(1000);

}  // namespace

TEST_CASE("Bits per dimension count bits of every element, and those of a density by its bins") {
  // One of 256 values, all alike: 8 bits, given as a probability.
  CHECK(bits_per_dimension(100 * std::log(256.0), 100) == Approx(8).epsilon(1e-15));
  // The density ½ over [-1, 1], on which 8-bit values are 2/255 apart: 255 bins.
  CHECK(bits_per_dimension(100 * std::log(2.0), 100, discretized_gaussian::bin_width) ==
        Approx(std::log2(255.0)).epsilon(1e-15));
  CHECK(bits_per_dimension(0, 1, 2.0 / 255) == Approx(6.9943534368589).epsilon(1e-13));
  check_refused([] { return bits_per_dimension(1, 0); }, {"dimensions = 0", "at least 1"});
  for (const double width : {0.0, -1.0, HUGE_VAL, std::nan("")})
    check_refused([=] { return bits_per_dimension(1, 1, width); }, {"bin_width", "(0, inf)"});
}

TEST_CASE("The prior term is the KL of the last level from the prior") {
  const std::vector<double> x0{0.5, -1, 0.25};
  const noise_level last{0.6, 0.8};
  double expected = 0;  // ½ (σ² + α² x² - 1 - log σ²)
  for (const double x : x0) expected += (0.64 + 0.36 * x * x - 1 - std::log(0.64)) / 2;
  CHECK(prior_kl(last, std::span<const double>(x0)) == Approx(expected).epsilon(1e-14));
  // Variance exploding: in units of the prior's deviation.
  CHECK(prior_kl({1, 40}, std::span<const double>(x0), 50) ==
        Approx(prior_kl({0.02, 0.8}, std::span<const double>(x0))).epsilon(1e-13));
  CHECK(prior_kl({0, 1}, std::span<const double>(x0)) == 0);
  check_refused(
      [&] {
        return prior_kl({1, 0}, std::span<const double>(x0));
      },
      {"last.sigma = 0", "(0, inf)"});
  check_refused([&] { return prior_kl(last, std::span<const double>(x0), 0); }, {"deviation = 0"});
}

TEST_CASE("A term is the KL of the posterior from the step of the ancestral sampler") {
  const example<> plain;
  const example<> learned(2);
  for (const auto& [kind_name, kind] : prediction_names)
    for (const auto& [from_t, to_t] : {std::pair{2, 1}, {400, 399}, {1000, 700}, {700, 20}}) {
      const noise_level from = schedule.level(from_t), to = schedule.level(to_t);
      const step_coefficients q = posterior(from, to);
      CAPTURE(std::string(kind_name), from_t, to_t);
      const auto expected = [&, kind = kind](const example<>& e, auto log_variance_of) {
        double sum = 0;
        for (std::size_t j = 0; j < n; ++j) {
          const double x0_hat = x0_map(kind, from)(e.x_t[j], e.output[j]);
          sum += normal_kl(q.x * e.x_t[j] + q.x0 * e.x0[j], 2 * std::log(q.noise),
                           q.x * e.x_t[j] + q.x0 * x0_hat, log_variance_of(j));
        }
        return sum;
      };
      for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
        const step_coefficients p = ddpm{variance}(from, to);
        const bound_term term = make_bound_term(kind, from, to, variance, 1);
        CHECK(plain.loss(term) ==
              Approx(expected(plain, [&](std::size_t) { return 2 * std::log(p.noise); })).epsilon(1e-9));
      }
      for (const auto variance : {learned_variance::log_range, learned_variance::log_value}) {
        const variance_map map = ddpm_learned{variance}.variance_of(from, to);
        const bound_term term = make_bound_term(kind, from, to, variance, 1);
        CHECK(learned.loss(term) == Approx(expected(learned, [&](std::size_t j) {
                                      return map.offset + map.slope * learned.output[n + j];
                                    })).epsilon(1e-9));
      }
      example<> positive(2);
      for (std::size_t j = n; j < 2 * n; ++j) positive.output[j] = std::exp(positive.output[j] - 4);
      CHECK(positive.loss(make_bound_term(kind, from, to, learned_variance::value, 1)) ==
            Approx(expected(positive, [&](std::size_t j) {
              return std::log(positive.output[n + j]);
            })).epsilon(1e-9));
    }
}

TEST_CASE("A network that knows x_0 makes the term 0 with the posterior's variance, and only then") {
  example<> perfect;
  perfect.output = perfect.x0;
  const auto loss = [&](fixed_variance variance) {
    return perfect.loss(make_bound_term(prediction::x0, schedule, 500, variance));
  };
  CHECK(loss(fixed_variance::posterior) == 0);
  // What is left is the KL of the variances, r = β̃/β: ½ (r - 1 - log r) for each element.
  const double log_ratio =
      std::log(posterior_variance(schedule.level(500), schedule.level(499)) / schedule.beta(500));
  CHECK(loss(fixed_variance::transition) ==
        Approx(n * (std::expm1(log_ratio) - log_ratio) / 2).epsilon(1e-9));
}

TEST_CASE("A learned variance at the ends of its range is one of the fixed ones") {
  for (const int t : {1, 2, 600}) {
    CAPTURE(t);
    for (const auto& [v, fixed] :
         {std::pair{-1.0, fixed_variance::posterior}, {1.0, fixed_variance::transition}}) {
      example<> e;
      const double expected = e.loss(make_bound_term(prediction::v, schedule, t, fixed));
      e.output.resize(2 * n, v);
      // An end is the middle plus or minus half the range: a rounding of numbers below 20 counts where x̂0 is
      // right, of which nothing here is.
      CHECK(e.loss(make_bound_term(prediction::v, schedule, t, learned_variance::log_range)) ==
            Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("The term of the step to clean data is the decoder's, about x̂0") {
  const example<> plain;
  const example<> learned(2);
  const auto check = [&](const auto& decoder) {
    const noise_level from = schedule.level(1);
    const auto expected = [&](const example<>& e, auto log_variance_of) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j)
        sum -= decoder.log_likelihood(e.x0[j], x0_map(prediction::v, from)(e.x_t[j], e.output[j]),
                                      log_variance_of(j));
      return Approx(sum).epsilon(1e-12);
    };
    const double low = posterior_log_variance(schedule, 1);  // β̃_2
    const double high = std::log(schedule.beta(1));
    const auto term = [&](reverse_variance variance) {
      return make_bound_term(prediction::v, schedule, 1, variance);
    };
    CHECK(plain.loss(term(fixed_variance::posterior), decoder) ==
          expected(plain, [&](std::size_t) { return low; }));
    CHECK(plain.loss(term(fixed_variance::transition), decoder) ==
          expected(plain, [&](std::size_t) { return high; }));
    CHECK(learned.loss(term(learned_variance::log_range), decoder) == expected(learned, [&](std::size_t j) {
            return low + (learned.output[n + j] + 1) / 2 * (high - low);
          }));
  };
  check(continuous_gaussian{});
  check(discretized_gaussian{});
  check(discretized_gaussian{normal_cdf::tanh});
}

TEST_CASE("A term clamps x̂0 as the sampler does") {
  example<> e;
  const auto term = make_bound_term(prediction::x0, schedule, 500, fixed_variance::posterior);
  const double clamped = e.loss(term, {}, {.limit = 0.5, .scale = 2});
  for (double& value : e.output) value = 2 * std::clamp(value, -0.5, 0.5);
  CHECK(clamped == e.loss(term));
  CHECK(clamped == e.loss(term, {}, {.limit = 1}));
}

TEST_CASE("Terms at zero terminal SNR and of a schedule of one step are finite") {
  const auto zero_snr = rescale_zero_terminal_snr(linear_schedule(1000));
  const example<> e;
  for (const auto variance : {fixed_variance::posterior, fixed_variance::transition})
    CHECK(std::isfinite(e.loss(make_bound_term(prediction::v, zero_snr, 1000, variance))));
  check_refused(
      [&] { return make_bound_term(prediction::epsilon, zero_snr, 1000, fixed_variance::posterior); },
      {"alpha = 0", "epsilon"});
  // T = 1: β_1 stands for β̃_1.
  const auto one = constant_schedule(1, 0.02);
  const auto at = [&](fixed_variance variance) {
    return e.loss(make_bound_term(prediction::epsilon, one, 1, variance));
  };
  CHECK(at(fixed_variance::posterior) == Approx(at(fixed_variance::transition)).epsilon(1e-13));
}

TEMPLATE_TEST_CASE("A term of stored elements is that of their values", "", float, float16, bfloat16) {
  const example<TestType> stored(2);
  example<> exact(2);
  for (auto [to, from] :
       {std::pair{&exact.x0, &stored.x0}, {&exact.x_t, &stored.x_t}, {&exact.output, &stored.output}})
    std::transform(from->begin(), from->end(), to->begin(), [](TestType x) { return detail::widened(x); });
  for (const int t : {1, 500}) {
    const auto term = make_bound_term(prediction::v, schedule, t, learned_variance::log_range);
    CHECK(stored.loss(term) == exact.loss(term));
  }
}

TEST_CASE("Terms refuse arrays that do not fit, and steps that are none") {
  const auto fixed = make_bound_term(prediction::v, schedule, 5, fixed_variance::posterior);
  const auto learned = make_bound_term(prediction::v, schedule, 5, learned_variance::log_range);
  check_refused([&] { return example<>(2).loss(fixed); }, {"size of output = 38", "19"});
  check_refused([&] { return example<>(1).loss(learned); }, {"size of output = 19", "38"});
  example<> shorter;
  shorter.x_t.pop_back();
  check_refused([&] { return shorter.loss(fixed); }, {"size of x_t = 18", "19"});
  const noise_level level = schedule.level(5);
  check_refused([&] { return make_bound_term(prediction::v, level, level, fixed_variance::posterior, 1); },
                {"to.sigma", "less noise"});
  check_refused(
      [&] { return make_bound_term(prediction::v, schedule.level(4), level, fixed_variance::posterior, 1); },
      {"must not add noise"});
  check_refused([&] { return make_bound_term(prediction::v, level, {}, fixed_variance::posterior, 0); },
                {"clean_variance = 0", "(0, inf)"});
}
