// Families schedule, respacing, timestep_grid: tables and integers.

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "diffusion/posterior.hpp"
#include "families.hpp"
#include "grids.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using schedule = d::discrete_schedule<>;

/// A table of the peers: its name, its entry at time t, and whether it holds logarithms.
struct table {
  const char* name;
  std::function<double(const schedule&, int t)> entry;
  bool is_logarithm = false;
};

const table tables[] = {
    {"betas", [](const schedule& s, int t) { return s.beta(t); }},
    {"alphas", [](const schedule& s, int t) { return 1 - s.beta(t); }},
    {"alpha_bars", [](const schedule& s, int t) { return s.alpha_bar(t); }},
    {"alpha_bars_prev", [](const schedule& s, int t) { return s.alpha_bar(t - 1); }},
    {"alpha_bars_next", [](const schedule& s, int t) { return t == s.steps() ? 0 : s.alpha_bar(t + 1); }},
    {"sqrt_alpha_bars", [](const schedule& s, int t) { return s.level(t).alpha; }},
    {"sqrt_one_minus_alpha_bars", [](const schedule& s, int t) { return s.level(t).sigma; }},
    {"log_one_minus_alpha_bars", [](const schedule& s, int t) { return 2 * std::log(s.level(t).sigma); },
     true},
    {"sqrt_recip_alpha_bars", [](const schedule& s, int t) { return 1 / s.level(t).alpha; }},
    {"sqrt_recipm1_alpha_bars", [](const schedule& s, int t) { return d::noise_to_signal(s.level(t)); }},
    {"posterior_variance",
     [](const schedule& s, int t) { return d::posterior_variance(s.level(t), s.level(t - 1)); }},
    {"posterior_log_variance_clipped",
     [](const schedule& s, int t) { return d::posterior_log_variance(s, t); }, true},
    {"fixed_large_log_variance",
     [](const schedule& s, int t) { return t == 1 ? d::posterior_log_variance(s, 1) : std::log(s.beta(t)); },
     true},
    {"posterior_mean_coef1",
     [](const schedule& s, int t) { return d::posterior(s.level(t), s.level(t - 1)).x0; }},
    {"posterior_mean_coef2",
     [](const schedule& s, int t) { return d::posterior(s.level(t), s.level(t - 1)).x; }},
    {"snr", [](const schedule& s, int t) { return d::snr(s.level(t)); }},
};

/// Compares every table that the file has at the given times. A value that is not finite is recorded as null.
void check_tables(const record& file, const schedule& computed, const std::vector<int>& times,
                  tolerance allowed, report& result) {
  std::vector<std::pair<const table*, std::vector<double>>> recorded;
  for (const table& t : tables)
    if (file.has(t.name)) recorded.emplace_back(&t, file.numbers_or_nan(t.name, times.size()));
  file.refuse_unknown_keys();
  if (recorded.empty()) throw malformed("no table");
  for (const auto& [table, expected] : recorded) {
    std::vector<double> found;
    for (const int t : times) {
      const double value = table->entry(computed, t);
      found.push_back(std::isfinite(value) ? value : std::nan(""));
    }
    result.compare(table->name, expected, found, table->is_logarithm ? as_logarithm(allowed) : allowed);
  }
}

}  // namespace

void check_schedule(const record& file, report& result) {
  const precision p = read_header(file);
  const schedule computed = read_schedule(file.object("schedule"));
  std::vector<int> times = file.integers("index", 0, computed.steps() - 1);
  for (int& t : times) t = time_of_index(t);
  check_tables(file, computed, times, of_table(p), result);
}

void check_respacing(const record& file, report& result) {
  (void)file.choice("kind", {"space_timesteps"});
  const precision p = read_header(file);
  const schedule trained = read_schedule(file.object("schedule"));
  std::vector<int> recorded = file.integers("timesteps", 0, trained.steps() - 1);
  const d::time_grid grid = make_grid(
      {.spacing = "respaced", .train_steps = trained.steps(), .respacing = file.text("respacing")}, recorded);
  std::reverse(recorded.begin(), recorded.end());
  result.compare_exactly("timesteps", recorded, indices_of(grid));

  // The respaced process as one of its own.
  std::vector<double> alpha_bars;
  std::vector<int> times;
  tolerance allowed = of_table(p);
  for (std::size_t k = grid.size(); k-- > 0;) {
    alpha_bars.push_back(trained.alpha_bar(grid[k].from));
    times.push_back(static_cast<int>(times.size()) + 1);
    allowed.relative = std::max(allowed.relative,
                                respacing_rounding(trained.level(grid[k].from), trained.level(grid[k].to)));
  }
  check_tables(file, schedule::from_alpha_bars(alpha_bars), times, allowed, result);
}

void check_timestep_grid(const record& file, report& result) {
  // Those of the DPM-Solver family leave out the cleanest of n + 1 times.
  const bool open = file.choice("kind", {"ddim", "ddpm", "dpm_solver_multistep"}) == "dpm_solver_multistep";
  (void)read_header(file);
  const int train_steps = file.integer("train_steps", 1, max_train_steps);
  const int offset = file.integer("offset", 0, train_steps, 0);
  const std::vector<record> grids = file.objects("grids");
  file.refuse_unknown_keys();
  for (const record& entry : grids) {
    const std::string spacing = entry.choice("spacing", {"leading", "linspace", "trailing"});
    const int n = entry.integer("steps", 1, train_steps);
    const std::vector<int> recorded = entry.integers("values", 0, train_steps - 1);
    entry.refuse_unknown_keys();
    const std::string rule = open && spacing != "trailing" ? "open " + spacing : spacing;
    const d::time_grid grid = make_grid({rule, train_steps, n, offset}, recorded);
    result.compare_exactly(spacing + " " + std::to_string(n), recorded, indices_of(grid));
  }
}

}  // namespace golden
