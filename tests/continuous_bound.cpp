#include "diffusion/continuous_bound.hpp"

#include <set>
#include <vector>

#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/flow.hpp"
#include "support/bound_oracle.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::corner_noise;

namespace {

const support::gaussian data{0.3, 0.5};
const support::perfect_network network{data, prediction::v};
const auto schedule = continuous(cosine_schedule(1000));

struct found_bounds {
  running_mean mean;
  std::vector<sample_bound> bounds;
};
template <class S, class N, class P = support::perfect_network<support::gaussian>>
found_bounds find(const S& over, double noisiest, double cleanest, N source, const std::vector<double>& x0,
                  std::size_t count, const continuous_bound_options& options = {}, P predictor = network) {
  found_bounds found{{}, std::vector<sample_bound>(count)};
  workspace<double> work;
  found.mean =
      continuous_bound(over, noisiest, cleanest, continuous_gaussian{}, predictor, source,
                       rows<const double>(std::span<const double>(x0), count), work, found.bounds, options);
  return found;
}

/// Per element: with the perfect network E(x_0 - x̂0)² = c²/(1 + c² SNR), so the integral of half of it over
/// the SNR is ½ log(1 + c² SNR) between the ends.
struct expected_bound {
  double prior, steps, decoder;
  double total() const { return prior + steps + decoder; }
};
expected_bound expected(noise_level noisiest, noise_level cleanest) {
  const double c2 = data.deviation * data.deviation;
  const double variance = cleanest.sigma * cleanest.sigma;
  const double square = data.mean * data.mean + c2;
  return {
      support::kl_of_variances(noisiest.sigma * noisiest.sigma, 1) +
          noisiest.alpha * noisiest.alpha * square / 2,
      (std::log1p(c2 * snr(cleanest)) - std::log1p(c2 * snr(noisiest))) / 2,
      (std::log(2 * std::numbers::pi * variance) + support::remaining_variance(data, cleanest) / variance) /
          2};
}

/// The corners, and random offsets or, if `middle`, points in the middle of their part.
struct offset_noise {
  bool middle;
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<double> z) const {
    if (step > 0) return corner_noise{}(sample, step, z);
    philox_normal{3}(sample, step, z);
    if (middle) std::fill(z.begin(), z.end(), 0);
  }
};

}  // namespace

TEST_CASE("The continuous bound of Gaussian data converges to its closed form with the points") {
  const auto want = expected(schedule.level(900), schedule.level(3));
  double before = 0;
  for (const std::size_t points : {16u, 32u, 64u}) {
    const auto found = find(schedule, 900, 3, offset_noise{true}, support::corners(data), 1,
                            {.points = points, .repeats = 1});
    CHECK(found.bounds[0].prior == Approx(4 * want.prior).epsilon(1e-10));
    CHECK(found.bounds[0].decoder == Approx(4 * want.decoder).epsilon(1e-9));
    // The midpoint rule, of order 2.
    const double error = found.bounds[0].steps - 4 * want.steps;
    if (points > 16) CHECK(support::order_of(before, error) == Approx(2).margin(0.05));
    before = error;
    CHECK(found.mean.mean() == found.bounds[0].total());
    CHECK(std::isnan(found.bounds[0].standard_error));
  }
  CHECK(std::abs(before) < 1e-3);
}

TEST_CASE("Random offsets leave the continuous bound without bias, with the standard error that it says") {
  const auto want = expected(schedule.level(900), schedule.level(3));
  for (const std::size_t points : {1u, 4u, 16u}) {
    const auto found = find(schedule, 900, 3, offset_noise{false}, support::corners(data, 3), 3,
                            {.points = points, .repeats = 600});
    CHECK(found.mean.count() == 600);
    CHECK(std::abs(found.mean.mean() - 4 * want.total()) < 4 * found.mean.standard_error());
    // A part's integrand differs from end to end by at most its change over the whole range: the range
    // is 18.6 and the integrand below ½ an element.
    CHECK(found.mean.standard_error() < 4 * 18.6 / 2 / double(points) / std::sqrt(600));
    CHECK(found.mean.standard_error() > 0);
    // The rows are alike and share their points: the mean is as uncertain as each of them.
    CHECK(found.bounds[1].standard_error == Approx(found.mean.standard_error()).epsilon(1e-9));
  }
}

TEST_CASE("The bound over ever finer paths converges to the continuous one from above, at first order") {
  const noise_level noisiest = schedule.level(900), cleanest = schedule.level(3);
  const auto want = expected(noisiest, cleanest);
  double before = 0;
  for (const int n : {100, 200, 400, 800}) {
    auto points = support::vp_points(2 * half_log_snr(noisiest), 2 * half_log_snr(cleanest), n);
    points.push_back({0, {1, 0}});
    workspace<double> work;
    std::vector<sample_bound> bounds(1);
    const auto x0 = support::corners(data);
    for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
      variational_bound(run_path(std::span<const path_point>(points)), continuous_gaussian{}, network,
                        corner_noise{}, rows<const double>(std::span<const double>(x0), 1), work, bounds,
                        {.variance = variance});
      const double excess = bounds[0].steps / 4 - want.steps;
      CHECK(excess > 0);
      if (variance == fixed_variance::posterior) {
        if (n > 100) CHECK(support::order_of(before, excess) == Approx(1).margin(0.05));
        before = excess;
      }
    }
    // With the larger variance L_0 is that of the continuous bound, too.
    CHECK(bounds[0].prior == Approx(4 * want.prior).epsilon(1e-9));
    CHECK(bounds[0].decoder == Approx(4 * want.decoder).epsilon(1e-9));
  }
}

TEST_CASE("On samples the continuous bound is its expectation within the standard error of the samples") {
  const std::size_t count = 300, size = 8;
  auto x0 = support::normals(count * size, 99);
  for (double& x : x0) x = data.mean + data.deviation * x;
  const auto want = expected(schedule.level(900), schedule.level(3));
  const auto found = find(schedule, 900, 3, philox_normal{5}, x0, count, {.points = 32, .repeats = 2});
  running_mean total;
  for (const sample_bound& bound : found.bounds) total.add(bound.total());
  CHECK(found.mean.mean() == Approx(total.mean()).epsilon(1e-12));
  CHECK(std::abs(total.mean() - double(size) * want.total()) < 4 * total.standard_error());
}

TEST_CASE("The continuous bound depends on the SNR alone, not on the process") {
  // A rectified flow and a variance preserving process between the same SNRs have the same integral.
  const flow_schedule flow;
  const double noisy = 0.97, clean = 0.02;
  const auto found =
      find(flow, noisy, clean, offset_noise{true}, support::corners(data), 1, {.points = 256, .repeats = 1});
  CHECK(found.bounds[0].steps ==
        Approx(4 * expected(flow.level(noisy), flow.level(clean)).steps).epsilon(1e-4));
}

TEST_CASE("The continuous bound clips x̂0, and does not depend on the batch") {
  const auto constant = [](double value) {
    return predicts<prediction::x0>([value](rows<const double>, const auto&, rows<double> out) {
      for (double& o : out.data()) o = value;
    });
  };
  const std::vector<double> x0{0.5, -1, 1, 0.75, -0.5, 0.25};
  const philox_normal noise{4};
  const auto plain = find(schedule, 900, 3, noise, x0, 3, {}, constant(0.6));
  const auto clipped = find(schedule, 900, 3, noise, x0, 3, {.x0 = x0_clip{0.6}, .batch = 2}, constant(2));
  for (std::size_t i = 0; i < 3; ++i) CHECK(plain.bounds[i].total() == clipped.bounds[i].total());
}

TEST_CASE("No noise of the continuous bound is used twice") {
  std::set<std::pair<std::uint64_t, std::uint32_t>> seen;
  const auto source = [&](std::uint64_t sample, std::uint32_t step, std::span<double> z) {
    CHECK(seen.insert({sample, step}).second);
    philox_normal{3}(sample, step, z);
  };
  const auto x0 = support::corners(data, 2);
  (void)find(schedule, 900, 3, source, x0, 2, {.points = 3, .repeats = 4, .first_sample = 10, .batch = 1});
  CHECK(seen.size() == 1 + 2 * 4 * 4);
  CHECK(seen.count({10, 0}) == 1);
  CHECK(seen.count({11, 16}) == 1);
}

TEST_CASE("The continuous bound refuses a range that is none, and options out of range") {
  const auto x0 = support::corners(data);
  const auto refused = [&](double noisiest, double cleanest, const continuous_bound_options& options,
                           std::initializer_list<std::string_view> parts) {
    check_refused(
        [&] { return find(schedule, noisiest, cleanest, corner_noise{}, x0, 1, options).mean.mean(); },
        parts);
  };
  refused(3, 900, {}, {"log SNR from noisiest to cleanest = -"});
  refused(5, 5, {}, {"log SNR from noisiest to cleanest = 0"});
  refused(5, 0, {}, {"from.sigma = 0"});
  refused(900, 3, {.points = 0}, {"points = 0"});
  refused(900, 3, {.repeats = 0}, {"repeats = 0"});
  refused(900, 3, {.batch = 0}, {"batch = 0"});
  refused(900, 3, {.prior_deviation = 0}, {"deviation = 0"});
}
