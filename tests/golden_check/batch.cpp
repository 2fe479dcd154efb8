#include "batch.hpp"

#include "diffusion/forward.hpp"
#include "grids.hpp"

namespace golden {

namespace d = diffusion;

std::vector<int> read_times(const record& file, std::size_t count, int train_steps) {
  std::vector<int> times = file.integers("t", 0, train_steps - 1);
  if (times.size() != count)
    file.fail("t", "expected " + std::to_string(count) + " entries, found " + std::to_string(times.size()));
  for (int& t : times) t = time_of_index(t);
  return times;
}

std::vector<d::noise_level> levels_at(const d::discrete_schedule<>& schedule, const std::vector<int>& times) {
  std::vector<d::noise_level> levels;
  for (const int t : times) levels.push_back(schedule.level(t));
  return levels;
}

array noised(const std::vector<d::noise_level>& levels, const array& x0, const array& eps) {
  array x_t(x0.size());
  d::q_sample(std::span(levels), as_rows(x0, levels.size()), as_rows(eps, levels.size()),
              as_rows(x_t, levels.size()));
  return x_t;
}

array target_of(d::prediction kind, const std::vector<d::noise_level>& levels, const array& x0,
                const array& eps) {
  array values(x0.size());
  d::training_target(kind, std::span(levels), as_rows(x0, levels.size()), as_rows(eps, levels.size()),
                     as_rows(values, levels.size()));
  return values;
}

void compare_level(const std::string& what, diffusion::noise_level recorded, diffusion::noise_level computed,
                   precision p, double rounding, report& result) {
  const tolerance allowed = at_least(of_table(p), std::max(rounding, level_rounding(p, computed)));
  result.compare(what + ".alpha", recorded.alpha, computed.alpha, allowed);
  result.compare(what + ".sigma", recorded.sigma, computed.sigma, allowed);
}

}  // namespace golden
