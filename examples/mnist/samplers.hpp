// The library's samplers and the times of their steps, by name.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/diffusion.hpp"
#include "names.hpp"
#include "process.hpp"

namespace mnist {

/// Options that some samplers have. Where one is absent, the sampler keeps its own default.
struct sampler_options {
  std::optional<double> eta;    ///< share of the fresh noise
  std::optional<int> order;     ///< of a solver
  std::optional<double> churn;  ///< S_churn of Karras et al. 2022
};

/// A sampler of the table: which options it has, and the run that it makes of a path. `trained` is the
/// schedule that the times of the path belong to.
struct named_sampler {
  bool has_eta = false, has_order = false, has_churn = false;
  diffusion::run_plan (*plan)(const diffusion::run_path& path, const vp_schedule& trained,
                              const sampler_options& options) = nullptr;
};

namespace detail {

template <class S>
concept HasEta = requires(S s) {
  s.eta = 1.0;
};
template <class S>
concept HasOrder = requires(S s) {
  { s.order } -> std::same_as<int&>;
};
template <class S>
concept HasChurn = requires(S s) {
  s.churn.churn = 1.0;
};

/// The row of a sampler; `make` returns it with this program's defaults, given the path and the schedule.
template <class Make>
constexpr named_sampler row(Make) {
  using sampler = std::invoke_result_t<Make, const diffusion::run_path&, const vp_schedule&>;
  return {HasEta<sampler>, HasOrder<sampler>, HasChurn<sampler>,
          [](const diffusion::run_path& path, const vp_schedule& trained, const sampler_options& options) {
            sampler s = Make{}(path, trained);
            if constexpr (HasEta<sampler>) s.eta = options.eta.value_or(s.eta);
            if constexpr (HasOrder<sampler>) s.order = options.order.value_or(s.order);
            if constexpr (HasChurn<sampler>) s.churn.churn = options.churn.value_or(s.churn.churn);
            return diffusion::make_plan(path, s);
          }};
}

/// The row of a sampler with its own defaults.
template <class S>
constexpr named_sampler plain() {
  return row([](const auto&, const auto&) { return S{}; });
}

}  // namespace detail

/// Not here: dpm_adaptive and sample_predictor_corrector, which are no plans but loops of their own; repaint,
/// which is for inpainting; ddpm_learned, for networks that predict a variance; vp_euler_maruyama, whose
/// times are those of an SDE.
inline constexpr std::pair<std::string_view, named_sampler> samplers[]{
    {"ddim", detail::plain<diffusion::ddim>()},
    {"ddpm", detail::plain<diffusion::ddpm>()},
    {"ddpm_transition", detail::row([](const auto&, const auto&) {
       return diffusion::ddpm{diffusion::fixed_variance::transition};
     })},
    {"euler", detail::plain<diffusion::euler>()},
    {"euler_ancestral", detail::plain<diffusion::euler_ancestral>()},
    {"heun", detail::plain<diffusion::heun>()},
    {"dpm2", detail::plain<diffusion::dpm2>()},
    {"dpm2_ancestral", detail::plain<diffusion::dpm2_ancestral>()},
    {"edm_vp", detail::row([](const auto&, const auto&) {
       return diffusion::edm_ablation{.schedule = diffusion::edm_schedule::vp,
                                      .scaling = diffusion::edm_scaling::vp};
     })},
    {"lms", detail::plain<diffusion::lms>()},
    {"pndm", detail::plain<diffusion::pndm>()},
    {"ipndm", detail::plain<diffusion::ipndm>()},
    {"gam_mu", detail::plain<diffusion::gam_mu>()},
    {"dpm_solver_multistep", detail::plain<diffusion::dpm_solver_multistep>()},
    {"dpm_solver_singlestep", detail::plain<diffusion::dpm_solver_singlestep>()},
    {"dpmpp_2m", detail::row([](const auto&, const auto&) { return diffusion::dpmpp_2m(); })},
    {"dpmpp_2m_sde", detail::row([](const auto&, const auto&) { return diffusion::dpmpp_2m_sde(); })},
    {"dpmpp_3m_sde", detail::row([](const auto&, const auto&) { return diffusion::dpmpp_3m_sde(); })},
    {"dpmpp_2s_ancestral", detail::plain<diffusion::dpmpp_2s_ancestral>()},
    {"dpmpp_sde", detail::plain<diffusion::dpmpp_sde>()},
    // Steps of three evaluations and, where the path ends clean, a last one of one.
    {"dpm_fast", detail::row([](const diffusion::run_path& path, const auto&) {
       return diffusion::dpm_fast{.evaluations = 3 * static_cast<int>(path.size()) - 2};
     })},
    {"unipc", detail::plain<diffusion::unipc>()},
    {"deis", detail::plain<diffusion::deis>()},
    {"sa_solver", detail::plain<diffusion::sa_solver>()},
    {"flow_heun", detail::plain<diffusion::flow_heun>()},
    {"flow_euler_ancestral", detail::plain<diffusion::flow_euler_ancestral>()},
    {"reverse_diffusion", detail::plain<diffusion::reverse_diffusion>()},
    // The paper's range for VP is 0.01 to 0.15.
    {"langevin_corrected",
     detail::row([](const auto&, const auto&) { return diffusion::langevin_corrected<>{.snr = 0.1}; })},
    // Steps of 0.6 σ²/α², three times as long as the paper's: five forget all but 0.7^5 = 17 % of the level
    // before, where the paper takes 100.
    {"annealed_langevin", detail::row([](const diffusion::run_path& path, const auto&) {
       const double last = path.noise_to_signal(path.size() - 1);
       return diffusion::annealed_langevin{.step = 0.6 * last * last, .steps = 5};
     })},
    {"consistency", detail::plain<diffusion::consistency>()},
    {"lcm", detail::plain<diffusion::lcm>()},
    {"tcd", detail::row([](const auto&, const vp_schedule& trained) { return diffusion::tcd{trained}; })},
};

/// The names of the samplers that have an option.
[[nodiscard]] inline std::string samplers_with(bool named_sampler::*option) {
  std::string names;
  for (const auto& [name, sampler] : samplers)
    if (sampler.*option) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

/// The largest σ/α that a list of σ starts from, λ = log(α/σ) = -5.1 (Lu et al. 2022, DPM-Solver++): above it
/// cosine schedules go on to 20,000, where all is noise.
inline constexpr double largest_listed_sigma = 164.02190729990174;

namespace detail {

/// The times of a schedule that a run may use: first ... T.
struct times {
  const vp_schedule& schedule;
  int first = 1;

  [[nodiscard]] int count() const { return schedule.steps() - first + 1; }
};

/// The points of a grid over so many whole times, clean data at the end included.
inline std::vector<diffusion::path_point> at_times(const times& of, const diffusion::time_grid& grid) {
  std::vector<diffusion::path_point> points;
  const auto level = [&](int t) { return of.schedule.level(t); };
  const auto raised = from_first(of.first, grid);
  for (const auto& step : raised) points.push_back({static_cast<double>(step.from), level(step.from)});
  const int end = raised[raised.size() - 1].to;
  points.push_back({static_cast<double>(end), level(end)});
  return points;
}

/// A schedule of the program between its steps; one of zero terminal SNR ends at σ/α = 4096.
inline diffusion::continuous_schedule between_steps(const vp_schedule& schedule) {
  return diffusion::continuous(schedule, diffusion::interpolation::log_sigma, 0x1p-24);
}

/// σ/α from the first time of a run to the last of its schedule, or to where all is noise.
inline diffusion::sigma_range listed_range(const diffusion::continuous_schedule& schedule, int first) {
  const double min = diffusion::noise_to_signal(schedule.level(first));
  const double max = diffusion::noise_to_signal(schedule.level(schedule.steps()));
  return {min, std::max(min, std::min(max, largest_listed_sigma))};
}

/// The points where σ/α is that of a list over the range of the times, then clean data.
template <class List>
std::vector<diffusion::path_point> at_sigmas(const times& of, int n, List list) {
  if (n < 1 || n > of.count())
    throw std::invalid_argument("steps = " + std::to_string(n) + ", allowed: [1, " +
                                std::to_string(of.count()) + "]");
  const auto find = between_steps(of.schedule);
  const std::vector<double> sigmas = list(n, listed_range(find, of.first));
  std::vector<diffusion::path_point> points;
  for (const double sigma : sigmas) {
    points.push_back(find.find(sigma));
    // Whole times have the level of the table to the last bit: tcd compares with it.
    const double whole = std::round(points.back().t);
    if (std::abs(points.back().t - whole) < 1e-9) points.back() = {whole, find.level(whole)};
  }
  points.push_back({0, {1, 0}});
  return points;
}

using points_of = std::vector<diffusion::path_point> (*)(const times& of, int n);

}  // namespace detail

/// How the n times of a run are chosen from 1 ... T: whole times, then lists of σ/α.
inline constexpr std::pair<std::string_view, detail::points_of> spacings[]{
    {"trailing", [](const detail::times& of,
                    int n) { return detail::at_times(of, diffusion::trailing_grid(of.count(), n)); }},
    {"linspace", [](const detail::times& of,
                    int n) { return detail::at_times(of, diffusion::linspace_grid(of.count(), n)); }},
    {"leading", [](const detail::times& of,
                   int n) { return detail::at_times(of, diffusion::leading_grid(of.count(), n)); }},
    {"open_linspace",
     [](const detail::times& of, int n) {
       return detail::at_times(of, diffusion::open_linspace_grid(of.count(), n));
     }},
    {"karras",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n, [](int m, auto range) { return diffusion::karras_sigmas(m, range); });
     }},
    {"exponential",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n,
                                [](int m, auto range) { return diffusion::exponential_sigmas(m, range); });
     }},
    {"beta",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n, [](int m, auto range) { return diffusion::beta_sigmas(m, range); });
     }},
    {"kl_optimal",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n,
                                [](int m, auto range) { return diffusion::kl_optimal_sigmas(m, range); });
     }},
    {"edm_vp",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n, [](int m, auto range) { return diffusion::edm_vp_sigmas(m, range); });
     }},
    {"edm_iddpm",
     [](const detail::times& of, int n) {
       return detail::at_sigmas(of, n,
                                [](int m, auto range) { return diffusion::edm_iddpm_sigmas(m, range); });
     }},
};

/// The points of a run of n steps along a schedule, for a network that was trained on another: it is told the
/// time of its own schedule that has the same σ/α, the first or the last one where there is none. All levels
/// but clean data are above the noise of the data that it was trained on.
[[nodiscard]] inline diffusion::run_path make_path(const vp_schedule& trained, const vp_schedule& along,
                                                   bool same, double noisy_data, std::string_view spacing,
                                                   int n) {
  auto points = by_name("spacing", spacing, spacings)({along, first_time(along, noisy_data)}, n);
  const auto find = detail::between_steps(trained);
  if (!same)
    for (auto& point : points) point.t = find.find(diffusion::noise_to_signal(point.level)).t;
  return diffusion::run_path(points, [find](double sigma) { return find.find(sigma); });
}

/// The run of a sampler by name. Throws std::invalid_argument for an unknown name, an option that the sampler
/// does not have, and what the sampler refuses.
[[nodiscard]] inline diffusion::run_plan plan_of(std::string_view sampler, const diffusion::run_path& path,
                                                 const vp_schedule& trained, const sampler_options& options) {
  const named_sampler row = by_name("sampler", sampler, samplers);
  const auto require = [&](const char* option, bool given, bool named_sampler::*has) {
    if (given && !(row.*has))
      throw std::invalid_argument(std::string(option) + " is no option of " + std::string(sampler) +
                                  ", but of " + samplers_with(has));
  };
  require("eta", options.eta.has_value(), &named_sampler::has_eta);
  require("order", options.order.has_value(), &named_sampler::has_order);
  require("churn", options.churn.has_value(), &named_sampler::has_churn);
  return row.plan(path, trained, options);
}

/// Times that the network is asked in a run.
[[nodiscard]] inline std::size_t evaluations(const diffusion::run_plan& plan) {
  std::size_t count = 0;
  for (const auto& stage : plan.stages) count += stage.asks;
  return count;
}

}  // namespace mnist
