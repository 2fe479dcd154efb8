#include "diffusion/schedules/training_sigmas.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE(
    "Quantile functions of training sigma reach both ends of the range and rise, the cosine one falls") {
  const sigma_range range{0.01, 50};
  const auto check = [&](const auto& quantile, bool rises) {
    CHECK(quantile(rises ? 0 : 1) == Approx(0.01).epsilon(1e-12));
    CHECK(quantile(rises ? 1 : 0) == Approx(50).epsilon(1e-12));
    for (int i = 0; i < 20; ++i) CHECK((quantile((i + 1) / 20.0) > quantile(i / 20.0)) == rises);
  };
  check(log_uniform_sigmas{range}, true);
  check(log_logistic_sigmas{.loc = -1, .scale = 0.5, .range = range}, true);
  check(v_diffusion_sigmas{.sigma_data = 0.5, .range = range}, true);
  check(shifted_cosine_sigmas{.sigma_data = 0.5, .range = range}, false);
  check(shifted_cosine_sigmas{.noisy_size = 16, .clean_size = 32, .sigma_data = 0.5, .range = range}, false);
}

TEST_CASE("Medians of training sigma are in closed form") {
  CHECK(log_uniform_sigmas{{0.5, 8}}(0.5) == Approx(2).epsilon(1e-14));
  // The cut-off is symmetric about loc.
  CHECK(log_logistic_sigmas{.loc = std::log(2), .scale = 0.3, .range = {0.5, 8}}(0.5) ==
        Approx(2).epsilon(1e-14));
  CHECK(v_diffusion_sigmas{.sigma_data = 2, .range = {0.5, 8}}(0.5) == Approx(2).epsilon(1e-14));
  CHECK(log_normal_sigmas{}.of_normal(0) == std::exp(-1.2));
}

TEST_CASE("Log-normal sigma have normal quantiles") {
  // 40-digit arithmetic
  CHECK(detail::normal_quantile(1e-300) == Approx(-37.047096299361199237).epsilon(1e-14));
  CHECK(detail::normal_quantile(0.001) == Approx(-3.0902323061678135354).epsilon(1e-14));
  CHECK(detail::normal_quantile(0.25) == Approx(-0.6744897501960817432).epsilon(1e-14));
  for (const double u : {1e-12, 0.01, 0.3, 0.5, 0.9, 0.9999})
    CHECK(std::erfc(-detail::normal_quantile(u) / std::sqrt(2)) / 2 == Approx(u).epsilon(1e-13));
  CHECK(std::abs(detail::normal_quantile(0.5)) < 1e-15);
  CHECK(log_normal_sigmas{}(0.001) == log_normal_sigmas{}.of_normal(detail::normal_quantile(0.001)));
  check_refused([] { return log_normal_sigmas{}(0); }, {"u = 0", "(0, 1)"});
}

TEST_CASE("The unshifted cosine sigma are those of v diffusion backwards") {
  const shifted_cosine_sigmas cosine{.sigma_data = 0.5, .range = {0.01, 50}};
  const v_diffusion_sigmas v{.sigma_data = 0.5, .range = {0.01, 50}};
  for (const double u : {0.0, 0.2, 0.5, 0.9, 1.0}) CHECK(cosine(u) == Approx(v(1 - u)).epsilon(1e-12));
}

TEST_CASE("The split log-normal density is continuous where its halves meet") {
  // A half of scale s has the mass s/(s_1+s_2) and the density mass · 2/(s √(2π)) at loc: the same for both.
  const split_log_normal_sigmas split{.loc = -1, .scale_below = 0.8, .scale_above = 1.4};
  CHECK(split.of_normal(0.5, 0.8 / 2.2 - 1e-9) == Approx(std::exp(-1 - 0.8 * 0.5)));
  CHECK(split.of_normal(-0.5, 0.8 / 2.2 + 1e-9) == Approx(std::exp(-1 + 1.4 * 0.5)));
}

TEST_CASE("Illegal training distributions are refused") {
  check_refused([] { return log_uniform_sigmas{{0, 1}}(0.5); }, {"sigma_range.min = 0"});
  check_refused([] { return log_uniform_sigmas{}(1.5); }, {"u = 1.5", "[0, 1]"});
  check_refused([] { return log_logistic_sigmas{.scale = 0}(0.5); }, {"scale = 0", "(0, inf)"});
  check_refused([] { return v_diffusion_sigmas{.sigma_data = -1}(0.5); }, {"sigma_data = -1", "(0, inf)"});
  check_refused([] { return shifted_cosine_sigmas{.image_size = 0}(0.5); }, {"image_size = 0"});
  check_refused([] { return split_log_normal_sigmas{.scale_below = 0}.of_normal(1, 0.5); },
                {"scale_below = 0"});
}
