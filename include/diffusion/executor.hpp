#pragma once

#include <algorithm>
#include <cstddef>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "diffusion/detail/error.hpp"

namespace diffusion {

/// Runs work that is cut into blocks: executor(count, f) calls f(first, last) on ranges that cover
/// [0, count) once, in any order and on any thread. No result depends on how it cuts.
template <class E>
concept Executor = requires(const E& executor, void (*f)(std::size_t, std::size_t)) {
  executor(std::size_t{}, f);
};

/// On the calling thread.
struct serial {
  template <class F>
  void operator()(std::size_t count, F f) const {
    f(std::size_t{0}, count);
  }
};

#ifdef _OPENMP
/// On `threads` threads of OpenMP, 0 for as many as it would take itself. Exists where the compiler is told
/// to use OpenMP (-fopenmp). Less than two blocks per thread (8,192 elements with noise, 65,536 without) are
/// not worth another thread.
class openmp {
 public:
  explicit openmp(int threads = 0) : threads_(threads) {
    if (threads < 0) detail::invalid("threads", threads, "0 (as many as OpenMP takes) or more");
  }

  template <class F>
  void operator()(std::size_t count, F f) const {
    const std::size_t most = static_cast<std::size_t>(threads_ > 0 ? threads_ : omp_get_max_threads());
    const std::size_t threads = std::min(most, count / 2);
    if (threads < 2) return f(std::size_t{0}, count);
#pragma omp parallel for num_threads(static_cast <int>(threads)) schedule(static)
    for (std::size_t i = 0; i < threads; ++i) f(count * i / threads, count * (i + 1) / threads);
  }

 private:
  int threads_;
};
#endif

}  // namespace diffusion
