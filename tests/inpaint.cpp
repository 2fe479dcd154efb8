#include "diffusion/inpaint.hpp"

#include <array>
#include <vector>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/repaint.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/plan.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;
using support::random_value;

namespace {

/// Two elements of data ~ N(mean, deviation² [1 ρ; ρ 1]) and their perfect network.
struct correlated {
  double mean = 0.3, deviation = 0.6, rho = 0.8;

  /// E[x_0 | x] of both elements, for values or random values.
  template <class V, class Constant>
  std::array<V, 2> operator()(const std::array<V, 2>& x, noise_level l, Constant constant) const {
    const double own = l.alpha * l.alpha * deviation * deviation + l.sigma * l.sigma;
    const double other = rho * l.alpha * l.alpha * deviation * deviation;
    const double determinant = own * own - other * other;
    // α Σ C⁻¹ with C = α² Σ + σ²
    const double scale = l.alpha * deviation * deviation / determinant;
    const double same = scale * (own - rho * other);
    const double cross = scale * (rho * own - other);
    const V rest = constant(mean - (same + cross) * l.alpha * mean);
    return {same * x[0] + cross * x[1] + rest, cross * x[0] + same * x[1] + rest};
  }
};

/// The exact distribution of the unknown second element at the end of an inpainting run in which the first is
/// `known`.
random_value inpainted(const run_plan& plan, const correlated& data, double known) {
  const auto constant = [](double c) { return random_value{c, {}}; };
  const noise_level start = plan.stages[0].from.level;
  const auto blend = [&](std::size_t k, noise_level level) {
    return random_value{level.alpha * known, {{4 * k + 2, level.sigma}}};
  };
  std::array<random_value, 2> x{blend(0, start), random_value{start.alpha * data.mean, {{0, start.sigma}}}};
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    const run_stage& stage = plan.stages[k];
    std::array<random_value, 2> x0;
    if (stage.asks) x0 = data(x, stage.eval.level, constant);
    for (std::size_t i = 0; i < 2; ++i)
      x[i] = support::evaluate(stage.next, x[i], x0[i], random_value{},
                               random_value{0, {{4 * (k + 1) + i, 1}}}, {});
    if (stage.asks) x[0] = blend(k + 1, stage.to.level);
  }
  return x[1];
}

std::vector<path_point> points(int n) {
  std::vector<path_point> result = support::vp_points(-9, 9, n - 1);
  result.push_back({0, {1, 0}});
  return result;
}

const auto schedule = cosine_schedule(100);
const time_grid grid = trailing_grid(100, 20);
const philox_normal noise{7};

/// The same network on arrays of pairs.
struct pair_network {
  correlated data;
  template <class T, class Time>
  void operator()(rows<const T> x, const time_point<Time>& at, rows<T> out) const {
    for (std::size_t i = 0; i < x.data().size(); i += 2) {
      const std::array<double, 2> pair{double(x.data()[i]), double(x.data()[i + 1])};
      const auto x0 = data(pair, at.level, [](double c) { return c; });
      out.data()[i] = T(x0[0]);
      out.data()[i + 1] = T(x0[1]);
    }
  }
};

}  // namespace

TEST_CASE("Inpainting comes to the conditional distribution, the closer the more it jumps") {
  const correlated data;
  const double known = 1.4;
  const double mean = data.mean + data.rho * (known - data.mean);
  const double variance = data.deviation * data.deviation * (1 - data.rho * data.rho);
  struct {
    double mean, variance;
  } error[3];
  std::size_t i = 0;
  for (const int times : {1, 2, 5}) {
    const auto plan = repaint<>{.jump_length = 10, .jump_n_sample = times}.plan(run_path(points(120)));
    const auto end = inpainted(plan, data, known);
    error[i++] = {std::abs(end.x0 - mean), std::abs(end.deviation() * end.deviation() / variance - 1)};
  }
  CAPTURE(error[0].mean, error[1].mean, error[2].mean, error[0].variance, error[1].variance,
          error[2].variance);
  CHECK(error[1].mean < 0.7 * error[0].mean);
  CHECK(error[2].mean < 0.5 * error[1].mean);
  CHECK(error[1].variance < 0.7 * error[0].variance);
  CHECK(error[2].variance < 0.5 * error[1].variance);
}

TEMPLATE_TEST_CASE("sample_inpaint does on arrays what the distribution says", "", float, double) {
  using T = TestType;
  const correlated data;
  const std::size_t count = 20'000;
  auto x = normals<T>(2 * count);
  std::vector<T> x0(2 * count, T(1.4));
  const std::vector<T> mask{1, 0};
  const known_part<T> known{{std::span<const T>(x0), count}, {std::span<const T>(mask), 1}};
  workspace<T> work;
  const auto plan = repaint<>{.jump_length = 5, .jump_n_sample = 3}.plan(run_path(points(20)));
  sample_inpaint(plan, known, predicts<prediction::x0>(pair_network{data}), noise,
                 rows<T>(std::span<T>(x), count), work);
  const auto want = inpainted(plan, data, 1.4);
  double mean = 0;
  double squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    CHECK_FALSE(x[2 * i] != T(1.4));
    mean += double(x[2 * i + 1]) / double(count);
  }
  for (std::size_t i = 0; i < count; ++i) squares += std::pow(double(x[2 * i + 1]) - mean, 2) / double(count);
  // Four standard errors. The start is noise of deviation 1 instead of σ, and without the data's mean: 1 % of
  // it.
  CHECK(mean == Approx(want.x0).margin(4 * want.deviation() / std::sqrt(double(count)) + 0.01));
  CHECK(squares ==
        Approx(want.deviation() * want.deviation()).epsilon(4 * std::sqrt(2 / double(count)) + 0.01));
}

TEST_CASE(
    "Any sampler inpaints, ends with the known part as it is, and leaves the rest if nothing is known") {
  const support::perfect_network network{support::mixture{}, prediction::v};
  const auto x0 = normals(33, 9);
  std::vector<double> mask(33, 0);
  const auto inpaint = [&](const auto& sampler) {
    auto x = normals(33);
    workspace<double> work;
    const known_part<double> known{{std::span<const double>(x0), 3}, {std::span<const double>(mask), 3}};
    sample_inpaint(schedule, grid, sampler, known, network, noise, rows<double>(std::span<double>(x), 3),
                   work);
    return x;
  };
  const auto check = [&](const auto& sampler) {
    std::fill(mask.begin(), mask.end(), 0);
    support::check_identical(inpaint(sampler),
                             support::run(schedule, grid, sampler, network, noise, normals(33), 3));
    for (std::size_t i = 0; i < 33; i += 2) mask[i] = 1;
    const auto x = inpaint(sampler);
    for (std::size_t i = 0; i < 33; ++i) CHECK((x[i] == x0[i]) == (mask[i] == 1));
  };
  check(ddim{});
  check(ddim{.eta = 1});
  check(dpm_solver_multistep{});
  check(repaint<>{.jump_length = 4, .jump_n_sample = 2});
}

TEST_CASE("The known part has noise of its own, the same for a sample in every batch") {
  const std::size_t count = 4;
  const auto x0 = normals(count * 5, 2);
  const std::vector<double> mask(5, 1);
  const auto blended = [&](std::size_t first, std::size_t n, auto source) {
    std::vector<double> x(n * 5, 0);
    std::vector<double> scratch(5);
    const known_part<double> known{{std::span<const double>(x0).subspan(first * 5, n * 5), n},
                                   {std::span<const double>(mask), 1}};
    blend_known(known, {0.8, 0.6}, source, known_noise_step(3), first, rows<double>(std::span<double>(x), n),
                std::span<double>(scratch));
    return x;
  };
  const auto together = blended(0, count, noise);
  for (std::size_t i = 0; i < count; ++i) {
    support::check_identical(blended(i, 1, noise), std::span(together).subspan(i * 5, 5));
    std::vector<double> z(5);
    noise(i, 0x8000'0003u, std::span<double>(z));
    for (std::size_t j = 0; j < 5; ++j)
      CHECK(together[i * 5 + j] == Approx(0.8 * x0[i * 5 + j] + 0.6 * z[j]).margin(1e-15));
  }
  // The same from a source of whole rows.
  const auto row_source = [](std::uint64_t sample, std::uint32_t step, std::span<double> z) {
    noise(sample, step, z);
  };
  support::check_identical(blended(0, count, row_source), together);
}

TEST_CASE("Inpainting does not allocate in its steps") {
  const support::perfect_network network{support::mixture{}, prediction::v};
  auto x = normals(33);
  const std::vector<double> mask(11, 0.5);
  const auto x0 = normals(33, 9);
  workspace<double> work;
  const rows<double> view(std::span<double>(x), 3);
  const known_part<double> known{{std::span<const double>(x0), 3}, {std::span<const double>(mask), 1}};
  stepper run(schedule, grid, repaint<>{.jump_length = 4}, view, work);
  const std::size_t before = support::allocations;
  while (!run.done()) {
    run.step(network, noise);
    blend_known(run, known, noise, view, work);
  }
  CHECK(support::allocations - before == 0);
}

TEST_CASE("Known parts of other sizes are refused") {
  const support::perfect_network network{support::mixture{}, prediction::v};
  std::vector<double> x(12), x0(12), mask(12);
  workspace<double> work;
  const auto refuse = [&](std::size_t x0_rows, std::size_t mask_size, std::size_t mask_rows,
                          std::initializer_list<std::string_view> parts) {
    const known_part<double> known{{std::span<const double>(x0), x0_rows},
                                   {std::span<const double>(mask).first(mask_size), mask_rows}};
    check_refused(
        [&] {
          sample_inpaint(schedule, grid, ddim{}, known, network, noise, rows<double>(std::span<double>(x), 3),
                         work);
          return 0;
        },
        parts);
  };
  refuse(2, 12, 3, {"rows of known.x0 = 2", "3"});
  refuse(3, 12, 2, {"rows of known.mask = 2", "3"});
  refuse(3, 3, 1, {"known.mask", "3", "4"});
}
