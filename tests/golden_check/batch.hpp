#pragma once

#include <span>
#include <vector>

#include "diffusion/prediction.hpp"
#include "diffusion/rows.hpp"
#include "families.hpp"
#include "schedules.hpp"

namespace golden {

using array = std::vector<double>;

[[nodiscard]] inline diffusion::rows<const double> as_rows(const array& values, std::size_t count) {
  return {std::span<const double>(values), count};
}
[[nodiscard]] inline diffusion::rows<double> as_rows(array& values, std::size_t count) {
  return {std::span<double>(values), count};
}

/// f of every value.
[[nodiscard]] array mapped(const array& list, const auto& f) {
  array result;
  for (const double value : list) result.push_back(f(value));
  return result;
}

/// The integer times `t` of the rows of a batch, as t = 1 … T.
[[nodiscard]] std::vector<int> read_times(const record& file, std::size_t count, int train_steps);

/// One level per time.
[[nodiscard]] std::vector<diffusion::noise_level> levels_at(const diffusion::discrete_schedule<>& schedule,
                                                            const std::vector<int>& times);

/// q_sample with one level per row.
[[nodiscard]] array noised(const std::vector<diffusion::noise_level>& levels, const array& x0,
                           const array& eps);

/// training_target with one level per row.
[[nodiscard]] array target_of(diffusion::prediction kind, const std::vector<diffusion::noise_level>& levels,
                              const array& x0, const array& eps);

/// Compares two levels, element by element.
void compare_level(const std::string& what, diffusion::noise_level recorded, diffusion::noise_level computed,
                   precision p, double rounding, report& result);

/// f(row) repeated for every element of the row.
template <class F>
[[nodiscard]] array repeated(shape dims, F f) {
  array values;
  for (std::size_t i = 0; i < dims.count; ++i) values.insert(values.end(), dims.row_size, f(i));
  return values;
}

}  // namespace golden
