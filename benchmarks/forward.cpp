// q_sample with given noise against the roofline and an Eigen expression.
#include "diffusion/forward.hpp"

#include <Eigen/Core>

#include "support.hpp"

namespace {

template <class T>
void library(benchmark::State& state) {
  const auto x0 = bench::values<T>(state, 1);
  auto x_t = bench::values<T>(state, 2);
  bench::elements(state, [&] { diffusion::q_sample({0.6, 0.8}, x0, x_t, std::span<T>(x_t)); });
}

template <class T>
void roofline(benchmark::State& state) {
  const auto x0 = bench::values<T>(state, 1);
  auto x_t = bench::values<T>(state, 2);
  bench::elements(state, [&] { bench::stream<T>(x_t, x0, {}); });
}

template <class T>
void eigen(benchmark::State& state) {
  using array = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
  auto v0 = bench::values<T>(state, 1), vt = bench::values<T>(state, 2);
  array x0(v0.data(), state.range(0)), x_t(vt.data(), state.range(0));
  bench::elements(state, [&] { x_t = T(0.6) * x0 + T(0.8) * x_t; });
}

BENCHMARK(roofline<float>)->Name("q_sample/roofline/float")->Apply(bench::sizes);
BENCHMARK(library<float>)->Name("q_sample/library/float")->Apply(bench::sizes);
BENCHMARK(eigen<float>)->Name("q_sample/Eigen/float")->Apply(bench::sizes);
BENCHMARK(roofline<double>)->Name("q_sample/roofline/double")->Apply(bench::sizes);
BENCHMARK(library<double>)->Name("q_sample/library/double")->Apply(bench::sizes);

}  // namespace
