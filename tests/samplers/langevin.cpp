#include "diffusion/samplers/langevin.hpp"

#include <vector>

#include "diffusion/samplers/reverse_diffusion.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

const support::gaussian data{0.5, 0.4};

std::vector<path_point> geometric(path_point (*point_at)(double), double first, double last, int n) {
  std::vector<path_point> points;
  for (int k = 0; k < n; ++k) points.push_back(point_at(first * std::pow(last / first, k / (n - 1.0))));
  points.push_back({0, {1, 0}});
  return points;
}

}  // namespace

TEST_CASE("Langevin dynamics at one level ends at its stationary distribution") {
  const noise_level level{1, 0.7};
  const std::vector<path_point> points{{1, level}, {0, level}};
  const double step = 0.1;
  const auto plan = annealed_langevin{.step = step, .steps = 300}.plan(run_path(points));
  CHECK(plan.stages.size() == 300);
  CHECK(plan.slots == 0);
  const auto end = support::moments_of(plan, data);
  // x ← (1 - τ/v) x + √(2τ) z has the variance v/(1 - τ/(2v)).
  const double v = data.variance_at(level);
  CHECK(end.mean == Approx(data.mean).epsilon(1e-12));
  CHECK(end.variance == Approx(v / (1 - step / 2 / (2 * v))).epsilon(1e-12));
}

TEST_CASE(
    "Annealed Langevin dynamics comes to its limit with first order in the step, and that is the data") {
  const auto points = geometric(support::ve_point, 10, 0.1, 12);
  const auto variance = [&](int steps) {  // of the same length of time
    const annealed_langevin method{.step = 0.4 / steps, .steps = steps, .denoise = false};
    return support::moments_of(method.plan(run_path(points)), data).variance;
  };
  const double coarse = variance(50);
  const double middle = variance(100);
  const double fine = variance(200);
  CHECK(support::order_of(coarse - middle, middle - fine) == Approx(1).margin(0.1));
  const double limit = 2 * fine - middle;                            // of short steps
  CHECK(limit == Approx(data.variance_at({1, 0.1})).epsilon(0.01));  // what the levels before left
}

TEST_CASE("Annealed Langevin dynamics is the same in every process, and ends with the data's estimate") {
  const annealed_langevin method{.step = 1e-2, .steps = 20};
  const auto ve = method.plan(run_path(geometric(support::ve_point, 10, 0.1, 5)));
  const auto vp = method.plan(run_path(geometric(support::vp_point, 10, 0.1, 5)));
  CHECK(ve.stages.size() == 5 * 20 + 1);
  CHECK(ve.stages.back().next.now.x0 == 1);
  CHECK(ve.stages.back().to.level == noise_level{1, 0});
  const auto a = support::moments_of(ve, data);
  const auto b = support::moments_of(vp, data);
  CHECK(b.mean == Approx(a.mean).epsilon(1e-12));
  CHECK(b.variance == Approx(a.variance).epsilon(1e-12));
}

TEST_CASE("A corrector mends the distribution of a predictor's few steps") {
  for (const auto& point_at : {support::ve_point, support::vp_point}) {
    const auto points = geometric(point_at, 10, 0.02, 30);
    const auto error = [&](const run_plan& plan) {
      return std::abs(support::moments_of(plan, data).variance / (data.deviation * data.deviation) - 1);
    };
    const double alone = error(make_plan(run_path(points), reverse_diffusion{}));
    const double once = error(langevin_corrected<reverse_diffusion>{.snr = 0.1}.plan(run_path(points)));
    const double often =
        error(langevin_corrected<reverse_diffusion>{.snr = 0.1, .corrections = 10}.plan(run_path(points)));
    CAPTURE(alone, once, often);
    CHECK(once < alone);
    CHECK(often < alone / 2);
  }
}

TEST_CASE("Corrections and the step that follows are stages of one step") {
  const auto points = geometric(support::vp_point, 10, 0.1, 4);
  const auto plan = langevin_corrected<>{.snr = 0.1, .corrections = 2}.plan(run_path(points));
  REQUIRE(plan.stages.size() == 4 * 3);
  CHECK(plan.slots == 0);
  for (std::size_t k = 0; k < plan.stages.size(); ++k) {
    CHECK(plan.stages[k].asks);
    CHECK(plan.stages[k].arrives == (k % 3 == 2));
    CHECK(plan.stages[k].eval.level == points[k / 3].level);
    CHECK(std::isfinite(plan.stages[k].next.now.x));
  }
  const double kept = points[0].level.alpha / points[1].level.alpha;
  CHECK(plan.stages[0].next.now.noise == Approx(std::sqrt(2 * 2) * kept * 0.1 * points[0].level.sigma));
}

TEST_CASE("Bad options of Langevin dynamics are refused") {
  const run_path path(geometric(support::ve_point, 10, 0.1, 4));
  check_refused([&] { return annealed_langevin{.step = 0}.plan(path); }, {"step = 0", "(0, inf)"});
  check_refused([&] { return annealed_langevin{.steps = 0}.plan(path); }, {"steps = 0", "at least 1"});
  check_refused([&] { return langevin_corrected<>{.snr = 0}.plan(path); }, {"snr = 0", "(0, inf)"});
  check_refused([&] { return langevin_corrected<>{.corrections = 0}.plan(path); }, {"corrections = 0"});
  const std::vector<path_point> from_zero_snr{{1, {0, 1}}, {0, {1, 0}}};
  check_refused([&] { return annealed_langevin{}.plan(run_path(from_zero_snr)); }, {"from.alpha = 0"});
}
