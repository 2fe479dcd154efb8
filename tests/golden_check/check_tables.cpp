// Families schedule, respacing, timestep_grid: tables and integers.

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "diffusion/posterior.hpp"
#include "families.hpp"
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
void check_tables(const record& file, const schedule& computed, const std::vector<int>& times, precision p,
                  report& result) {
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
    result.compare(table->name, expected, found, table->is_logarithm ? of_logarithm(p) : of_table(p));
  }
}

}  // namespace

void check_schedule(const record& file, report& result) {
  const precision p = read_header(file);
  const schedule computed = read_schedule(file.object("schedule"));
  std::vector<int> times = file.integers("index", 0, computed.steps() - 1);
  for (int& t : times) t = time_of_index(t);
  check_tables(file, computed, times, p, result);
}

void check_respacing(const record& file, report& result) {
  const precision p = read_header(file);
  const schedule trained = read_schedule(file.object("schedule"));
  const d::time_grid grid = d::respaced_grid(trained.steps(), file.text("respacing"));
  std::vector<int> indices = indices_of(grid);
  std::reverse(indices.begin(), indices.end());
  result.compare_exactly("timesteps", file.integers("timesteps", 0, trained.steps() - 1), indices);

  // The betas of the respaced process, and with them the process itself.
  std::vector<double> betas;
  for (const auto& step : grid)
    betas.insert(betas.begin(), d::transition_variance(trained.level(step.from), trained.level(step.to)));
  std::vector<int> times(betas.size());
  for (std::size_t i = 0; i < times.size(); ++i) times[i] = static_cast<int>(i) + 1;
  check_tables(file, schedule::from_betas(betas), times, p, result);
}

void check_timestep_grid(const record& file, report& result) {
  (void)read_header(file);
  const std::string kind = file.text("kind");
  if (kind != "ddim" && kind != "ddpm") throw unsupported("timestep_grid kind \"" + kind + '"');
  const int train_steps = file.integer("train_steps", 1, max_train_steps);
  const int offset = file.integer("offset", 0, train_steps, 0);
  const std::vector<record> grids = file.objects("grids");
  file.refuse_unknown_keys();
  for (const record& entry : grids) {
    const std::string spacing = entry.text("spacing");
    const int n = entry.integer("steps", 1, train_steps);
    const std::vector<int> recorded = entry.integers("values", 0, train_steps - 1);
    entry.refuse_unknown_keys();
    result.compare_exactly(spacing + " " + std::to_string(n), recorded,
                           indices_of(grid_of_spacing(spacing, train_steps, n, offset)));
  }
}

}  // namespace golden
