#include "sigma_lists.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "diffusion/schedules/beta_sigmas.hpp"
#include "diffusion/schedules/continuous.hpp"
#include "diffusion/schedules/edm_sigmas.hpp"
#include "diffusion/schedules/flow.hpp"
#include "diffusion/solver_grids.hpp"
#include "schedules.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using values = std::vector<double>;

constexpr int max_steps = 100'000;

bool is_one_of(const std::string& text, std::initializer_list<std::string_view> known) {
  return std::find(known.begin(), known.end(), text) != known.end();
}

values transformed(values list, const auto& f) {
  for (double& value : list) value = f(value);
  return list;
}

/// Truncation. Of an integer up to rounding it is either that or the one below, as recorded.
values truncated(const values& list, const values& recorded) {
  values result;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const double whole = std::floor(list[i] + 1e-9);
    const bool below = whole > list[i] - 1e-9 && i < recorded.size() && recorded[i] == whole - 1;
    result.push_back(below ? recorded[i] : whole);
  }
  return result;
}

values reversed(values list) {
  std::reverse(list.begin(), list.end());
  return list;
}

/// first, then every other value twice.
values doubled(const values& list) {
  values result{list.front()};
  for (std::size_t k = 1; k < list.size(); ++k) result.insert(result.end(), 2, list[k]);
  return result;
}

/// first, then each later value after its middle.
values interleaved(const values& list, const values& middles) {
  values result{list.front()};
  for (std::size_t k = 1; k < list.size(); ++k) {
    result.push_back(middles[k - 1]);
    result.push_back(list[k]);
  }
  return result;
}

/// n values between the given ends by one of the rules that only need those.
values respaced(const std::string& spacing, int n, d::sigma_range range) {
  if (spacing == "karras") return d::karras_sigmas(n, range);
  if (spacing == "exponential" || spacing == "lu") return d::exponential_sigmas(n, range);
  if (spacing == "beta") return d::beta_sigmas(n, range);
  throw unsupported("timesteps.sigma_spacing \"" + spacing + '"');
}

/// Each time once. Diffusers' inversion leaves out what rounding made equal, but not its σ, and so it ends
/// early.
values without_repeats(values list) {
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

void require_no_offset(const record& timesteps) { (void)timesteps.integer("offset", 0, 0, 0); }

d::sigma_range read_range(const record& options) {
  return {.min = options.number("sigma_min"), .max = options.number("sigma_max")};
}

/// A variance preserving schedule as the peers' samplers in σ see it.
d::continuous_schedule read_table(const record& schedule) {
  return d::continuous(read_schedule(schedule), d::interpolation::sigma, 0x1p-24);
}

double sigma_at_index(const d::continuous_schedule& table, double index) {
  return d::noise_to_signal(table.level(index + 1));
}

/// The index that diffusers gives to a σ: between the last entry of the table that is not above it and the
/// next. With zero terminal SNR the last entry, 4096, is below those before it.
double index_at_sigma(const d::continuous_schedule& table, double sigma) {
  const int last = table.steps() - 1;
  if (sigma_at_index(table, last) >= sigma_at_index(table, last - 1)) return table.find(sigma).t - 1;
  int low = last;
  while (low > 0 && sigma_at_index(table, low) > sigma * (1 + 1e-12)) --low;  // equal up to rounding is equal
  low = std::min(low, last - 1);
  const double below = std::log(sigma_at_index(table, low));
  const double share = (std::log(sigma) - below) / (std::log(sigma_at_index(table, low + 1)) - below);
  return low + std::clamp(share, 0.0, 1.0);
}

values values_at(const auto& grid) {
  values indices;
  for (const auto& step : grid) indices.push_back(step.from - 1);
  return indices;
}

/// The indices of a grid that the library rounds exactly, half to even. The peers reach `position(k)`, the
/// place before rounding of the k-th from the end, in floating point, where the last bit decides about
/// halves: there, and only there, as they do.
values with_ties_of_peers(values indices, const auto& position) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const double before = position(static_cast<double>(indices.size() - i));
    const bool tie = std::abs(before - std::floor(before) - 0.5) < 1e-8;
    if (tie) indices[i] = std::nearbyint(before);
  }
  return indices;
}

/// diffusers' "trailing": arange(T, 0, -T/n) rounded, less 1.
values trailing_indices(int train_steps, int n) {
  const double stride = double(train_steps) / n;
  const values after = with_ties_of_peers(
      transformed(values_at(d::trailing_grid(train_steps, n)), [](double t) { return t + 1; }),
      [=](double k) { return train_steps - (n - k) * stride; });
  return transformed(after, [](double t) { return t - 1; });
}

/// Of diffusers' Euler, Heun, DPM-2, LMS: fractional indices, and ends of the list that the spacing gives.
sigma_grid read_sigma_space(const record& schedule, const record& timesteps, const sigma_request& request) {
  const std::string& kind = request.kind;
  const d::continuous_schedule table = read_table(schedule);
  const int train_steps = table.steps();
  const int n = timesteps.integer("steps", 1, train_steps);
  const int offset = timesteps.integer("offset", 0, train_steps, 0);
  const std::string grid = timesteps.choice("spacing", {"leading", "linspace", "trailing", "explicit"});
  const std::string spacing =
      timesteps.choice("sigma_spacing", {"default", "karras", "exponential", "beta", "lu"});
  const std::string final_sigma = timesteps.choice("final_sigma", {"zero", "sigma_min"});
  const bool log_linear = timesteps.has("interpolation") &&
                          timesteps.choice("interpolation", {"linear", "log_linear"}) == "log_linear";
  // Euler looks at it for v networks only.
  const bool told_log_sigma = timesteps.has("timestep_type") &&
                              timesteps.choice("timestep_type", {"discrete", "continuous"}) == "continuous" &&
                              request.prediction == "v";
  double last = final_sigma == "zero" ? 0 : sigma_at_index(table, 0);
  if (spacing == "default") timesteps.inform({"sigma_min", "sigma_max"});  // nothing lies between them
  const auto index_of = [&](double sigma) { return index_at_sigma(table, sigma); };

  values times;
  values sigmas;
  if (grid == "explicit") {
    times = timesteps.numbers("values", static_cast<std::size_t>(n));
    // Explicit times are integers whose σ are in the table; otherwise the σ were given, with their end, and
    // the times follow from them.
    if (request.recorded.size() <= times.size()) throw malformed("sigmas: too few");
    bool given = false;
    for (std::size_t i = 0; i < times.size(); ++i)
      given |= times[i] != std::nearbyint(times[i]) ||
               std::abs(sigma_at_index(table, times[i]) / request.recorded[i] - 1) > 1e-3;
    if (given) {
      sigmas.assign(request.recorded.begin(), request.recorded.begin() + n);
      times = transformed(sigmas, index_of);
      last = request.recorded.back();
    }
  } else if (grid == "linspace") {
    times = values_at(d::fractional_linspace_grid(train_steps, n));
  } else if (grid == "trailing") {
    times = trailing_indices(train_steps, n);
  } else {
    times = values_at(d::leading_grid(train_steps, n, offset));
  }
  if (sigmas.empty()) sigmas = transformed(times, [&](double t) { return sigma_at_index(table, t); });
  if (log_linear)
    sigmas = d::exponential_sigmas(n + 1, {sigma_at_index(table, 0), sigma_at_index(table, train_steps - 1)});
  if (spacing != "default") {
    sigmas = respaced(
        spacing, n, {timesteps.number("sigma_min", sigmas.back()), timesteps.number("sigma_max", sigmas[0])});
    times = transformed(sigmas, index_of);
    // DPM-2's classes round these, and only for this spacing.
    if (spacing == "karras" && is_one_of(kind, {"dpm2", "dpm2_ancestral"}))
      times = transformed(times, [](double t) { return std::nearbyint(t); });
  }
  if (told_log_sigma) times = transformed(sigmas, [](double sigma) { return std::log(sigma) / 4; });

  const auto middle_time = [&](double from, double to) {
    return index_of(std::exp((std::log(from) + std::log(to)) / 2));
  };
  const values list = d::with_final(sigmas, last);
  if (kind == "heun") return {d::with_final(doubled(sigmas), last), doubled(times)};
  if (is_one_of(kind, {"dpm2", "dpm2_ancestral", "dpm_solver_sde"})) {
    values middles;
    double times_rounding = 0;
    for (std::size_t k = 0; k + 1 < sigmas.size(); ++k) {
      double to = sigmas[k + 1];
      double roundings = 8;
      if (kind == "dpm2_ancestral") {
        const double up = request.eta * to * std::sqrt(1 - to * to / (sigmas[k] * sigmas[k]));
        to = std::sqrt(to * to - std::min(up * up, to * to));
        roundings *= sigmas[k + 1] * sigmas[k + 1] / (to * to);  // the terms of the difference cancel
      }
      middles.push_back(middle_time(sigmas[k], to));
      const double moved = middle_time(sigmas[k], to * (1 + roundings * 0x1p-53));
      if (to > 0) times_rounding = std::max(times_rounding, std::abs(moved - middles.back()));
    }
    const bool one_end = kind == "dpm_solver_sde";
    return {.sigmas = d::with_final(one_end ? doubled(sigmas) : doubled(list), last),
            .values = interleaved(times, middles),
            .times_rounding = times_rounding};
  }
  return {list, times};
}

/// Of diffusers' DPM-Solver, UniPC, DEIS, SA-Solver: integer indices, and the ends of the training table.
sigma_grid read_integer_times(const record& schedule, const record& timesteps, const sigma_request& request) {
  const std::string& kind = request.kind;
  const d::continuous_schedule table = read_table(schedule);
  const bool inverse = kind == "dpm_solver_multistep_inverse";
  const int all_steps = table.steps();
  const int n = timesteps.integer("steps", 1, all_steps);
  const int offset = timesteps.integer("offset", 0, all_steps, 0);
  const std::string grid_name = timesteps.choice("spacing", {"leading", "linspace", "trailing"});
  const std::string spacing =
      timesteps.choice("sigma_spacing", {"default", "karras", "exponential", "lu", "beta", "flow"});
  const std::string final_sigma =
      inverse ? "" : timesteps.choice("final_sigma", {"zero", "sigma_min", "repeat_last"});
  const int train_steps = timesteps.has("lambda_min_clipped")
                              ? d::steps_above(table, timesteps.number("lambda_min_clipped"))
                              : all_steps;
  const double cleanest = sigma_at_index(table, 0);
  const values recorded_times = timesteps.has("values") ? timesteps.numbers("values") : values();
  const d::sigma_range range{timesteps.number("sigma_min", cleanest),
                             timesteps.number("sigma_max", sigma_at_index(table, all_steps - 1))};

  if (spacing == "flow") {
    // unipc spreads n times from 1 down, the others n + 1 times from 1 - 1/T down to 0, without their end.
    const double shift = timesteps.number("flow_shift", 1);
    const bool unipc = kind == "unipc";
    values sigmas = unipc ? d::detail::linspace(1, 1.0 / all_steps, n + 1)
                          : d::detail::linspace(1 - 1.0 / all_steps, 0, n + 1);
    sigmas.pop_back();
    sigmas = transformed(sigmas, [&](double s) { return d::flow_shift(s, shift); });
    if (unipc && sigmas[0] == 1) sigmas[0] -= 1e-6;
    const values times =
        truncated(transformed(sigmas, [&](double s) { return s * all_steps; }), recorded_times);
    // "sigma_min" is the VP table's, or that of the list. The inversion does not turn its list round, so that
    // it goes towards clean data too, and repeats the last entry.
    const bool repeats = inverse || final_sigma == "repeat_last" || (unipc && final_sigma == "sigma_min");
    const double last = repeats ? sigmas.back() : final_sigma == "sigma_min" ? cleanest : 0;
    return {d::with_final(sigmas, last), times};
  }

  values times;
  if (grid_name == "trailing") times = trailing_indices(train_steps, n);
  if (grid_name == "trailing" && train_steps < all_steps) {
    // The stride is that of the whole table, so that there are fewer times.
    times.clear();
    for (int k = 0; train_steps - k * (double(all_steps) / n) > 0; ++k)
      times.push_back(std::nearbyint(train_steps - k * (double(all_steps) / n)) - 1);
  }
  if (grid_name == "linspace")
    times = with_ties_of_peers(values_at(d::open_linspace_grid(train_steps, n)),
                               [&](double k) { return k * (double(train_steps - 1) / n); });
  if (grid_name == "leading") times = values_at(d::open_leading_grid(train_steps, n, offset));
  if (inverse && grid_name != "trailing") {
    // Towards the noise the same n + 1 times are used without the last, not the first.
    times.push_back(offset);
    times.erase(times.begin());
  }
  values sigmas = transformed(times, [&](double t) { return sigma_at_index(table, t); });
  bool rounds = true;
  if (spacing != "default") {
    sigmas = respaced(spacing, n, range);
    if (inverse && n == 1) sigmas = {range.min};  // the first of its list
    // dpm_solver_multistep does not round these over a cosine schedule.
    rounds = is_one_of(spacing, {"karras", "lu"}) &&
             !(kind == "dpm_solver_multistep" && schedule.text("kind") == "cosine");
    times = transformed(sigmas, [&](double sigma) { return index_at_sigma(table, sigma); });
    times = rounds ? transformed(times, [](double t) { return std::nearbyint(t); })
                   : truncated(times, inverse ? reversed(recorded_times) : recorded_times);
  }
  if (inverse) {
    const double last = spacing == "default" ? sigma_at_index(table, train_steps - 1) : sigmas[0];
    return {d::with_final(reversed(sigmas), last),
            rounds ? without_repeats(reversed(times)) : reversed(times)};
  }
  // UniPC takes the end of its list.
  const bool repeats = final_sigma == "repeat_last" || (kind == "unipc" && spacing != "default");
  const double last = final_sigma == "zero" ? 0 : repeats ? sigmas.back() : cleanest;
  return {d::with_final(sigmas, last), times};
}

}  // namespace

d::sigma_range edm_range(const record& schedule) {
  const std::string kind = schedule.text("kind");
  const auto vp = [](double t) { return std::sqrt(std::expm1(19.9 / 2 * t * t + 0.1 * t)); };
  const d::sigma_range defaults = kind == "vp" ? d::sigma_range{vp(schedule.number("epsilon_s", 1e-3)), vp(1)}
                                  : kind == "ve" ? d::sigma_range{0.02, 100}
                                                 : d::sigma_range{0.002, kind == "edm" ? 80.0 : 81.0};
  return {schedule.number("sigma_min", defaults.min), schedule.number("sigma_max", defaults.max)};
}

namespace {

/// Lists without a table, of k-diffusion, EDM and denoising-diffusion-pytorch.
sigma_grid read_plain_list(const record& schedule, const record& timesteps, const sigma_request&) {
  (void)timesteps.choice("spacing", {"sigmas"});
  const int n = timesteps.integer("steps", 1, max_steps);
  const std::string kind = schedule.text("kind");
  if (kind == "vp_continuous")
    return {d::with_final(d::vp_sigmas(n, {.beta_d = schedule.number("beta_d"),
                                           .beta_min = schedule.number("beta_min"),
                                           .eps_s = schedule.number("eps_s")})),
            {}};
  if (is_one_of(kind, {"edm", "vp", "ve", "iddpm"})) {
    const double eps_s = schedule.number("epsilon_s", 1e-3);
    const d::iddpm_sigma_options iddpm{.M = schedule.integer("M", 1, max_train_steps, 1000),
                                       .C_1 = schedule.number("C_1", 0.001),
                                       .C_2 = schedule.number("C_2", 0.008)};
    const d::sigma_range range = edm_range(schedule);
    const double rho = schedule.number("rho", 7);
    return {d::with_final(kind == "vp"    ? d::edm_vp_sigmas(n, range, eps_s)
                          : kind == "ve"  ? d::edm_ve_sigmas(n, range)
                          : kind == "edm" ? d::karras_sigmas(n, range, rho)
                                          : d::edm_iddpm_sigmas(n, range, iddpm)),
            {}};
  }
  const d::sigma_range range = read_range(schedule);
  if (kind == "karras") return {d::with_final(d::karras_sigmas(n, range, schedule.number("rho", 7))), {}};
  if (kind == "exponential") return {d::with_final(d::exponential_sigmas(n, range)), {}};
  if (kind == "polyexponential")
    return {d::with_final(d::polyexponential_sigmas(n, range, schedule.number("rho", 1))), {}};
  if (kind == "log_sigma_uniform") return {d::exponential_sigmas(n + 1, range), {}};
  throw unsupported("schedule.kind \"" + kind + '"');
}

/// diffusers' EDM classes.
sigma_grid read_edm(const record& schedule, const record& timesteps, const sigma_request& request) {
  (void)timesteps.choice("spacing", {"native"});
  const int n = timesteps.integer("steps", 1, max_steps);
  require_no_offset(timesteps);
  const std::string kind = schedule.choice("kind", {"karras", "exponential"});
  const double rho = schedule.number("rho", 7);
  const d::sigma_range range = read_range(schedule);
  values sigmas = kind == "karras" ? d::karras_sigmas(n, range, rho) : d::exponential_sigmas(n, range);
  // Diffusers turns an ascending list round: of a single value that is the lower end.
  if (n == 1 && kind == "exponential") sigmas = {range.min};
  const bool zero = timesteps.choice("final_sigma", {"zero", "sigma_min"}) == "zero";
  const bool cosine = request.kind == "cosine_dpm_solver_multistep";
  const double last = zero ? 0 : request.kind == "edm_euler" ? sigmas.back() : range.min;
  return {d::with_final(sigmas, last), transformed(sigmas, [&](double sigma) {
            return cosine ? std::atan(sigma) * (2 / std::numbers::pi) : std::log(sigma) / 4;
          })};
}

/// Every ⌊T/n⌋-th of T values of Karras' list, then its end.
sigma_grid read_consistency(const record& schedule, const record& timesteps, const sigma_request&) {
  (void)schedule.choice("kind", {"karras"});
  const int train_steps = schedule.integer("train_steps", 2, max_train_steps);
  const int n = timesteps.integer("steps", 1, train_steps);
  require_no_offset(timesteps);
  const d::sigma_range range = read_range(schedule);
  const values all = d::karras_sigmas(train_steps, range, schedule.number("rho"));
  const auto time_of = [](double sigma) { return 250 * std::log(sigma); };
  values sigmas;
  if (timesteps.choice("spacing", {"native", "explicit"}) == "explicit") {
    // Given as indices into the list, recorded as what the network is told.
    for (const double t : timesteps.numbers("values", static_cast<std::size_t>(n)))
      sigmas.push_back(*std::min_element(all.begin(), all.end(), [&](double a, double b) {
        return std::abs(time_of(a) - t) < std::abs(time_of(b) - t);
      }));
  } else {
    for (int k = 0; k < n; ++k) sigmas.push_back(all[static_cast<std::size_t>(k * (train_steps / n))]);
  }
  return {d::with_final(sigmas, range.min), transformed(sigmas, time_of)};
}

/// diffusers' flow matching schedulers. σ is s.
sigma_grid read_flow(const record& schedule, const record& timesteps, const sigma_request& request) {
  const std::string& kind = request.kind;
  (void)schedule.choice("kind", {"flow"});
  const int train_steps = schedule.integer("train_steps", 1, max_train_steps);
  const int n = timesteps.integer("steps", 1, max_steps);
  require_no_offset(timesteps);
  const auto told = [&](double s) { return s * train_steps; };
  const double shift = schedule.number("shift", 1);
  const bool given = timesteps.choice("spacing", {"native", "explicit"}) == "explicit";
  if (given) {  // the numbers as they are, after the shift
    schedule.inform({"dynamic_shift", "time_shift_type", "shift_terminal", "invert_sigmas"});
    timesteps.inform({"sigma_spacing"});
    values list(request.recorded.begin(), request.recorded.end());
    if (list.size() < static_cast<std::size_t>(n)) throw malformed("sigmas: too few");
    const auto first_n = list.begin() + n;
    return {list, transformed(values(list.begin(), first_n), told)};
  }
  if (kind == "flow_euler" && !schedule.has("dynamic_shift")) {  // FlowMapEulerDiscreteScheduler
    const values sigmas = d::flow_times(n, {.shift = shift});
    return {d::with_final(sigmas), transformed(sigmas, told)};
  }
  const bool dynamic = schedule.flag("dynamic_shift", false);
  const std::string type = schedule.has("time_shift_type")
                               ? schedule.choice("time_shift_type", {"exponential", "linear"})
                               : "exponential";
  const double mu = dynamic ? timesteps.number("mu") : 0;
  // Without the dynamic shift the lower end has been shifted before.
  const double lowest = 1.0 / train_steps;
  d::flow_times_options options{.shift = !dynamic                ? shift
                                         : type == "exponential" ? std::exp(mu)
                                                                 : mu,
                                .last = dynamic ? lowest : d::flow_shift(lowest, shift)};
  if (schedule.has("shift_terminal")) options.terminal = schedule.number("shift_terminal");
  values sigmas = d::flow_times(n, options);
  const std::string spacing =
      timesteps.has("sigma_spacing")
          ? timesteps.choice("sigma_spacing", {"default", "karras", "exponential", "beta"})
          : "default";
  if (spacing != "default") sigmas = respaced(spacing, n, {sigmas.back(), sigmas[0]});
  const bool inverted = schedule.flag("invert_sigmas", false);
  if (inverted) sigmas = transformed(sigmas, [](double s) { return 1 - s; });
  const values times = transformed(sigmas, told);
  const double last = inverted ? 1 : 0;
  if (kind == "flow_heun") return {d::with_final(doubled(sigmas), last), doubled(times)};
  return {d::with_final(sigmas, last), times};
}

/// smalldiffusion: trailing, but the end is the smallest σ of the table, not 0.
sigma_grid read_smalldiffusion(const record& schedule, const record& timesteps, const sigma_request&) {
  (void)timesteps.choice("spacing", {"trailing"});
  const auto list = [&](const auto& table) {
    const int n = timesteps.integer("steps", 1, table.steps());
    values sigmas = d::sigmas_of(table, d::trailing_grid(table.steps(), n));
    sigmas.back() = d::noise_to_signal(table.level(1));
    return sigmas;
  };
  if (schedule.text("kind") == "log_linear")
    return {list(d::log_linear_sigma_table(schedule.integer("train_steps", 1, max_train_steps),
                                           read_range(schedule))),
            {}};
  return {list(read_schedule(schedule)), {}};
}

/// Kinds of one class each.
sigma_grid read_geometric(const record& schedule, const record& timesteps, const sigma_request&) {
  (void)schedule.choice("kind", {"geometric"});
  (void)timesteps.choice("spacing", {"linspace"});
  const int n = timesteps.integer("steps", 1, max_steps);
  require_no_offset(timesteps);
  const d::sigma_range range = read_range(schedule);
  const values times = d::detail::linspace(1, schedule.number("sampling_eps"), n);
  return {transformed(times, [&](double t) { return range.min * std::pow(range.max / range.min, t); }),
          times};
}

sigma_grid read_karras_ve(const record& schedule, const record& timesteps, const sigma_request&) {
  (void)schedule.choice("kind", {"karras_ve"});
  (void)timesteps.choice("spacing", {"native"});
  const int n = timesteps.integer("steps", 1, max_steps);
  require_no_offset(timesteps);
  const d::sigma_range range = read_range(schedule);
  // The peer uses squares for σ, and walks them from the smallest to the largest.
  const values squares = transformed(d::exponential_sigmas(n, range), [](double s) { return s * s; });
  return {reversed(squares), n == 1 ? values{0} : d::detail::linspace(n - 1, 0, n)};
}

using reader = sigma_grid(const record& schedule, const record& timesteps, const sigma_request& request);

reader& reader_of(const record& timesteps, const std::string& kind) {
  if (kind == "gam_mu") return read_smalldiffusion;
  if (kind == "consistency") return read_consistency;
  if (kind == "score_sde_ve") return read_geometric;
  if (kind == "karras_ve") return read_karras_ve;
  if (kind.starts_with("flow_")) return read_flow;
  if (timesteps.text("spacing") == "sigmas") return read_plain_list;
  if (is_one_of(kind, {"edm_euler", "edm_dpm_solver_multistep", "cosine_dpm_solver_multistep"}))
    return read_edm;
  if (is_one_of(kind, {"dpm_solver_multistep", "dpm_solver_multistep_inverse", "dpm_solver_singlestep",
                       "unipc", "deis", "sa_solver"}))
    return read_integer_times;
  if (is_one_of(kind,
                {"euler", "euler_ancestral", "heun", "lms", "dpm2", "dpm2_ancestral", "dpm_solver_sde"}))
    return read_sigma_space;
  throw unsupported("sigmas of sampler.kind \"" + kind + '"');
}

/// Zero for lists that no ᾱ enters.
double rounding_of(const record& schedule, const values& sigmas) {
  const std::string kind = schedule.text("kind");
  if (is_one_of(kind, {"vp_continuous", "vp", "iddpm"})) {
    double smallest = sigmas[0];
    for (const double sigma : sigmas)
      if (sigma > 0) smallest = std::min(smallest, sigma);
    return peer_rounding(smallest, 0);
  }
  if (is_one_of(kind, {"karras", "exponential", "polyexponential", "log_sigma_uniform", "edm", "ve", "flow",
                       "geometric", "karras_ve", "log_linear"}))
    return 0;
  const d::continuous_schedule table = read_table(schedule);
  return peer_rounding(sigma_at_index(table, 0), table.steps());
}

}  // namespace

double peer_rounding(double smallest_sigma, int train_steps) {
  return 0x1p-53 * (train_steps + 2 * (1 + 1 / (smallest_sigma * smallest_sigma)));
}

sigma_grid read_sigma_grid(const record& schedule, const record& timesteps, const sigma_request& request) {
  sigma_grid grid = reader_of(timesteps, request.kind)(schedule, timesteps, request);
  grid.rounding = rounding_of(schedule, grid.sigmas);
  timesteps.inform({"values"});
  timesteps.refuse_unknown_keys();
  schedule.refuse_unknown_keys();
  return grid;
}

std::vector<double> read_sigma_list(const record& schedule, const record& timesteps,
                                    const std::string& sampler_kind, std::span<const double> recorded) {
  return read_sigma_grid(schedule, timesteps, {.kind = sampler_kind, .recorded = recorded}).sigmas;
}

std::vector<double> read_time_values(const record& schedule, const record& timesteps,
                                     const std::string& sampler_kind, double eta,
                                     std::span<const double> recorded) {
  return read_sigma_grid(schedule, timesteps, {.kind = sampler_kind, .eta = eta, .recorded = recorded})
      .values;
}

}  // namespace golden
