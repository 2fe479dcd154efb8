#include "replay.hpp"

#include <algorithm>
#include <cmath>

#include "diffusion/stepper.hpp"

namespace golden {

namespace {

namespace d = diffusion;

/// A run of the library with the noise of the file.
class replay {
 public:
  explicit replay(const replayed_run& file)
      : file_(file),
        x_(file.x_init),
        run_(file.plan, as_rows(x_, file.dims.count), work_, d::run_options{.x0 = file.transform}) {}
  replay(const replay&) = delete;

  [[nodiscard]] const array& x() const { return x_; }

  void set_x(const array& x) {
    d::run_state<double> state = run_.save();
    state.x = x;
    run_.restore(state);
  }

  /// The stages before evaluation k, which only add noise.
  void approach(std::size_t k) {
    if (k == 0 || file_.asks[k].step != file_.asks[k - 1].step) drawn_ = 0;
    add_noise(k);
  }
  /// Those after the last evaluation, and what the peer does to its result.
  void finish() {
    add_noise(file_.asks.size() - 1);
    for (double& x : x_) x = std::clamp(x, -file_.final_limit, file_.final_limit);
  }
  [[nodiscard]] d::noise_level level() const { return run_.current().eval.level; }

  /// The stage of evaluation k; `predict(x, level, out)` is the model. Returns x̂0.
  template <class F>
  array ask(std::size_t k, F predict) {
    auto model =
        d::predicts(file_.model.kind(), [&](d::rows<const double> x, d::path_point, d::rows<double> out) {
          predict(x, file_.asks[k].at, out);
          file_.model.convert(file_.asks[k].at, x, out);
        });
    return advance(k, model, true);
  }

 private:
  void add_noise(std::size_t k) {
    auto nothing = [](d::rows<const double>, d::path_point, d::rows<double>) {};
    while (!run_.done() && !run_.current().asks) advance(k, nothing);
  }

  template <class Model>
  array advance(std::size_t k, Model& model, bool preview = false) {
    run_.predict(model);
    array x0(preview ? x_.size() : 0);
    if (preview) run_.preview(as_rows(x0, file_.dims.count));
    bool drew = false;
    auto noise = [&](std::uint64_t sample, std::uint32_t, std::span<double> z) {
      const std::span<const double> row = noise_row(k, sample);
      std::copy(row.begin(), row.end(), z.begin());
      drew = true;
    };
    run_.advance(noise);
    if (drew) ++drawn_;
    return x0;
  }

  [[nodiscard]] std::span<const double> noise_row(std::size_t k, std::uint64_t sample) const {
    const std::vector<array>& noises = file_.asks[k].noises;
    if (noises.empty())
      throw malformed(file_.asks[k].path + ".noise: null or missing, but the step draws noise");
    return as_rows(noises[std::min(drawn_, noises.size() - 1)],
                   file_.dims.count)[static_cast<std::size_t>(sample)];
  }

  const replayed_run& file_;
  array x_;
  d::workspace<double> work_;
  d::stepper<double> run_;
  std::size_t drawn_ = 0;
};

/// The magnitude that tolerances are relative to.
double size_of(const array& x) {
  double largest = 1;
  for (const double value : x) largest = std::max(largest, std::abs(value));
  return largest;
}

/// What the peer's network returns.
void predict(const replayed_run& file, d::rows<const double> x, d::noise_level at, d::rows<double> out) {
  file.predictor(x, at, out);
  for (double& value : out.data()) value = std::clamp(value, -file.output_limit, file.output_limit);
}

}  // namespace

void check_open_loop(const replayed_run& file, report& result) {
  std::size_t asking = 0;
  for (const auto& stage : file.plan.stages) asking += stage.asks;
  if (asking != file.asks.size())
    throw malformed("steps: " + std::to_string(file.asks.size()) +
                    " evaluations recorded, the sampler makes " + std::to_string(asking));
  replay run(file);
  // A state that the file does not record comes from our own run: then x_in of a later evaluation resumes.
  for (std::size_t k = 0; k < file.asks.size(); ++k) {
    const recorded_ask& ask = file.asks[k];
    run.approach(k);
    // The largest angle of SANA-Sprint, 1.5708, lies beyond a right one: there α is negative, and ours 0.
    if (file.compares_levels && ask.at.alpha >= 0)
      compare_level(ask.path + ".(a, s)", ask.at, run.level(), file.p, ask.rounding, result);
    const bool recorded = !ask.model_output.empty();
    if (!ask.x_in.empty()) {
      if (ask.unrecorded.empty() &&
          (k == 0 || !file.asks[k - 1].x_after.empty() || file.asks[k - 1].step == ask.step))
        result.compare(ask.path + ".x before the model", ask.x_in, run.x(),
                       at_least(of_open_loop(file.p), ask.rounding));
      run.set_x(ask.x_in);
    }
    if (recorded) {
      array output(ask.model_output.size());
      predict(file, as_rows(run.x(), file.dims.count), ask.at, as_rows(output, file.dims.count));
      result.compare(ask.path + ".model_output", ask.model_output, output, of_model_output(file.p));
    }
    const array x0 = run.ask(k, [&](const auto& x, d::noise_level at, const auto& out) {
      if (recorded)
        std::copy(ask.model_output.begin(), ask.model_output.end(), out.data().begin());
      else
        predict(file, x, at, out);
    });
    if (k + 1 == file.asks.size()) run.finish();
    const tolerance allowed = at_least(of_open_loop(file.p), ask.rounding);
    if (recorded && !ask.x0.empty() && file.compares_x0)
      result.compare(ask.path + ".x0", ask.x0, x0, allowed);
    if (ask.x_after.empty()) continue;
    result.compare(ask.path + ".x", ask.x_after, run.x(), allowed);
    run.set_x(ask.x_after);
  }
  if (!file.asks.back().x_after.empty())
    result.compare("x_final", file.x_final, file.asks.back().x_after, {});
}

namespace {

/// Where the run ends by itself. If asked to, with a state off by its rounding, in no particular direction,
/// after every evaluation.
array end_of_closed_loop(const replayed_run& file, bool off) {
  replay run(file);
  for (std::size_t k = 0; k < file.asks.size(); ++k) {
    run.approach(k);
    if (!file.asks[k].unrecorded.empty()) {
      array x = run.x();
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += file.asks[k].unrecorded[i];
      run.set_x(x);
    }
    run.ask(k, [&](const auto& x, d::noise_level at, const auto& out) { predict(file, x, at, out); });
    // What comes out of a step without a digit is rounding noise, from every implementation another.
    if (file.asks[k].rounding > no_digits) {
      if (file.asks[k].x_after.empty()) throw malformed(file.asks[k].path + ".x: missing");
      run.set_x(file.asks[k].x_after);
    } else if (off) {
      array x = run.x();
      const double rounding = std::max(file.asks[k].rounding, 8 * unit_rounding(file.p)) * size_of(x);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += rounding * std::sqrt(2) * std::cos(double(1 + 2 * i + k));
      run.set_x(x);
    }
  }
  run.finish();
  return run.x();
}

}  // namespace

void check_closed_loop(const replayed_run& file, report& result) {
  const array end = end_of_closed_loop(file, false);
  array change = end_of_closed_loop(file, true);
  for (std::size_t i = 0; i < change.size(); ++i) change[i] = std::abs(change[i] - end[i]);
  // In the worst direction, changes of N numbers by at most δ each do √N times as much as in a random one
  // (Cauchy-Schwarz).
  const double largest = *std::max_element(change.begin(), change.end()) *
                         std::sqrt(double(file.dims.row_size * file.asks.size()));
  result.compare("x_final in closed loop", file.x_final, end,
                 of_closed_loop(file.p, file.closed_loop_gain, file.steps, largest / size_of(file.x_final)));
}

}  // namespace golden
