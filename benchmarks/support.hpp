#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <span>
#include <vector>

namespace bench {

/// One digit, a latent, a latent batch, and more than the caches hold.
inline void sizes(benchmark::internal::Benchmark* b) {
  for (const int n : {784, 50'176, 196'608, 3'145'728, 50'331'648}) b->Arg(n);
}

/// Values of moderate size, none of them subnormal.
template <class T>
std::vector<T> values(benchmark::State& state, int which) {
  std::vector<T> v(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<T>(double((i * 7919 + std::size_t(which)) % 2001) / 1000 - 1);
  return v;
}

/// Runs `body` and reports elements per second.
template <class F>
void elements(benchmark::State& state, F body) {
  for (auto _ : state) {
    body();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// The roofline: x ← a x + b y (+ c z), the same streams with the least arithmetic, as the compiler's best
/// loop.
template <class T>
void stream(std::span<T> x, std::span<const T> y, std::span<const T> z) {
  T* __restrict px = x.data();
  const T* __restrict py = y.data();
  const T* __restrict pz = z.data();
  if (z.empty()) {
    for (std::size_t i = 0; i < x.size(); ++i) px[i] = T(0.5) * px[i] + T(0.25) * py[i];
  } else {
    for (std::size_t i = 0; i < x.size(); ++i) px[i] = T(0.5) * px[i] + T(0.25) * py[i] + T(0.125) * pz[i];
  }
}

}  // namespace bench
