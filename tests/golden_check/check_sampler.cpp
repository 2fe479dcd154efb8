// Family sampler: every step by itself from the recorded state (open loop), and the whole run from its start
// with the toy predictor (closed loop). Both go through the library's stepper.

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "batch.hpp"
#include "diffusion/kernels/linear_combination.hpp"
#include "diffusion/stepper.hpp"
#include "sampler.hpp"

namespace golden {

namespace {

namespace d = diffusion;

struct sampler_file {
  precision p;
  shape dims;
  sampler_options options;
  d::prediction prediction;
  toy_predictor predictor;
  run_plan plan;
  std::vector<recorded_step> steps;
  array x_init, x_final;
  double closed_loop_gain;
};

d::prediction read_prediction(const record& file) {
  const std::string name = file.choice("prediction", {"epsilon", "sample", "v", "flow", "score"});
  if (name == "sample") return d::prediction::x0;
  if (name == "v") return d::prediction::v;
  if (name == "flow") return d::prediction::velocity;
  if (name == "score") return d::prediction::score;
  return d::prediction::epsilon;
}

sampler_file read_sampler_file(const record& file, report& result) {
  (void)file.choice("layout", {"call"});
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  sampler_options options = read_sampler_options(file);
  run_plan plan = read_run_plan(file, options);
  std::vector<recorded_step> steps = read_steps(file, options, plan, dims, p, result);
  const double gain = file.number("closed_loop_gain", 0);
  result.compare("init_noise_sigma", file.number("init_noise_sigma", 1), 1, {});  // α² + σ² = 1 at the start
  sampler_file read{
      p,
      dims,
      options,
      read_prediction(file),
      toy_predictor(file.object("predictor"), file.text("prediction"), options.learned, dims.row_size),
      std::move(plan),
      std::move(steps),
      file.numbers("x_init", dims.size()),
      file.numbers("x_final", dims.size()),
      gain};
  file.refuse_unknown_keys();
  return read;
}

/// The levels of a run as a schedule: numbers that fall along the run, three for each step.
///
/// Diffusers' DDIM inversion asks the network at the noisier end of a step, but reads its output as if it had
/// been asked at the other. The library does not, so there it is told that it was. For ε both are the same.
struct numbered_levels {
  using time_type = int;
  std::vector<d::noise_level> table;

  numbered_levels(const run_plan& plan, d::prediction kind) {
    for (std::size_t k = plan.steps.size(); k-- > 0;) {
      const auto& [from, to, at, rounding] = plan.steps[k];
      table.insert(table.end(), {kind == d::prediction::epsilon ? at : from, to, from});
    }
  }
  [[nodiscard]] d::noise_level level(int number) const { return table[static_cast<std::size_t>(number)]; }
  [[nodiscard]] d::time_grid grid() const {
    std::vector<d::interval<int>> steps;
    for (int from = static_cast<int>(table.size()) - 1; from >= 0; from -= 3)
      steps.push_back({.from = from, .to = from - 1, .eval = from - 2});
    return d::time_grid(std::move(steps));
  }
};

/// A run of the library with the noise of the file.
template <class Method>
class replay {
 public:
  replay(const sampler_file& file, const Method& method)
      : file_(file),
        method_(method),
        levels_(file.plan, file.prediction),
        x_(file.x_init),
        work_(file.dims.count, file.dims.row_size, file.options.learned != learned_output::none),
        run_(levels_, levels_.grid(), method, as_rows(x_, file.dims.count), work_,
             d::run_options{.x0 = file.options.transform}) {}
  replay(const replay&) = delete;

  [[nodiscard]] const array& x() const { return x_; }

  /// Puts the run before step k with the state x.
  void start_at(std::size_t k, const array& x) { run_.restore({k, x}); }

  /// One step; `predict(x, level, out)` is the model. Returns x̂0.
  template <class F>
  array step(F predict) {
    const std::size_t k = run_.step_index();
    const d::noise_level at = file_.plan.steps[k].at;
    auto model = d::predicts(file_.prediction,
                             [&](const auto& x, const auto&, const auto& out) { predict(x, at, out); });
    run_.predict(model);
    array x0(x_.size());
    run_.preview(as_rows(x0, file_.dims.count));
    auto noise = [&](std::uint64_t sample, std::uint32_t, std::span<double> z) {
      if (is_last(k) && file_.options.last == last_noise::never) return std::fill(z.begin(), z.end(), 0.0);
      const std::span<const double> row = noise_row(k, sample);
      std::copy(row.begin(), row.end(), z.begin());
    };
    run_.advance(noise);
    if (is_last(k) && file_.options.last == last_noise::where_drawn && !file_.steps[k].noise.empty())
      add_noise_to_clean_data(k);
    return x0;
  }

 private:
  [[nodiscard]] bool is_last(std::size_t k) const { return k + 1 == run_.steps(); }

  [[nodiscard]] std::span<const double> noise_row(std::size_t k, std::uint64_t sample) const {
    const array& noise = file_.steps[k].noise;
    if (noise.empty())
      throw malformed("steps[" + std::to_string(k) + "].noise: null or missing, but the step draws noise");
    return as_rows(noise, file_.dims.count)[static_cast<std::size_t>(sample)];
  }

  /// Diffusers' DDPM adds noise on every step from t > 0, also on one to clean data, with β̃ = 0 clamped to
  /// 1e-20. The library does not.
  void add_noise_to_clean_data(std::size_t k) {
    const auto& [from, to, at, rounding] = file_.plan.steps[k];
    if (to.sigma > 0) return;
    for (std::size_t i = 0; i < file_.dims.count; ++i) {
      const auto x = as_rows(x_, file_.dims.count)[i];
      const auto z = noise_row(k, i);
      if constexpr (std::is_same_v<Method, d::ddpm_learned>) {
        const auto v = std::span<const double>(work_.output)
                           .subspan((2 * i + 1) * file_.dims.row_size, file_.dims.row_size);
        d::add_learned_noise(method_.variance_of(from, to), v, z, x);
      } else if constexpr (std::is_same_v<Method, d::ddpm>) {
        const double variance = method_.variance == d::fixed_variance::transition
                                    ? d::transition_variance(from, to)
                                    : std::max(d::posterior_variance(from, to), 1e-20);
        d::linear_combination(1, x, std::sqrt(variance), z, x);
      }
    }
  }

  const sampler_file& file_;
  const Method& method_;
  numbered_levels levels_;
  array x_;
  d::workspace<double> work_;
  d::stepper<double, int, Method> run_;
};

/// What rounding alone may do to x̂0 and to the state in step k.
double rounding_of_step(const sampler_file& file, std::size_t k) {
  const auto& [from, to, at, rounding] = file.plan.steps[k];
  const auto* ddim = std::get_if<d::ddim>(&file.options.method);
  return std::max({rounding, x0_rounding(file.p, file.prediction, from.alpha),
                   ddim ? ddim_rounding(file.p, to.sigma, (*ddim)(from, to).noise) : 0.0});
}

template <class Method>
void check_open_loop(const sampler_file& file, const Method& method, report& result) {
  replay run(file, method);
  const array* before = &file.x_init;
  for (std::size_t k = 0; k < file.steps.size(); ++k) {
    const recorded_step& step = file.steps[k];
    const std::string path = "steps[" + std::to_string(k) + "]";
    if (!step.x_in.empty() && !before->empty()) result.compare(path + ".x_in", step.x_in, *before, {});
    const array& start = step.x_in.empty() ? *before : step.x_in;
    before = &step.x;
    if (step.x.empty()) continue;
    if (start.empty()) throw malformed(path + ".x_in: missing, and the state before is not recorded either");
    array output(step.model_output.size());
    file.predictor(as_rows(start, file.dims.count), step.at, as_rows(output, file.dims.count));
    result.compare(path + ".model_output", step.model_output, output, of_state(file.p));

    run.start_at(k, start);
    const array x0 = run.step([&](const auto&, d::noise_level, const auto& out) {
      std::copy(step.model_output.begin(), step.model_output.end(), out.data().begin());
    });
    const tolerance allowed = at_least(of_state(file.p), rounding_of_step(file, k));
    if (!step.x0.empty()) result.compare(path + ".x0", step.x0, x0, allowed);
    result.compare(path + ".x", step.x, run.x(), allowed);
  }
  if (!before->empty()) result.compare("x_final", file.x_final, *before, {});
}

template <class Method>
void check_closed_loop(const sampler_file& file, const Method& method, report& result) {
  replay run(file, method);
  std::size_t first = 0;
  while (first < file.steps.size() && rounding_of_step(file, first) > no_digits) ++first;
  if (first > 0) {
    const array& x = file.steps[first - 1].x;
    if (x.empty()) throw malformed("steps[" + std::to_string(first - 1) + "].x: missing");
    run.start_at(first, x);
  }
  double largest_rounding = 0;
  for (std::size_t k = first; k < file.steps.size(); ++k) {
    run.step(file.predictor);
    largest_rounding = std::max(largest_rounding, rounding_of_step(file, k));
  }
  result.compare("x_final in closed loop", file.x_final, run.x(),
                 of_closed_loop(file.p, file.closed_loop_gain, file.steps.size(), largest_rounding));
}

}  // namespace

void check_sampler(const record& file, report& result) {
  const sampler_file read = read_sampler_file(file, result);
  std::visit(
      [&](const auto& method) {
        check_open_loop(read, method, result);
        check_closed_loop(read, method, result);
      },
      read.options.method);
}

}  // namespace golden
