// A whole run in one call, for tests that only look at its result.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "diffusion/sample.hpp"

namespace support {

struct no_noise {
  template <class T>
  void operator()(std::uint64_t, std::uint32_t, std::span<T>) const {
    throw std::logic_error("a deterministic run drew noise");
  }
};

/// The result of a run of `count` samples that starts at x.
template <class T, class Schedule, class Grid, class S, class P, class N>
std::vector<T> run(const Schedule& schedule, const Grid& grid, const S& sampler, P predictor, N noise,
                   std::vector<T> x, std::size_t count = 1, const diffusion::run_options& options = {}) {
  diffusion::workspace<T> work;
  diffusion::sample(schedule, grid, sampler, predictor, noise, diffusion::rows<T>(std::span<T>(x), count),
                    work, options);
  return x;
}

/// Values as a batch of `count` samples.
template <class T>
diffusion::rows<T> in_rows(std::vector<T>& values, std::size_t count) {
  return {std::span<T>(values), count};
}

/// `size` draws of N(0, 1).
template <class T = double>
std::vector<T> normals(std::size_t size, std::uint64_t seed = 1) {
  std::vector<T> z(size);
  diffusion::philox_normal{seed}(0, 0, std::span<T>(z));
  return z;
}

}  // namespace support
