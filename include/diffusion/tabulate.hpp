#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/run_plan.hpp"

namespace diffusion {

/// A run as a table: one row per stage, see run_stage. λ = log(α/σ) is infinite at pure noise and clean data.
struct plan_row {
  std::size_t stage = 0;
  path_point from, to, eval;
  double half_log_snr_from = 0, half_log_snr_to = 0;
  stage_sum next;                  ///< the state after the stage
  std::vector<memory_write> keep;  ///< what the stage leaves in memory
  bool asks = true;
  bool arrives = true;
  std::optional<variance_map> variance;  ///< where the run's variance is learned
};

[[nodiscard]] inline std::vector<plan_row> tabulate(const run_plan& plan) {
  std::vector<plan_row> rows;
  rows.reserve(plan.stages.size());
  for (const run_stage& s : plan.stages) {
    rows.push_back({.stage = rows.size(),
                    .from = s.from,
                    .to = s.to,
                    .eval = s.eval,
                    .half_log_snr_from = half_log_snr(s.from.level),
                    .half_log_snr_to = half_log_snr(s.to.level),
                    .next = s.next,
                    .keep = s.keep,
                    .asks = s.asks,
                    .arrives = s.arrives,
                    .variance = {}});
    if (plan.learned_variance) rows.back().variance = s.variance;
  }
  return rows;
}
template <AnySampler S>
[[nodiscard]] std::vector<plan_row> tabulate(const run_path& path, const S& sampler) {
  return tabulate(make_plan(path, sampler));
}
template <NoiseSchedule Schedule, AnySampler S>
[[nodiscard]] std::vector<plan_row> tabulate(const Schedule& schedule,
                                             const basic_time_grid<typename Schedule::time_type>& grid,
                                             const S& sampler) {
  return tabulate(make_plan(schedule, grid, sampler));
}

namespace detail {

/// Few digits, to read.
inline std::string short_number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.5g", value);
  return buffer;
}

/// 0.5 x + 0.5 x0 - 0.25 m1; m1 is memory slot 1.
inline std::string sum_text(const stage_sum& sum) {
  std::string result;
  const auto add = [&](double weight, std::string_view symbol) {
    if (weight == 0) return;
    const char* sign = weight < 0 ? (result.empty() ? "-" : " - ") : (result.empty() ? "" : " + ");
    const double size = std::abs(weight);
    result += text(sign, size == 1 ? std::string() : short_number(size) + " ", symbol);
  };
  add(sum.now.x, "x");
  add(sum.now.x0, "x0");
  add(sum.now.epsilon, "eps");
  add(sum.now.noise, "z");
  for (const auto& [slot, weight] : sum.past) add(weight, text("m", slot));
  return result.empty() ? "0" : result;
}
inline std::string keep_text(std::span<const memory_write> keep) {
  std::string result;
  for (const auto& [slot, value] : keep)
    result += text(result.empty() ? "" : "; ", "m", slot, " = ", sum_text(value));
  return result;
}

/// JSON has no infinities: null.
inline std::string json_number(double value) { return std::isfinite(value) ? text(value) : "null"; }
inline std::string json_past(std::span<const memory_term> past) {
  std::string result = "[";
  for (const auto& [slot, weight] : past)
    result += text(result.size() > 1 ? ", " : "", R"({"slot": )", slot, R"(, "weight": )",
                   json_number(weight), "}");
  return result + "]";
}
inline std::string json_sum(const stage_sum& sum) {
  return text(R"("x": )", json_number(sum.now.x), R"(, "x0": )", json_number(sum.now.x0), R"(, "epsilon": )",
              json_number(sum.now.epsilon), R"(, "noise": )", json_number(sum.now.noise), R"(, "past": )",
              json_past(sum.past));
}
inline std::string json_point(double t, noise_level level, double half_log_snr) {
  return text(R"({"t": )", json_number(t), R"(, "alpha": )", json_number(level.alpha), R"(, "sigma": )",
              json_number(level.sigma), R"(, "half_log_snr": )", json_number(half_log_snr), "}");
}

inline std::string table_text(std::span<const plan_row> rows) {
  constexpr std::array<std::string_view, 14> titles{"stage", "from",   "to",    "told",   "alpha",
                                                    "sigma", "lambda", "x",     "x0",     "eps",
                                                    "noise", "memory", "keeps", "arrives"};
  std::vector<std::array<std::string, titles.size()>> lines(1);
  std::copy(titles.begin(), titles.end(), lines[0].begin());
  for (const plan_row& r : rows) {
    const step_coefficients& c = r.next.now;
    const std::string past = r.next.past.empty() ? "" : sum_text({{}, r.next.past});
    lines.push_back({text(r.stage), short_number(r.from.t), short_number(r.to.t),
                     r.asks ? short_number(r.eval.t) : "-", short_number(r.from.level.alpha),
                     short_number(r.from.level.sigma), short_number(r.half_log_snr_from), short_number(c.x),
                     short_number(c.x0), short_number(c.epsilon), short_number(c.noise), past,
                     keep_text(r.keep), r.arrives ? "yes" : "no"});
  }
  if (!rows.empty()) {
    const plan_row& r = rows.back();
    lines.push_back({"end", short_number(r.to.t), "", "", short_number(r.to.level.alpha),
                     short_number(r.to.level.sigma), short_number(r.half_log_snr_to), "", "", "", "", "", "",
                     ""});
  }
  std::array<std::size_t, titles.size()> widths{};
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  const auto used = [&](std::size_t c) {  // columns with nothing in them are left out
    return std::any_of(lines.begin() + 1, lines.end(), [&](const auto& line) { return !line[c].empty(); });
  };
  std::string result;
  for (const auto& line : lines) {
    std::string padded;
    for (std::size_t c = 0; c < line.size(); ++c) {
      if (!used(c)) continue;
      const std::string gap(widths[c] - line[c].size(), ' ');
      const bool words = titles[c] == "memory" || titles[c] == "keeps";
      padded += text(padded.empty() ? "" : "  ", words ? line[c] + gap : gap + line[c]);
    }
    padded.erase(padded.find_last_not_of(' ') + 1);
    result += padded + "\n";
  }
  return result;
}

inline std::string table_csv(std::span<const plan_row> rows) {
  std::string result =
      "stage,from,to,eval,alpha_from,sigma_from,half_log_snr_from,alpha_to,sigma_to,half_log_snr_to,"
      "x,x0,epsilon,noise,past,keep,asks,arrives,variance_offset,variance_slope\n";
  for (const plan_row& r : rows) {
    const step_coefficients& c = r.next.now;
    std::string past;
    for (const auto& [slot, weight] : r.next.past)
      past += text(past.empty() ? "" : " ", "m", slot, ":", weight);
    result += text(r.stage, ",", r.from.t, ",", r.to.t, ",", r.eval.t, ",", r.from.level.alpha, ",",
                   r.from.level.sigma, ",", r.half_log_snr_from, ",", r.to.level.alpha, ",", r.to.level.sigma,
                   ",", r.half_log_snr_to, ",", c.x, ",", c.x0, ",", c.epsilon, ",", c.noise, ",", past, ",",
                   keep_text(r.keep), ",", int{r.asks}, ",", int{r.arrives}, ",",
                   r.variance ? text(r.variance->offset, ",", r.variance->slope) : ",", "\n");
  }
  return result;
}

inline std::string table_json(std::span<const plan_row> rows) {
  std::string result = "[";
  for (const plan_row& r : rows) {
    std::string keep;
    for (const auto& [slot, value] : r.keep)
      keep += text(keep.empty() ? "" : ", ", R"({"slot": )", slot, ", ", json_sum(value), "}");
    result += text(r.stage == 0 ? "\n" : ",\n", R"(  {"stage": )", r.stage, R"(, "from": )",
                   json_point(r.from.t, r.from.level, r.half_log_snr_from), R"(, "to": )",
                   json_point(r.to.t, r.to.level, r.half_log_snr_to), R"(, "eval": )",
                   json_point(r.eval.t, r.eval.level, half_log_snr(r.eval.level)), ", ", json_sum(r.next),
                   R"(, "keep": [)", keep, R"(], "asks": )", r.asks ? "true" : "false", R"(, "arrives": )",
                   r.arrives ? "true" : "false");
    if (r.variance)
      result +=
          text(R"(, "variance": {"offset": )", json_number(r.variance->offset), R"(, "slope": )",
               json_number(r.variance->slope), R"(, "is_log": )", r.variance->is_log ? "true" : "false", "}");
    result += "}";
  }
  return result + (rows.empty() ? "]\n" : "\n]\n");
}

}  // namespace detail

enum class table_format {
  text,  ///< aligned columns of few digits to read; m0 is memory slot 0, z noise. The last line is the end
  csv,   ///< all digits; past: m0:weight m1:weight; keep: as in the text
  json,  ///< all digits; an array of objects, infinite λ is null
};

[[nodiscard]] inline std::string format_table(std::span<const plan_row> rows, table_format format) {
  switch (format) {
    case table_format::text:
      return detail::table_text(rows);
    case table_format::csv:
      return detail::table_csv(rows);
    case table_format::json:
      return detail::table_json(rows);
  }
  detail::invalid("format", static_cast<int>(format), "text, csv, json");
}

/// False where the stream takes no more.
inline bool print_table(std::FILE* out, std::span<const plan_row> rows,
                        table_format format = table_format::text) {
  const std::string text = format_table(rows, format);
  return std::fwrite(text.data(), 1, text.size(), out) == text.size();
}

}  // namespace diffusion
