// Addressed normals against the standard library's.
#include "diffusion/random/normal.hpp"

#include <random>

#include "support.hpp"

namespace {

template <class T>
void philox(benchmark::State& state) {
  auto z = bench::values<T>(state, 1);
  const diffusion::philox_normal noise{42};
  std::uint32_t step = 0;
  bench::elements(state, [&] { noise(0, step++, std::span<T>(z)); });
}

template <class T>
void standard(benchmark::State& state) {
  auto z = bench::values<T>(state, 1);
  std::mt19937 engine(42);
  std::normal_distribution<T> normal;
  bench::elements(state, [&] {
    for (T& value : z) value = normal(engine);
  });
}

BENCHMARK(philox<float>)->Name("normal/philox/float")->Arg(784)->Arg(196'608);
BENCHMARK(philox<double>)->Name("normal/philox/double")->Arg(784)->Arg(196'608);
BENCHMARK(standard<float>)->Name("normal/std::normal_distribution/float")->Arg(784)->Arg(196'608);

}  // namespace
