#pragma once

#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace mnist {

/// Number of threads that OpenMP would use; 1 in a program compiled without OpenMP.
inline int available_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Calls f(i, thread) for every i in [0, count), `thread` in [0, threads), in no particular order. What f
/// throws is thrown again here once all calls have ended. Without OpenMP the calls run one after the other as
/// thread 0.
template <class F>
void parallel_for(int count, [[maybe_unused]] int threads, F&& f) {
  std::exception_ptr failure;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
#endif
  for (int i = 0; i < count; ++i) {
    try {
#ifdef _OPENMP
      f(i, omp_get_thread_num());
#else
      f(i, 0);
#endif
    } catch (...) {
#ifdef _OPENMP
#pragma omp critical(mnist_parallel_failure)
#endif
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mnist
