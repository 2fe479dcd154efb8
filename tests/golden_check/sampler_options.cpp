#include "sampler.hpp"

namespace golden {

namespace {

namespace d = diffusion;

void read_variance(const record& options, sampler_options& read) {
  const std::string variance = options.choice("variance", {"fixed_small", "fixed_small_log", "fixed_large",
                                                           "learned", "learned_log", "learned_range"});
  if (variance == "learned") {
    read.learned = learned_output::value;
    read.method = d::ddpm_learned{d::learned_variance::value};
  } else if (variance == "learned_log") {
    read.learned = learned_output::log_value;
    read.method = d::ddpm_learned{d::learned_variance::log_value};
  } else if (variance == "learned_range") {
    read.learned = learned_output::log_range;
    read.method = d::ddpm_learned{d::learned_variance::log_range};
  } else {
    read.method =
        d::ddpm{variance == "fixed_large" ? d::fixed_variance::transition : d::fixed_variance::posterior};
  }
}

}  // namespace

std::optional<sampler_options> read_sampler_options(const record& file, const record& options) {
  sampler_options read;
  read.kind = options.text("kind");
  const bool diffusers = file.text("peer").starts_with("diffusers@");
  if (read.kind == "ddpm" || read.kind == "unclip") {
    read_variance(options, read);
    if (diffusers) read.last = last_noise::where_drawn;
  } else if (read.kind == "ddpm_continuous" || read.kind == "ddpm_cosine_continuous") {
    read.method = d::ddpm{d::fixed_variance::posterior};
    read.last = last_noise::never;
  } else if (read.kind == "ddim") {
    read.method = d::ddim{.eta = options.number("eta"),
                          .rederive_epsilon = options.flag("use_clipped_model_output", false)};
    read.steps_by_stride = diffusers;
    read.first_level_is_clean = options.flag("final_alpha_one", true);
    read.last_step_returns_x0 = options.flag("last_step_returns_x0", false);
  } else if (read.kind == "cogvideox_ddim") {
    read.method = d::ddim{};
    read.steps_by_stride = true;
    read.first_level_is_clean = options.flag("final_alpha_one", true);
  } else if (read.kind == "ddim_inverse") {
    read.method = d::ddim{.rederive_epsilon = false};
    read.steps_by_stride = true;
    read.first_level_is_clean = options.flag("initial_alpha_one", true);
  } else if (read.kind == "ddim_reverse") {
    read.method = d::ddim{};
  } else {
    return {};
  }
  return read;
}

}  // namespace golden
