#pragma once

#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "diffusion/random/normal.hpp"

namespace bench {

using diffusion::bfloat16;
using diffusion::float16;
using diffusion::serial;

/// A digit, a picture or latent for each cache in turn, and more than the caches hold.
constexpr std::size_t sizes[] = {784, 50'176, 196'608, 3'145'728, 50'331'648};

template <class T>
constexpr const char* name_of = nullptr;
template <>
constexpr const char* name_of<float> = "float";
template <>
constexpr const char* name_of<double> = "double";
template <>
constexpr const char* name_of<float16> = "half";
template <>
constexpr const char* name_of<bfloat16> = "bfloat16";

/// Arrays of `size` elements, aligned to cache lines. All cases share their memory: at first it holds
/// standard normals, then what the cases leave, which stays moderate.
template <class T>
struct arrays {
  std::size_t size;

  std::span<T> operator[](std::size_t which) const {
    static std::array<std::vector<T, xsimd::aligned_allocator<T, 64>>, 4> memory;
    auto& values = memory.at(which);
    if (values.size() < size) {
      values.resize(size);
      if constexpr (diffusion::Element<T>)
        diffusion::philox_normal{which}.row(0, 0).fill(std::span<T>(values));
    }
    return {values.data(), size};
  }
};

/// An array as Eigen sees it.
template <class T>
auto eigen(std::span<T> values) {
  return Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(values.data(),
                                                        static_cast<Eigen::Index>(values.size()));
}

/// Runs the body that `make` returns for arrays of `size` elements, and counts elements per second.
template <class T, class Make, class Executor>
void add(const std::string& name, Make make, std::size_t size, const Executor& executor, int threads) {
  const std::string full_name =
      name + "/" + name_of<T> + "/" + std::to_string(size) + "/threads:" + std::to_string(threads);
  auto* added = benchmark::RegisterBenchmark(full_name.c_str(), [=](benchmark::State& state) {
    auto body = make(arrays<T>{size});
    body(executor);  // first touch and sleeping threads are not what is measured
    for (auto _ : state) {
      body(executor);
      benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size));
  });
  if (threads > 1) added->UseRealTime();
}

/// Registers name/type/size/threads for the element types T and all sizes up to `most`. make(arrays<T>)
/// returns a body to be called with an executor; one that only takes `serial` has no cases with two threads,
/// nor have sizes that OpenMP would not cut.
template <class... T, class Make>
bool add(const std::string& name, Make make, std::size_t most = sizes[4]) {
  const auto add_type = [&]<class U>(std::type_identity<U>) {
    for (const std::size_t size : sizes) {
      if (size > most) break;
      add<U>(name, make, size, serial{}, 1);
#ifdef _OPENMP
      using body = std::invoke_result_t<Make, arrays<U>>;
      if constexpr (std::invocable<body&, diffusion::openmp>)
        if (size >= 4 * diffusion::detail::block_size) add<U>(name, make, size, diffusion::openmp(2), 2);
#endif
    }
  };
  (add_type(std::type_identity<T>()), ...);
  return true;
}

/// The same for every element type.
template <class Make>
bool add_all(const std::string& name, Make make) {
  return add<float, double, float16, bfloat16>(name, make);
}

}  // namespace bench
