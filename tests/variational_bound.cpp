#include "diffusion/variational_bound.hpp"

#include <map>
#include <set>
#include <vector>

#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/flow.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"
#include "support/allocations.hpp"
#include "support/bound_oracle.hpp"
#include "support/check.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::corner_noise;

namespace {

const support::gaussian data{0.3, 0.5};
const support::perfect_network network{data, prediction::v};
const philox_normal noise{7};

/// The bounds of rows of double, and every term as on_term tells it.
struct found_bounds {
  std::vector<sample_bound> bounds;
  std::map<std::pair<std::size_t, std::size_t>, double> terms;  // by step and row
};
template <class P, class N, class D = continuous_gaussian>
found_bounds find(const run_path& path, P predictor, N source, const std::vector<double>& x0,
                  std::size_t count, const bound_options& options = {}, const D& decoder = {}) {
  found_bounds found{std::vector<sample_bound>(count), {}};
  workspace<double> work;
  variational_bound(path, decoder, predictor, source, rows<const double>(std::span<const double>(x0), count),
                    work, found.bounds, options, [&](std::size_t k, std::size_t i, double nats) {
                      found.terms[{k, i}] = nats;
                    });
  return found;
}

/// Data of the distribution that the network knows.
std::vector<double> drawn_data(std::size_t size) {
  auto x0 = support::normals(size, 99);
  for (double& x : x0) x = data.mean + data.deviation * x;
  return x0;
}

const run_path full(cosine_schedule(100), full_grid(100));
const run_path strided(linear_schedule(1000), trailing_grid(1000, 17));

}  // namespace

TEST_CASE("Every term of the bound of Gaussian data has its closed form in expectation") {
  for (const auto& path : {full, strided})
    for (const auto variance : {fixed_variance::posterior, fixed_variance::transition})
      for (const auto kind : {prediction::epsilon, prediction::v}) {
        const auto expected = support::bound_of(data, path, variance);
        const auto found = find(path, support::perfect_network{data, kind}, corner_noise{},
                                support::corners(data), 1, {.variance = variance});
        // Means over the four elements. x̂0 from ε is divided by α, which ends at 2e-3 and 6e-3.
        const auto close = [](double nats) { return Approx(4 * nats).epsilon(1e-10).margin(1e-13); };
        CHECK(found.bounds[0].prior == close(expected.prior));
        double steps = 0;
        for (std::size_t k = 0; k < path.size(); ++k) {
          CAPTURE(k);
          CHECK(found.terms.at({k, 0}) == close(expected.terms[k]));
          if (k + 1 < path.size()) steps += expected.terms[k];
        }
        CHECK(found.bounds[0].steps == close(steps));
        CHECK(found.bounds[0].decoder == close(expected.terms.back()));
        CHECK(found.bounds[0].total() == close(expected.total()));
        CHECK(std::isnan(found.bounds[0].standard_error));
      }
}

TEST_CASE("What the bound of Gaussian data is above the entropy is the sum of the gaps of the steps") {
  for (const auto& path : {full, strided, run_path(cosine_schedule(8), full_grid(8))})
    for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
      const auto found =
          find(path, network, corner_noise{}, support::corners(data), 1, {.variance = variance});
      const double gap = support::gap_of(data, path, variance);
      CHECK(gap > 0);
      CHECK(found.bounds[0].total() / 4 - support::entropy(data) == Approx(gap).epsilon(1e-9));
    }
}

TEST_CASE("On samples the bound is the expectation, within its standard error, and above -log p(x)") {
  const std::size_t count = 400, size = 16;
  const auto x0 = drawn_data(count * size);
  const auto expected = support::bound_of(data, full, fixed_variance::posterior);
  running_mean total, excess;
  const auto found = find(full, network, noise, x0, count);
  for (std::size_t i = 0; i < count; ++i) {
    double exact = 0;
    for (std::size_t j = 0; j < size; ++j)
      exact -= normal_log_density(x0[i * size + j], data.mean, 2 * std::log(data.deviation));
    total.add(found.bounds[i].total());
    excess.add(found.bounds[i].total() - exact);
  }
  CHECK(std::abs(total.mean() - size * expected.total()) < 4 * total.standard_error());
  CHECK(excess.mean() > 10 * excess.standard_error());
  CHECK(std::abs(excess.mean() - size * support::gap_of(data, full, fixed_variance::posterior)) <
        4 * excess.standard_error());
}

TEST_CASE(
    "With the variance that the data ask for the larger fixed one is better, and the smaller for known x_0") {
  // N(0, 1) data: every reverse step has the variance β exactly, and the bound is tight (Ho et al. 2020,
  // section 3.2). Data of hardly any width are nearly known.
  const auto gap = [](const support::gaussian& of, fixed_variance variance) {
    const auto found = find(full, support::perfect_network{of, prediction::v}, corner_noise{},
                            support::corners(of), 1, {.variance = variance});
    return found.bounds[0].total() / 4 - support::entropy(of);
  };
  const support::gaussian standard{0, 1}, narrow{0.2, 1e-3};
  CHECK(gap(standard, fixed_variance::transition) == Approx(0).margin(1e-12));
  CHECK(gap(standard, fixed_variance::posterior) > 0.1);
  CHECK(gap(narrow, fixed_variance::posterior) < gap(narrow, fixed_variance::transition) - 0.1);
}

TEST_CASE("Drawn steps estimate the sum over all without bias, with the standard error that they say") {
  const std::size_t count = 600;
  const auto x0 = support::corners(data, count);  // all rows alike: what varies is the choice of the steps
  const auto expected = support::bound_of(data, full, fixed_variance::posterior);
  double steps = 0;
  for (std::size_t k = 0; k + 1 < full.size(); ++k) steps += 4 * expected.terms[k];
  std::vector<double> weights(expected.terms.begin(), expected.terms.end() - 1);

  struct choosing_noise {  // random choice, the same corners in every row
    void operator()(std::uint64_t sample, std::uint32_t step, std::span<double> z) const {
      step == 0 ? noise(sample, step, z) : corner_noise{}(sample, step, z);
    }
  };
  const auto estimate = [&](std::span<const double> p) {
    const auto found = find(full, network, choosing_noise{}, x0, count, {.draws = 5, .weights = p});
    running_mean mean, squared_error;
    for (const sample_bound& bound : found.bounds) {
      mean.add(bound.steps);
      squared_error.add(bound.standard_error * bound.standard_error);
      CHECK(bound.decoder == Approx(4 * expected.terms.back()).epsilon(1e-9));
    }
    return std::pair{mean, squared_error};
  };

  const auto [uniform, uniform_error] = estimate({});
  CHECK(std::abs(uniform.mean() - steps) < 4 * uniform.standard_error());
  // The rows' own errors are those that the rows show: the variance of 600 rows is known to √(2/600) of
  // itself, and more where draws have long tails.
  const double of_rows = uniform.standard_error() * uniform.standard_error() * count;
  CHECK(uniform_error.mean() == Approx(of_rows).epsilon(0.4));
  CHECK(uniform.standard_error() > 0.01 * steps);

  // Any weights will do, and the best leave no error.
  std::vector<double> rising(weights.size());
  for (std::size_t k = 0; k < rising.size(); ++k) rising[k] = double(k + 1);
  const auto tilted = estimate(rising).first;
  CHECK(std::abs(tilted.mean() - steps) < 4 * tilted.standard_error());
  CHECK(tilted.standard_error() < uniform.standard_error());
  const auto [best, best_error] = estimate(weights);
  CHECK(best.mean() == Approx(steps).epsilon(1e-10));
  CHECK(best_error.mean() < 1e-18 * steps * steps);
}

TEST_CASE("A bound depends on the sample, not on its batch or on the rows beside it") {
  const std::size_t count = 7;
  const auto x0 = drawn_data(count * 5);
  // Its own values must not depend on the place in a batch, as sums do that a compiler makes SIMD loops of.
  const auto half =
      predicts<prediction::v>([](rows<const double> x, const time_point<double>&, rows<double> out) {
        for (std::size_t j = 0; j < x.data().size(); ++j) out.data()[j] = x.data()[j] / 2;
      });
  for (const std::size_t draws : {0u, 30u}) {
    const auto together = find(strided, half, noise, x0, count, {.batch = 3, .draws = draws});
    const auto in_one = find(strided, half, noise, x0, count, {.batch = 100, .draws = draws});
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<double> own(x0.begin() + std::ptrdiff_t(5 * i),
                                    x0.begin() + std::ptrdiff_t(5 * i + 5));
      const auto alone = find(strided, half, noise, own, 1, {.first_sample = i, .draws = draws});
      for (const auto& other : {together.bounds[i], in_one.bounds[i]}) {
        CHECK(alone.bounds[0].total() == other.total());
        CHECK((alone.bounds[0].standard_error == other.standard_error || draws == 0));
      }
    }
  }
}

TEST_CASE("No noise of a bound is used twice, and that of step k is at k + 1") {
  for (const std::uint32_t draws : {0u, 9u}) {
    std::set<std::pair<std::uint64_t, std::uint32_t>> seen;
    const auto source = [&](std::uint64_t sample, std::uint32_t step, std::span<double> z) {
      CHECK(seen.insert({sample, step}).second);
      noise(sample, step, z);
    };
    (void)find(strided, network, source, drawn_data(6), 3, {.first_sample = 10, .batch = 2, .draws = draws});
    std::set<std::pair<std::uint64_t, std::uint32_t>> expected;
    for (std::uint64_t sample = 10; sample < 13; ++sample)
      for (std::uint32_t step = draws == 0 ? 1 : 0; step <= (draws == 0 ? strided.size() : draws + 1); ++step)
        expected.insert({sample, step});
    CHECK(seen == expected);
  }
}

TEST_CASE("The prior of a bound has the deviation that was asked for") {
  const auto x0 = drawn_data(4);
  CHECK(find(strided, network, noise, x0, 1, {.prior_deviation = 2}).bounds[0].prior ==
        prior_kl(strided.point(0).level, std::span<const double>(x0), 2));
}

TEST_CASE("A learned variance that is always one of the ends has the bound of that fixed one") {
  const auto with_variance = [](double v) {
    return predicts<prediction::v>([v](rows<const double> x, const auto& at, rows<double> out) {
      std::vector<double> mean(x.data().size());
      network(x, at, rows<double>(std::span<double>(mean), x.count()));
      for (std::size_t i = 0; i < x.count(); ++i)
        for (std::size_t j = 0; j < x.row_size(); ++j) {
          out[i][j] = mean[i * x.row_size() + j];
          out[i][x.row_size() + j] = v;
        }
    });
  };
  const auto x0 = drawn_data(12);
  for (const std::size_t draws : {0u, 6u})
    for (const auto& [v, fixed] :
         {std::pair{-1.0, fixed_variance::posterior}, {1.0, fixed_variance::transition}}) {
      const auto learned = find(strided, with_variance(v), noise, x0, 2,
                                {.variance = learned_variance::log_range, .draws = draws});
      const auto expected = find(strided, network, noise, x0, 2, {.variance = fixed, .draws = draws});
      for (std::size_t i = 0; i < 2; ++i) {
        // Exact up to the rounding of the range's ends, numbers up to 12.
        CHECK(learned.bounds[i].steps == Approx(expected.bounds[i].steps).epsilon(1e-12));
        CHECK(learned.bounds[i].decoder == Approx(expected.bounds[i].decoder).epsilon(1e-12));
      }
    }
}

TEST_CASE("The bound clips x̂0, each sample by its own threshold, as a run does") {
  const std::vector<double> x0{0.5, -1, 1, 0.75, -0.5, 0.25};
  const auto constant = [](double value) {
    return predicts<prediction::x0>([value](rows<const double>, const auto&, rows<double> out) {
      for (double& o : out.data()) o = value;
    });
  };
  const auto plain = find(strided, constant(0.6), noise, x0, 2);
  CHECK(find(strided, constant(2), noise, x0, 2, {.x0 = x0_clip{0.6}}).bounds[1].total() ==
        plain.bounds[1].total());
  // All elements are 2: the quantile is 2, or the limit 1.5, and dividing by it gives 1.
  const auto ones = find(strided, constant(1), noise, x0, 2);
  CHECK(find(strided, constant(2), noise, x0, 2, {.x0 = dynamic_threshold{.max = 1.5}}).bounds[0].total() ==
        Approx(ones.bounds[0].total()).epsilon(1e-14));
}

TEST_CASE("Bits of 8-bit data by the discretised decoder are those by the density, where bins are narrow") {
  // Gaussian data of deviation ½, rounded to 8 bits: the last step's deviation is 16 bins, so a bin has the
  // density of its middle to (1/16)²/24 = 2e-4. Values at ±1, whose bins are open, are left out.
  auto x0 = drawn_data(64 * 40);
  for (double& x : x0) x = std::round(std::clamp(x, -0.9, 0.9) * 127.5 + 127.5) / 127.5 - 1;
  const run_path coarse(linear_schedule(1000), explicit_grid(1000, std::vector{1000, 600, 300, 100}));
  const auto bits = [&](const auto& decoder, double bin_width) {
    running_mean mean;
    for (const auto& b :
         find(coarse, network, noise, x0, 40, {.variance = fixed_variance::transition}, decoder).bounds)
      mean.add(bits_per_dimension(b.total(), 64, bin_width));
    return mean.mean();
  };
  CHECK(bits(discretized_gaussian{}, 1) ==
        Approx(bits(continuous_gaussian{}, discretized_gaussian::bin_width)).epsilon(2e-4));
}

TEST_CASE("The bound holds at zero terminal SNR, for one step, and for a rectified flow") {
  const run_path zero_snr(rescale_zero_terminal_snr(linear_schedule(1000)), trailing_grid(1000, 30));
  const run_path one(cosine_schedule(1000), explicit_grid(1000, std::vector{400}));
  const run_path flow = [] {
    std::vector<path_point> points;
    for (int k = 20; k >= 0; --k) points.push_back({k / 20.0, flow_schedule{}.level(k / 20.0)});
    return run_path(std::span<const path_point>(points));
  }();
  for (const auto& path : {zero_snr, one, flow})
    for (const auto variance : {fixed_variance::posterior, fixed_variance::transition}) {
      const auto found =
          find(path, network, corner_noise{}, support::corners(data), 1, {.variance = variance});
      CHECK(found.bounds[0].total() ==
            Approx(4 * support::bound_of(data, path, variance).total()).epsilon(1e-10));
      CHECK(found.bounds[0].total() > 4 * support::entropy(data));
    }
  CHECK(find(zero_snr, network, corner_noise{}, support::corners(data), 1).bounds[0].prior == 0);
  const auto drawn = find(one, network, corner_noise{}, support::corners(data), 1, {.draws = 4});
  CHECK(drawn.bounds[0].steps == 0);
  CHECK(drawn.bounds[0].decoder ==
        find(one, network, corner_noise{}, support::corners(data), 1).bounds[0].decoder);
}

TEST_CASE("A bound in single precision is that in double to its digits") {
  const auto x0 = drawn_data(60);
  const std::vector<float> narrow(x0.begin(), x0.end());
  std::vector<sample_bound> bounds(3);
  workspace<float> work;
  variational_bound(strided, continuous_gaussian{}, network, noise,
                    rows<const float>(std::span<const float>(narrow), 3), work, bounds);
  const auto exact = find(strided, network, noise, x0, 3);
  // x_t and the output are rounded to 6e-8, and the errors of x̂0, of order σ ≥ 0.1, come from their
  // difference.
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(bounds[i].total() == Approx(exact.bounds[i].total()).epsilon(1e-4));
}

TEMPLATE_TEST_CASE("Bounds of elements stored in 16 bits are those of their values", "", float16, bfloat16) {
  // A network that always says x̂0 = 0.5, which 16 bits hold exactly, as they do x_0: x_t is not even read.
  const auto half = [](auto, const auto&, auto out) {
    for (auto& value : out.data()) value = static_cast<std::decay_t<decltype(value)>>(0.5F);
  };
  const std::vector<double> x0{0.5, -1, 1, 0.75, -0.5, 0.25};
  std::vector<TestType> stored;
  for (const double x : x0) stored.emplace_back(static_cast<float>(x));
  for (const std::size_t draws : {0u, 500u}) {
    std::vector<sample_bound> bounds(2);
    workspace<TestType> work;
    variational_bound(strided, continuous_gaussian{}, predicts<prediction::x0>(half), noise,
                      rows<const TestType>(std::span<const TestType>(stored), 2), work, bounds,
                      {.draws = draws});
    const auto exact = find(strided, predicts<prediction::x0>(half), noise, x0, 2, {.draws = draws});
    // The choice of the steps is drawn in float: in 500 draws one may fall to a neighbour.
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(bounds[i].total() == Approx(exact.bounds[i].total()).epsilon(draws == 0 ? 1e-14 : 0.02));
  }
}

TEST_CASE("No term of a bound allocates") {
  const auto x0 = drawn_data(40);
  std::vector<sample_bound> bounds(8);
  workspace<double> work;
  for (const std::size_t draws : {0u, 5u}) {
    std::size_t first = 0, last = 0;
    variational_bound(strided, discretized_gaussian{}, network, noise,
                      rows<const double>(std::span<const double>(x0), 8), work, bounds,
                      {.x0 = dynamic_threshold{.ratio = 0.9}, .batch = 3, .draws = draws},
                      [&](std::size_t, std::size_t, double) {
                        last = support::allocations;
                        if (first == 0) first = last;
                      });
    CHECK(last == first);
  }
}

TEST_CASE("The bound refuses paths that are none of a generative process, and options out of range") {
  const std::vector<double> x0(6);
  const auto refused = [&](const run_path& path, const bound_options& options,
                           std::initializer_list<std::string_view> parts) {
    check_refused([&] { return find(path, network, noise, x0, 2, options).bounds.size(); }, parts);
  };
  const std::vector<path_point> noisy_end{{2, {0.6, 0.8}}, {1, {0.8, 0.6}}};
  refused(run_path(std::span<const path_point>(noisy_end)), {}, {"sigma at the end of the path = 0.6"});
  const std::vector<path_point> scaled_end{{2, {0.6, 0.8}}, {1, {0.8, 0}}};
  refused(run_path(std::span<const path_point>(scaled_end)), {}, {"alpha at the end of the path = 0.8"});
  refused(run_path({{{3, {0.6, 0.8}}, {2, {0.8, 0.6}}, {3, {0.6, 0.8}}},
                    {{1, {0.9, 0.4}}, {0, {1, 0}}, {1, {0.9, 0.4}}}}),
          {}, {"grid[1].from"});
  refused(strided, {.batch = 0}, {"batch = 0"});
  refused(strided, {.prior_deviation = -1}, {"deviation = -1"});
  refused(strided, {.x0 = x0_clip{0}}, {"x0_clip.limit = 0"});
  const std::vector<double> weights(16, 1.0);
  refused(strided, {.weights = weights}, {"weights without draws", "16"});
  refused(strided, {.draws = 2, .weights = std::span(weights).first(15)}, {"size of weights = 15", "16"});
  for (const double bad : {0.0, -1.0, HUGE_VAL, std::nan("")}) {
    auto some = weights;
    some[3] = bad;
    refused(strided, {.draws = 2, .weights = some}, {"weights[3] = ", "(0, inf)"});
  }
  check_refused(
      [&] {
        workspace<double> work;
        std::vector<sample_bound> bounds(3);
        variational_bound(strided, continuous_gaussian{}, network, noise,
                          rows<const double>(std::span<const double>(x0), 2), work, bounds);
        return 0;
      },
      {"size of bounds = 3", "2"});
}
