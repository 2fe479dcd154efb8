#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include "diffusion/interop/configured_scheduler.hpp"
#include "diffusion/interop/json_fields.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "diffusion/schedules/exponential.hpp"
#include "diffusion/schedules/laplace.hpp"
#include "diffusion/schedules/linear.hpp"
#include "diffusion/schedules/quadratic.hpp"
#include "diffusion/schedules/sigmoid.hpp"
#include "diffusion/schedules/zero_terminal_snr.hpp"

namespace diffusion::detail {

// The defaults of classes for `linear`.
inline constexpr beta_range usual_betas{1e-4, 0.02};
inline constexpr beta_range latent_betas{0.00085, 0.012};

struct schedule_choice {
  discrete_schedule<> schedule;
  std::string name;
  bool zero_snr = false;
};

/// What the readers of all classes share: a configuration, and the scheduler that it becomes key by key.
struct config_parts {
  json_fields fields;
  compat peer = compat::none;
  configured_scheduler result{};

  schedule_choice read_schedule(beta_range range, std::initializer_list<std::string_view> extra = {},
                                std::string_view fallback = "linear", bool may_rescale = true) {
    const int steps = fields.integer("num_train_timesteps", 1000, 1, max_configured_steps);
    range.start = fields.number("beta_start", range.start, 0, 1, true);
    range.end = fields.number("beta_end", range.end, 0, 1, true);
    std::vector<std::string_view> names{"linear", "scaled_linear", "squaredcos_cap_v2"};
    names.insert(names.end(), extra.begin(), extra.end());
    const std::string name = fields.choice("beta_schedule", names, fallback);
    const std::vector<double> betas =
        fields.numbers("trained_betas", 0, 1, static_cast<std::size_t>(max_configured_steps));
    if (!betas.empty() && betas.size() != static_cast<std::size_t>(steps))
      invalid("length of trained_betas", betas.size(), text(steps, ", which is num_train_timesteps"));
    const auto make = [&] {
      if (!betas.empty()) return discrete_schedule<>::from_betas(betas);
      if (name == "scaled_linear") return scaled_linear_schedule(steps, range);
      if (name == "squaredcos_cap_v2") return cosine_schedule(steps);
      if (name == "exp") return exponential_schedule(steps);
      if (name == "laplace") return laplace_schedule(steps, {.peer = peer});
      if (name == "sigmoid") return sigmoid_schedule(steps, range);
      return linear_schedule(steps, range);
    };
    const bool zero_snr = may_rescale && fields.flag("rescale_betas_zero_snr", false);
    discrete_schedule<> schedule = zero_snr ? rescale_zero_terminal_snr(make()) : make();
    result.schedule = schedule;
    return {std::move(schedule), name, zero_snr};
  }

  /// ᾱ_T = 0 is replaced where a table of σ needs a last entry, by what diffusers have there.
  [[nodiscard]] continuous_schedule between(const discrete_schedule<>& schedule) const {
    return continuous(schedule, peer == compat::diffusers ? interpolation::sigma : interpolation::log_sigma,
                      0x1p-24);
  }

  void read_prediction(bool zero_snr, bool flow_sigmas = false, bool knows_flow = false) {
    const std::string name =
        knows_flow
            ? fields.choice("prediction_type", {"epsilon", "sample", "v_prediction", "flow_prediction"})
            : fields.choice("prediction_type", {"epsilon", "sample", "v_prediction"});
    if (name == "flow_prediction" && !flow_sigmas)
      fields.refuse("prediction_type", "epsilon, sample, v_prediction where use_flow_sigmas is false");
    if (name == "epsilon" && zero_snr)
      fields.refuse("prediction_type",
                    "sample, v_prediction with rescale_betas_zero_snr: without signal, noise does not "
                    "determine the data");
    result.network = name == "sample"            ? prediction::x0
                     : name == "v_prediction"    ? prediction::v
                     : name == "flow_prediction" ? prediction::velocity
                                                 : prediction::epsilon;
  }

  void read_clip(bool fallback) {
    const bool clip = fields.flag("clip_sample", fallback);
    const double limit = fields.positive("clip_sample_range", 1);
    if (clip) result.x0 = x0_clip{limit};
  }
  /// Thresholding replaces clipping. It ends within ±1, so that a wider clip range contradicts nothing.
  void read_threshold() {
    const bool threshold = fields.flag("thresholding", false);
    const double ratio = fields.number("dynamic_thresholding_ratio", 0.995, 0, 1);
    const double max = fields.number("sample_max_value", 1, 1, std::numeric_limits<double>::max());
    if (!threshold) return;
    if (const auto* clip = std::get_if<x0_clip>(&result.x0); clip && clip->limit < 1)
      fields.refuse("thresholding", text("false with clip_sample to ", clip->limit,
                                         ": the data would be scaled to 1, then cut"));
    result.x0 = dynamic_threshold{ratio, max};
  }

  time_spacing read_spacing(std::string_view fallback, bool has_linspace = true) {
    const std::string name =
        has_linspace ? fields.choice("timestep_spacing", {"leading", "linspace", "trailing"}, fallback)
                     : fields.choice("timestep_spacing", {"leading", "trailing"}, fallback);
    return name == "leading"    ? time_spacing::leading
           : name == "linspace" ? time_spacing::linspace
                                : time_spacing::trailing;
  }
  int read_offset() { return fields.integer("steps_offset", 0, 0, max_configured_steps); }

  /// Of the keys, each a flag, at most one is true.
  sigma_spacing read_sigma_spacing(std::initializer_list<std::pair<const char*, sigma_spacing>> more = {}) {
    std::vector<std::pair<const char*, sigma_spacing>> keys{
        {"use_karras_sigmas", sigma_spacing::karras},
        {"use_exponential_sigmas", sigma_spacing::exponential},
        {"use_beta_sigmas", sigma_spacing::beta}};
    keys.insert(keys.end(), more.begin(), more.end());
    sigma_spacing found = sigma_spacing::of_times;
    const char* chosen = nullptr;
    for (const auto& [key, spacing] : keys) {
      if (!fields.flag(key, false)) continue;
      if (chosen) fields.refuse(key, text("false with ", chosen));
      chosen = key;
      found = spacing;
    }
    return found;
  }

  run_end read_end() {
    return fields.choice("final_sigmas_type", {"zero", "sigma_min"}) == "zero" ? run_end::clean
                                                                               : run_end::first_level;
  }

  void tell_index() {
    result.network_time = [](const path_point& at) { return at.t - 1; };
  }
};

}  // namespace diffusion::detail
