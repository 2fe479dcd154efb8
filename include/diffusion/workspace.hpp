#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/rows.hpp"
#include "diffusion/x0_transform.hpp"

namespace diffusion {

/// Memory of runs, owned by the caller. A run takes what it needs when it begins, and nothing later; the next
/// run finds it there.
template <Element T>
struct workspace {
  std::vector<T> output;               ///< model output of the current stage
  std::vector<T> memory;               ///< what multistep methods remember, slot by slot
  std::vector<T> noise;                ///< one row, for sources whose rows kernels cannot make as they go
  std::vector<arithmetic<T>> scratch;  ///< one row
};

struct run_options {
  x0_transform x0 = x0_keep{};
  std::uint64_t first_sample = 0;  ///< address of row 0 in the noise source; row i is first_sample + i
};

/// A run that can be stopped and continued after any stage.
template <Element T>
struct run_state {
  std::size_t stage = 0;  ///< stages done
  std::vector<T> x;
  std::vector<T> memory;
};

}  // namespace diffusion
