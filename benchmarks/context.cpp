// What the results are results of: compiler, flags and instruction set, in the output of every run.
#include <benchmark/benchmark.h>

#include <string>

#include "diffusion/kernels/pack.hpp"

namespace {

[[maybe_unused]] const bool added = [] {
#ifdef __clang__
  benchmark::AddCustomContext("compiler", "clang " __clang_version__);
#else
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif
  benchmark::AddCustomContext("flags", BENCHMARK_FLAGS);
  benchmark::AddCustomContext("instruction set", diffusion::default_arch::name());
  return true;
}();

}  // namespace
