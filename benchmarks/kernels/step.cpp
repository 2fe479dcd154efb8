// One sampler step: x̂0, clip, blend, given noise. Baselines: the roofline, a plain loop, an Eigen expression.
#include <Eigen/Core>
#include <algorithm>

#include "diffusion/ddpm.hpp"
#include "support.hpp"

namespace {

using namespace diffusion;

constexpr noise_level from{0.6, 0.8}, to{0.8, 0.6};

step_plan plan_of(const step_coefficients& step) {
  return {x0_map(prediction::epsilon, from), epsilon_map(prediction::epsilon, from), {.limit = 1}, step};
}

template <class T, bool WithNoise>
void roofline(benchmark::State& state) {
  auto x = bench::values<T>(state, 1);
  const auto out = bench::values<T>(state, 2), z = bench::values<T>(state, 3);
  const std::span<const T> noise = WithNoise ? std::span<const T>(z) : std::span<const T>();
  bench::elements(state, [&] { bench::stream<T>(x, out, noise); });
}

template <class T, class Arch, bool WithNoise>
void library(benchmark::State& state) {
  auto x = bench::values<T>(state, 1);
  const auto out = bench::values<T>(state, 2), z = bench::values<T>(state, 3);
  const step_plan plan = plan_of(WithNoise ? ddpm{}(from, to) : ddim{}(from, to));
  bench::elements(state, [&] { apply_step<Arch>(plan, out, z, std::span<T>(x)); });
}

// As it is written by hand.
template <class T>
void plain_loop(benchmark::State& state) {
  auto x = bench::values<T>(state, 1);
  const auto out = bench::values<T>(state, 2), z = bench::values<T>(state, 3);
  const step_coefficients c = ddpm{}(from, to);
  const T a = T(from.alpha), s = T(from.sigma), cx = T(c.x), c0 = T(c.x0), cz = T(c.noise);
  bench::elements(state, [&] {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const T x0 = std::clamp((x[i] - s * out[i]) / a, T(-1), T(1));
      x[i] = cx * x[i] + c0 * x0 + cz * z[i];
    }
  });
}

template <class T>
void eigen(benchmark::State& state) {
  using array = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
  auto vx = bench::values<T>(state, 1), vo = bench::values<T>(state, 2), vz = bench::values<T>(state, 3);
  array x(vx.data(), state.range(0)), out(vo.data(), state.range(0)), z(vz.data(), state.range(0));
  const step_coefficients c = ddpm{}(from, to);
  const T a = T(1 / from.alpha), s = T(from.sigma), cx = T(c.x), c0 = T(c.x0), cz = T(c.noise);
  bench::elements(state, [&] { x = cx * x + c0 * ((x - s * out) * a).max(T(-1)).min(T(1)) + cz * z; });
}

BENCHMARK(roofline<float, false>)->Name("step/roofline, 2 streams/float")->Apply(bench::sizes);
BENCHMARK(library<float, default_arch, false>)->Name("step/ddim/float")->Apply(bench::sizes);
BENCHMARK(roofline<float, true>)->Name("step/roofline, 3 streams/float")->Apply(bench::sizes);
BENCHMARK(library<float, default_arch, true>)->Name("step/ddpm, given noise/float")->Apply(bench::sizes);
BENCHMARK(library<float, scalar_arch, true>)
    ->Name("step/ddpm, given noise, scalar/float")
    ->Apply(bench::sizes);
BENCHMARK(plain_loop<float>)->Name("step/ddpm, plain loop/float")->Apply(bench::sizes);
BENCHMARK(eigen<float>)->Name("step/ddpm, Eigen/float")->Apply(bench::sizes);
BENCHMARK(roofline<double, true>)->Name("step/roofline, 3 streams/double")->Apply(bench::sizes);
BENCHMARK(library<double, default_arch, true>)->Name("step/ddpm, given noise/double")->Apply(bench::sizes);

}  // namespace
