#include "diffusion/samplers/flow_euler_ancestral.hpp"

#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {
std::vector<path_point> flow_points(int n) {
  std::vector<path_point> points;
  for (int k = 0; k <= n; ++k) {
    const double s = 1 - double(k) / n;
    points.push_back({s, {1 - s, s}});
  }
  return points;
}
}  // namespace

TEST_CASE(
    "Ancestral Euler keeps the marginals of flows and of other processes, from pure noise to clean data") {
  for (const double eta : {0.0, 0.5, 1.0})
    for (const auto& points :
         {flow_points(1), flow_points(2), flow_points(7), support::vp_points(-30, 30, 9)}) {
      const auto states =
          support::marginals_of(make_plan(run_path(points), flow_euler_ancestral{.eta = eta}));
      for (std::size_t k = 0; k < states.size(); ++k) {
        CAPTURE(eta, points.size(), k);
        CHECK(states[k].x0 == Approx(points[k + 1].level.alpha).epsilon(8 * roundoff<>));
        // 1 - q² and q² err by a rounding of 1 each.
        CHECK(states[k].deviation() == Approx(points[k + 1].level.sigma).epsilon(16 * roundoff<>));
      }
    }
}

TEST_CASE("Ancestral Euler is ComfyUI's formula on a flow") {
  for (const double eta : {0.3, 1.0})
    for (const auto& [s, next] : {std::pair{1.0, 0.95}, {0.8, 0.6}, {0.35, 0.1}}) {
      const double down = next * (1 + (next / s - 1) * eta);
      const double ratio = down / s;
      const double scale = (1 - next) / (1 - down);
      const step_coefficients c =
          flow_euler_ancestral{.eta = eta, .s_noise = 0.9}({1 - s, s}, {1 - next, next});
      const double renoise = 0.9 * std::sqrt(next * next - down * down * scale * scale);
      CAPTURE(eta, s, next);
      CHECK(c.x == Approx(scale * ratio).epsilon(16 * roundoff<>));
      CHECK(c.x0 == Approx(scale * (1 - ratio)).epsilon(64 * roundoff<>));  // both differences cancel
      CHECK(c.noise == Approx(renoise).epsilon(64 * roundoff<>));
    }
}

TEST_CASE("Ancestral Euler with eta 0 is DDIM, and with short steps DDIM with the root of eta") {
  const noise_level from{0.4, 0.6};
  const step_coefficients a = flow_euler_ancestral{.eta = 0}(from, {0.5, 0.5});
  const step_coefficients b = ddim{}(from, {0.5, 0.5});
  CHECK(a.x == b.x);
  CHECK(a.x0 == b.x0);
  CHECK(a.noise == 0);
  for (const double eta : {0.25, 1.0})
    for (const double h : {1e-3, 1e-5}) {
      const noise_level to{0.4 + h, 0.6 - h};
      const double noise = flow_euler_ancestral{.eta = eta}(from, to).noise;
      // Steps of length h/(α σ) in λ: the next terms of both expansions differ by about that.
      CHECK(noise == Approx(ddim{.eta = std::sqrt(eta)}(from, to).noise).epsilon(h / (0.4 * 0.6)));
    }
}

TEST_CASE("Ancestral Euler depends on sigma / alpha only") {
  const flow_euler_ancestral sampler{};
  const step_coefficients a = sampler({0.4, 0.6}, {0.7, 0.3});
  const step_coefficients b = sampler({2 * 0.4, 2 * 0.6}, {3 * 0.7, 3 * 0.3});
  CHECK(b.x == Approx(1.5 * a.x).epsilon(8 * roundoff<>));
  CHECK(b.x0 == Approx(3 * a.x0).epsilon(8 * roundoff<>));
  CHECK(b.noise == Approx(3 * a.noise).epsilon(8 * roundoff<>));
}

TEST_CASE("Ancestral Euler's moments on Gaussian data converge at first order") {
  const support::gaussian data{0.5, 0.3};
  const auto error = [&](int n) {
    const auto plan = make_plan(run_path(flow_points(n)), flow_euler_ancestral{});
    return std::abs(support::moments_of(plan, data).variance - 0.09);
  };
  CHECK(error(64) < 0.02);
  CHECK(support::order_of(error(512), error(1024)) == Approx(1).margin(0.2));
}

TEST_CASE("Ancestral Euler refuses bad options and steps away from the data") {
  const noise_level high{0.4, 0.6};
  const noise_level low{0.7, 0.3};
  for (const double bad : {-0.1, 1.1, std::nan("")})
    check_refused([&] { return flow_euler_ancestral{.eta = bad}(high, low); }, {"eta = ", "[0, 1]"});
  check_refused([&] { return flow_euler_ancestral{.s_noise = -1}(high, low); }, {"s_noise = -1", "[0, inf)"});
  check_refused([&] { return flow_euler_ancestral{}(low, high); }, {"SNR"});
}
