#include "grids.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>

#include "diffusion/solver_grids.hpp"

namespace golden {

namespace {

/// ⌊k T/n⌋ for k = n … 1: linspace(-1, T-1, n+1) without its start, truncated (denoising-diffusion-pytorch).
diffusion::time_grid floor_grid(int train_steps, int n) {
  diffusion::detail::require_steps(train_steps, n);
  std::vector<int> times;
  for (std::int64_t k = n; k >= 1; --k) times.push_back(static_cast<int>(k * train_steps / n));
  return diffusion::explicit_grid(train_steps, times);
}

/// `count` values evenly from `first` to `last`.
void append_evenly(std::vector<double>& values, double first, double last, int count) {
  for (int i = 0; i < count; ++i)
    values.push_back(count == 1 ? first : first + i * (last - first) / (count - 1));
}

/// Where the indices of a grid lay before rounding, ascending; empty for spacings that do not round.
std::vector<double> positions_of(const grid_request& request) {
  const int n = request.steps;
  const int train_steps = request.train_steps;
  std::vector<double> positions;
  if (request.spacing == "linspace") append_evenly(positions, 0, train_steps - 1, n);
  if (request.spacing == "open linspace")
    append_evenly(positions, double(train_steps - 1) / n, train_steps - 1, n);
  if (request.spacing == "trailing")
    append_evenly(positions, double(train_steps) / n - 1, train_steps - 1, n);
  if (request.spacing == "respaced" && !request.respacing.starts_with("ddim")) {
    std::vector<int> counts;
    for (std::size_t at = 0; at < request.respacing.size();) {
      counts.push_back(std::atoi(request.respacing.c_str() + at));  // the library has validated it
      at = std::min(request.respacing.find(',', at), request.respacing.size() - 1) + 1;
    }
    const int sections = static_cast<int>(counts.size());
    int start = 0;
    for (int i = 0; i < sections; ++i) {
      const int size = train_steps / sections + (i < train_steps % sections ? 1 : 0);
      append_evenly(positions, start, start + size - 1, counts[static_cast<std::size_t>(i)]);
      start += size;
    }
  }
  return positions;
}

/// Exactly halfway between two integers. Positions are fractions with denominators below 2e6, so no other one
/// comes as near.
bool is_tie(double position) { return std::abs(position - std::floor(position) - 0.5) < 1e-8; }

diffusion::time_grid exact_grid(const grid_request& request, const std::vector<int>& recorded) {
  const int train_steps = request.train_steps;
  const std::string& spacing = request.spacing;
  if (spacing == "leading") return diffusion::leading_grid(train_steps, request.steps, request.offset);
  if (spacing == "open leading")
    return diffusion::open_leading_grid(train_steps, request.steps, request.offset);
  if (spacing == "open linspace") return diffusion::open_linspace_grid(train_steps, request.steps);
  if (spacing == "linspace") return diffusion::linspace_grid(train_steps, request.steps);
  if (spacing == "trailing") return diffusion::trailing_grid(train_steps, request.steps);
  if (spacing == "full") return diffusion::full_grid(train_steps);
  if (spacing == "respaced") return diffusion::respaced_grid(train_steps, request.respacing);
  if (spacing == "linspace_floor_minus_one") return floor_grid(train_steps, request.steps);
  if (spacing == "explicit") return diffusion::explicit_grid(train_steps, recorded);
  throw unsupported("timesteps.spacing \"" + spacing + '"');
}

}  // namespace

diffusion::time_grid make_grid(const grid_request& request, std::vector<int> recorded_indices) {
  std::vector<int> recorded = std::move(recorded_indices);
  std::sort(recorded.begin(), recorded.end(), std::greater<>());
  for (int& t : recorded) t = time_of_index(t);
  const diffusion::time_grid grid = exact_grid(request, recorded);
  std::vector<double> positions = positions_of(request);
  if (positions.empty() || recorded.size() != grid.size() || positions.size() != grid.size()) return grid;
  std::reverse(positions.begin(), positions.end());
  std::vector<int> times;
  for (std::size_t k = 0; k < grid.size(); ++k) {
    const bool neighbour = std::abs(recorded[k] - grid[k].from) == 1;
    times.push_back(neighbour && is_tie(positions[k]) ? recorded[k] : grid[k].from);
  }
  return diffusion::explicit_grid(request.train_steps, times);
}

diffusion::time_grid read_grid(const record& timesteps, int train_steps) {
  grid_request request{.spacing = timesteps.text("spacing"),
                       .train_steps = train_steps,
                       .steps = timesteps.integer("steps", 1, train_steps),
                       .offset = timesteps.integer("offset", 0, train_steps, 0)};
  if (request.spacing == "respaced") request.respacing = timesteps.text("respacing");
  const diffusion::time_grid grid = make_grid(request, timesteps.integers("values", 0, train_steps - 1));
  timesteps.refuse_unknown_keys();
  if (grid.size() != static_cast<std::size_t>(request.steps))
    timesteps.fail("steps",
                   std::to_string(request.steps) + " recorded, the grid has " + std::to_string(grid.size()));
  return grid;
}

std::vector<int> indices_of(const diffusion::time_grid& grid) {
  std::vector<int> indices;
  for (const auto& step : grid) indices.push_back(index_of_time(step.from));
  return indices;
}

}  // namespace golden
