#include "diffusion/interop/scheduler_config.hpp"

#include "diffusion/random/normal.hpp"
#include "diffusion/sample.hpp"
#include "support/check.hpp"
#include "support/plan.hpp"

using namespace diffusion;
using support::check_close;
using support::check_refused;
using support::roundoff;

namespace {

// Like those that are published with models, down to the keys of other classes.
constexpr const char* stable_diffusion_1 = R"({
  "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0",
  "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false,
  "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
  "trained_betas": null})";
constexpr const char* sdxl = R"({
  "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0",
  "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false,
  "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "sample_max_value": 1.0, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
  "timestep_spacing": "leading", "trained_betas": null, "use_karras_sigmas": false})";
constexpr const char* stable_video = R"({
  "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.24.0.dev0",
  "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false,
  "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
  "set_alpha_to_one": false, "sigma_max": 700.0, "sigma_min": 0.002, "skip_prk_steps": true,
  "steps_offset": 1, "timestep_spacing": "leading", "timestep_type": "continuous", "trained_betas": null,
  "use_karras_sigmas": true})";
constexpr const char* stable_diffusion_3 = R"({
  "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.29.0.dev0",
  "num_train_timesteps": 1000, "shift": 3.0})";
constexpr const char* flux = R"({
  "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.30.0.dev0",
  "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15,
  "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": true})";
constexpr const char* wan = R"({
  "_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.33.0.dev0",
  "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001, "disable_corrector": [],
  "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": 3.0,
  "lower_order_final": true, "num_train_timesteps": 1000, "predict_x0": true,
  "prediction_type": "flow_prediction", "rescale_betas_zero_snr": false, "sample_max_value": 1.0,
  "solver_order": 2, "solver_p": null, "solver_type": "bh2", "steps_offset": 0, "thresholding": false,
  "timestep_spacing": "linspace", "trained_betas": null, "use_beta_sigmas": false,
  "use_exponential_sigmas": false, "use_flow_sigmas": true, "use_karras_sigmas": false})";
constexpr const char* dpmpp_2m_karras = R"({
  "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.21.0",
  "algorithm_type": "dpmsolver++", "beta_end": 0.012, "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "dynamic_thresholding_ratio": 0.995, "euler_at_final": false,
  "lambda_min_clipped": -Infinity, "lower_order_final": true, "num_train_timesteps": 1000,
  "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": false, "skip_prk_steps": true,
  "solver_order": 2, "solver_type": "midpoint", "steps_offset": 1, "thresholding": false,
  "timestep_spacing": "linspace", "trained_betas": null, "use_karras_sigmas": true,
  "use_lu_lambdas": false, "variance_type": null})";
constexpr const char* lcm_dreamshaper = R"({
  "_class_name": "LCMScheduler", "_diffusers_version": "0.22.0.dev0",
  "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false,
  "clip_sample_range": 1.0, "dynamic_thresholding_ratio": 0.995, "num_train_timesteps": 1000,
  "original_inference_steps": 50, "prediction_type": "epsilon", "rescale_betas_zero_snr": false,
  "sample_max_value": 1.0, "set_alpha_to_one": true, "steps_offset": 1, "thresholding": false,
  "timestep_spacing": "leading", "trained_betas": null})";

/// {"_class_name": name, members}
std::string config(const std::string& name, const std::string& members = "") {
  return R"({"_class_name": ")" + name + '"' + (members.empty() ? "" : ", " + members) + "}";
}

std::vector<double> told(const run_plan& plan) {
  std::vector<double> times;
  for (const run_stage& stage : plan.stages)
    if (stage.asks) times.push_back(stage.eval.t);
  return times;
}
/// σ/α where the network is asked.
std::vector<double> sigmas(const run_plan& plan) {
  std::vector<double> result;
  for (const run_stage& stage : plan.stages)
    if (stage.asks) result.push_back(noise_to_signal(stage.eval.level));
  return result;
}
std::vector<double> flow_sigmas(const run_plan& plan) {
  std::vector<double> result;
  for (const run_stage& stage : plan.stages) result.push_back(stage.eval.level.sigma);
  return result;
}

/// Fails unless both plans do the same with the state, to `tolerance` in every coefficient.
void check_same_run(const run_plan& actual, const run_plan& expected, double tolerance) {
  REQUIRE(actual.stages.size() == expected.stages.size());
  CHECK(actual.slots == expected.slots);
  const auto numbers = [](const stage_sum& sum) {
    std::vector<double> list{sum.now.x, sum.now.x0, sum.now.epsilon, sum.now.noise};
    for (const auto& [slot, weight] : sum.past) list.push_back(weight);
    return list;
  };
  for (std::size_t k = 0; k < actual.stages.size(); ++k) {
    CAPTURE(k);
    check_close(numbers(actual.stages[k].next), numbers(expected.stages[k].next), tolerance);
    REQUIRE(actual.stages[k].keep.size() == expected.stages[k].keep.size());
    for (std::size_t i = 0; i < actual.stages[k].keep.size(); ++i)
      check_close(numbers(actual.stages[k].keep[i].value), numbers(expected.stages[k].keep[i].value),
                  tolerance);
    CHECK(actual.stages[k].arrives == expected.stages[k].arrives);
  }
}

constexpr double same = 64 * roundoff<>;  // of coefficients of order 1, from equal levels
const auto latent_schedule = scaled_linear_schedule(1000);

}  // namespace

TEST_CASE("Stable Diffusion 1: PNDM over the leading grid") {
  const configured_scheduler scheduler = read_scheduler_config(stable_diffusion_1);
  CHECK(scheduler.network == prediction::epsilon);
  CHECK(std::holds_alternative<x0_keep>(scheduler.x0));
  CHECK(scheduler.unused_keys == std::vector<std::string>{"clip_sample"});
  const run_plan plan = scheduler.plan(10);
  check_close(told(plan), std::vector{901., 801., 801., 701., 601., 501., 401., 301., 201., 101., 1.}, 0);
  std::vector<path_point> points;
  for (int t = 902; t > 0; t -= 100) points.push_back({double(t), latent_schedule.level(t)});
  points.push_back({1, latent_schedule.level(1)});
  check_same_run(plan, pndm{}.plan(run_path(std::span<const path_point>(points))), same);
  CHECK(scheduler.start_scale_of(plan) == Approx(1).epsilon(2 * roundoff<>));
  // Here diffusers do the same.
  check_same_run(read_scheduler_config(stable_diffusion_1, compat::diffusers).plan(10), plan, same);
}

TEST_CASE("Stable Diffusion XL: Euler, in the scale of the network") {
  const configured_scheduler scheduler = read_scheduler_config(sdxl);
  const run_plan plan = scheduler.plan(30);
  check_same_run(plan, make_plan(latent_schedule, leading_grid(1000, 30, 1), ddim{}), same);
  CHECK(plan.stages[0].from.t == 959);
  CHECK(plan.stages[0].eval.t == 958);
  CHECK(scheduler.start_scale_of(plan) == Approx(1).epsilon(2 * roundoff<>));
}

TEST_CASE("Stable Video: Karras' list beyond the table, networks told a quarter of ln sigma") {
  const configured_scheduler scheduler = read_scheduler_config(stable_video);
  CHECK(scheduler.network == prediction::v);
  const run_plan plan = scheduler.plan(8);
  check_close(sigmas(plan), karras_sigmas(8, {0.002, 700}), 0, 1e-14);
  check_close(told(plan),
              std::vector{1.6377700837608509, 1.414468523362408, 1.1584476149195406, 0.8584452588359697,
                          0.4961509128356722, 0.03873134660114828, -0.5822638931071358, -1.5536520246055485},
              1e-13);
  check_same_run(
      plan,
      make_plan(run_path(continuous(latent_schedule), with_final(karras_sigmas(8, {0.002, 700}))), ddim{}),
      same);
}

TEST_CASE("Stable Diffusion 3: a flow with a fixed shift") {
  const configured_scheduler scheduler = read_scheduler_config(stable_diffusion_3);
  CHECK(scheduler.network == prediction::velocity);
  check_close(flow_sigmas(scheduler.plan(8)), flow_times(8, {.shift = 3}), 0);
  check_close(told(scheduler.plan(4)), std::vector{1000., 900., 750., 500.}, 1e-12);
  // diffusers spread times down to the first, which is shifted twice.
  check_close(told(read_scheduler_config(config("FlowMatchHeunDiscreteScheduler", R"("shift": 3.0)"),
                                         compat::diffusers)
                       .plan(6)),
              std::vector{1000.0, 923.342541436464, 923.342541436464, 818.9233278955955, 818.9233278955955,
                          668.3266932270917, 668.3266932270917, 432.225063938619, 432.225063938619,
                          8.92857142857143, 8.92857142857143},
              0, 1e-14);
}

TEST_CASE("FLUX: a flow that shifts with the size of the image") {
  const configured_scheduler scheduler = read_scheduler_config(flux);
  check_close(flow_sigmas(scheduler.plan(8, {.image_tokens = 4096})),
              flow_times(8, {.shift = std::exp(1.15)}), roundoff<>);
  check_close(flow_sigmas(scheduler.plan(8, {.mu = 0.8})), flow_times(8, {.shift = std::exp(0.8)}), 0);
  check_close(told(read_scheduler_config(flux, compat::diffusers).plan(8, {.mu = 0.8})),
              std::vector{1000.0, 930.4049593876724, 847.8312030755768, 748.2748033544719, 625.8961132415357,
                          471.83151991606485, 271.9449718079389, 2.2228167755574826},
              0, 1e-14);
  check_refused([&] { return scheduler.plan(8); }, {"mu, image_tokens", "none", "use_dynamic_shifting"});
  check_refused([&] { return scheduler.plan(8, {.image_tokens = 1024, .mu = 0.8}); }, {"both"});
  check_refused([&] { return read_scheduler_config(stable_diffusion_3).plan(8, {.mu = 0.8}); },
                {"use_dynamic_shifting is false"});
}

TEST_CASE("Wan: UniPC over a flow") {
  const configured_scheduler scheduler = read_scheduler_config(wan);
  CHECK(scheduler.network == prediction::velocity);
  std::vector<path_point> points;
  for (const double s : flow_times(20, {.shift = 3})) points.push_back({1000 * s, {1 - s, s}});
  points.push_back({0, {1, 0}});
  check_same_run(scheduler.plan(20), unipc{}.plan(run_path(std::span<const path_point>(points))), same);
}

TEST_CASE("DPM++ 2M Karras") {
  const configured_scheduler scheduler = read_scheduler_config(dpmpp_2m_karras);
  const auto schedule = continuous(latent_schedule);
  const std::vector<double> expected{
      14.614641229333627, 9.102928134047646,   5.478391986442955,   3.1686030729596144,  1.7494170492511882,
      0.9140722650309653, 0.44691820937343935, 0.20139829978031248, 0.08191023832026934, 0.02916715815172038};
  const run_plan plan = scheduler.plan(10);
  // 1 - ᾱ_1 = 8.5e-4 of the quoted list carries 1e-16 in a rounding of 1, halved by the root.
  check_close(sigmas(plan), expected, 0, 1e-12);
  const std::vector<double> list = with_final(karras_sigmas(
      10, {noise_to_signal(latent_schedule.level(1)), noise_to_signal(latent_schedule.level(1000))}));
  check_same_run(plan, dpm_solver_multistep{}.plan(run_path(schedule, list)), same);
  CHECK(plan.stages[0].eval.t == 999);
  CHECK(plan.stages[1].eval.t == Approx(916.28).margin(0.005));
  check_close(told(read_scheduler_config(dpmpp_2m_karras, compat::diffusers).plan(10)),
              std::vector{999., 916., 815., 687., 523., 327., 146., 41., 7., 0.}, 0);
}

TEST_CASE("LCM over the times that it was distilled on") {
  const configured_scheduler scheduler = read_scheduler_config(lcm_dreamshaper);
  const run_plan plan = scheduler.plan(4);
  check_close(told(plan), std::vector{999., 759., 499., 259.}, 0);
  check_same_run(plan, make_plan(latent_schedule, distilled_grid(1000, 50, 4), lcm{}), 0);
}

TEST_CASE("UniPC with Karras' list, as diffusers have it") {
  const std::string text = config("UniPCMultistepScheduler", R"("beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear", "use_karras_sigmas": true)");
  check_close(told(read_scheduler_config(text, compat::diffusers).plan(8)),
              std::vector{999., 890., 746., 549., 299., 90., 12., 0.}, 0);
}

TEST_CASE("EDM networks are asked in units of sigma_data") {
  const configured_scheduler scheduler = read_scheduler_config(config("EDMEulerScheduler"));
  const run_plan plan = scheduler.plan(10);
  CHECK(scheduler.data_scale == 0.5);
  CHECK(told(plan)[0] == Approx(1.0955066586684703).epsilon(1e-14));
  // c_in = 1/√(σ² + σ_d²) takes 1·x_0 + σ ε in units of σ_d to these levels.
  const double sigma = 80;
  CHECK(plan.stages[0].from.level.alpha == Approx(0.5 / std::hypot(sigma, 0.5)).epsilon(1e-14));
  CHECK(plan.stages[0].from.level.sigma == Approx(sigma / std::hypot(sigma, 0.5)).epsilon(1e-14));
  // x̂0 = c_skip x + c_out F for F the network's output.
  const noise_level level = plan.stages[3].from.level;
  const double s = noise_to_signal(level) * 0.5;
  const double root = std::hypot(s, 0.5);
  const double input = 0.3, output = -0.7;
  const double expected = 0.25 / (root * root) * (input * root) + s * 0.5 / root * output;
  CHECK(scheduler.negated);
  CHECK(scheduler.data_scale * x0_map(scheduler.network, level)(input, -output) ==
        Approx(expected).epsilon(1e-14));
  const configured_scheduler v =
      read_scheduler_config(config("EDMDPMSolverMultistepScheduler", R"("prediction_type": "v_prediction")"));
  CHECK_FALSE(v.negated);
  CHECK(v.plan(10).stages.size() == 10);
}

TEST_CASE("A configured run samples") {
  // The network of data at 0.25 without spread: ε = (x - α/4)/σ, as each kind of output.
  for (const char* text :
       {stable_diffusion_1, sdxl, stable_video, stable_diffusion_3, wan, dpmpp_2m_karras}) {
    CAPTURE(text);
    const configured_scheduler scheduler = read_scheduler_config(text);
    const run_plan plan = scheduler.plan(12);
    std::vector<float> x{0.4f, -1.1f, 0.9f};
    for (float& value : x) value *= static_cast<float>(scheduler.start_scale_of(plan));
    workspace<float> work;
    auto network = scheduler.predicting([&](rows<const float> at, time_point<double> point, rows<float> out) {
      const auto [alpha, sigma] = point.level;
      const target_weights w = training_target(scheduler.network, point.level);
      for (std::size_t i = 0; i < at.data().size(); ++i)
        out.data()[i] = static_cast<float>(w.x0 * 0.25 + w.epsilon * (at.data()[i] - alpha * 0.25) / sigma);
    });
    sample(plan, network, philox_normal{7}, rows<float>(x, 1), work, scheduler.options());
    const noise_level end = plan.stages.back().to.level;
    for (const float value : x) CHECK(std::abs(value - 0.25 * end.alpha) <= 4 * end.sigma + 1e-3);
  }
}

TEST_CASE("A network of the negative is turned round") {
  const configured_scheduler mochi =
      read_scheduler_config(config("FlowMatchEulerDiscreteScheduler", R"("invert_sigmas": true)"));
  CHECK(mochi.negated);
  const run_plan plan = mochi.plan(4);
  check_close(told(plan), std::vector{0., 250., 500., 750.}, 1e-12);
  auto network = mochi.predicting([](rows<const float>, time_point<double>, rows<float> out) {
    for (float& value : out.data()) value = 2;
  });
  std::vector<float> x{1}, out{0};
  network(rows<const float>(std::span<const float>(x), 1), plan.stages[0].eval,
          rows<float>(std::span<float>(out), 1));
  CHECK(out[0] == -2);
  CHECK(kind_of(network) == prediction::velocity);
}

TEST_CASE("Every class reads its defaults and makes finite runs, in both ways") {
  for (const char* name : {"DDPMScheduler",
                           "DDIMScheduler",
                           "DDIMInverseScheduler",
                           "PNDMScheduler",
                           "LMSDiscreteScheduler",
                           "EulerDiscreteScheduler",
                           "EulerAncestralDiscreteScheduler",
                           "HeunDiscreteScheduler",
                           "KDPM2DiscreteScheduler",
                           "KDPM2AncestralDiscreteScheduler",
                           "DPMSolverSDEScheduler",
                           "DPMSolverMultistepScheduler",
                           "DPMSolverSinglestepScheduler",
                           "UniPCMultistepScheduler",
                           "DEISMultistepScheduler",
                           "LCMScheduler",
                           "TCDScheduler",
                           "EDMEulerScheduler",
                           "EDMDPMSolverMultistepScheduler",
                           "FlowMatchEulerDiscreteScheduler",
                           "FlowMatchHeunDiscreteScheduler"})
    for (const compat peer : {compat::none, compat::diffusers})
      for (const int n : {1, 2, 3, 4, 5, 13, 50}) {
        CAPTURE(name, static_cast<int>(peer), n);
        const std::string pndm_name = "PNDMScheduler";
        if (name == pndm_name && peer == compat::diffusers && n < 4) continue;  // four evaluations, as there
        const configured_scheduler scheduler = read_scheduler_config(config(name), peer);
        CHECK(scheduler.class_name == name);
        const run_plan plan = scheduler.plan(n);
        CHECK(plan.stages.size() >= static_cast<std::size_t>(n));
        bool finite = true;
        const auto look = [&](const stage_sum& sum) {
          for (const double c : {sum.now.x, sum.now.x0, sum.now.epsilon, sum.now.noise})
            finite &= std::isfinite(c);
          for (const auto& term : sum.past) finite &= std::isfinite(term.weight);
        };
        for (const run_stage& stage : plan.stages) {
          look(stage.next);
          for (const auto& write : stage.keep) look(write.value);
          finite &= std::isfinite(stage.eval.t);
        }
        CHECK(finite);
      }
}

TEST_CASE("Defaults differ by class") {
  const auto first_beta = [](const char* name) {
    return std::get<discrete_schedule<>>(read_scheduler_config(config(name)).schedule).beta(1);
  };
  CHECK(first_beta("EulerDiscreteScheduler") == 1e-4);
  CHECK(first_beta("HeunDiscreteScheduler") == 0.00085);
  CHECK(first_beta("LCMScheduler") == Approx(0.00085));
  CHECK(std::get<discrete_schedule<>>(read_scheduler_config(config("LCMScheduler")).schedule).beta(500) <
        std::get<discrete_schedule<>>(read_scheduler_config(config("HeunDiscreteScheduler")).schedule)
            .beta(500));
  CHECK(std::holds_alternative<x0_clip>(read_scheduler_config(config("DDIMScheduler")).x0));
  CHECK(std::holds_alternative<x0_keep>(read_scheduler_config(config("LCMScheduler")).x0));
}

TEST_CASE("Zero terminal SNR is exact, and 2^-24 to reproduce diffusers") {
  const std::string text = config("DPMSolverMultistepScheduler",
                                  R"("rescale_betas_zero_snr": true, "prediction_type": "v_prediction",
      "timestep_spacing": "trailing")");
  CHECK(read_scheduler_config(text).plan(8).stages[0].from.level.alpha == 0);
  check_close(sigmas(read_scheduler_config(text, compat::diffusers).plan(8)),
              std::vector{4095.9998779296857, 68.977409637066, 19.256513775954026, 7.491185963542047,
                          3.4861037034686824, 1.8081973568671148, 0.9578219857734804, 0.42789980794314164},
              0, 1e-12);
}

TEST_CASE("A list that ends at its own least sigma has no step without length") {
  const std::string text = config("DEISMultistepScheduler", R"("use_karras_sigmas": true)");
  const run_plan plan = read_scheduler_config(text).plan(6);
  CHECK(plan.stages.size() == 6);
  CHECK(noise_to_signal(plan.stages[5].from.level) > noise_to_signal(plan.stages[5].to.level));
  const run_plan repeating = read_scheduler_config(text, compat::diffusers).plan(6);
  CHECK(repeating.stages[5].from.level == repeating.stages[5].to.level);
}

TEST_CASE("Dynamic thresholding and a clip range that does not cut it are one") {
  const configured_scheduler scheduler = read_scheduler_config(config(
      "DDPMScheduler", R"("beta_schedule": "squaredcos_cap_v2", "clip_sample": true, "clip_sample_range": 1.0,
      "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5, "thresholding": true,
      "variance_type": "learned_range")"));
  const auto& threshold = std::get<dynamic_threshold>(scheduler.x0);
  CHECK(threshold.ratio == 0.95);
  CHECK(threshold.max == 1.5);
  CHECK(scheduler.plan(10).learned_variance);
}

TEST_CASE("Where diffusers depart from the rules, the default does not and the option does") {
  // A DDIM step to t - T div n instead of to the next time.
  const std::string ddim_text = config("DDIMScheduler", R"("timestep_spacing": "linspace")");
  const run_plan right = read_scheduler_config(ddim_text).plan(10);
  const run_plan theirs = read_scheduler_config(ddim_text, compat::diffusers).plan(10);
  CHECK(right.stages[0].to.t == right.stages[1].from.t);
  CHECK(theirs.stages[0].to.t == 900);
  CHECK(theirs.stages[1].from.t == 889);
  // Noise in DDPM's last step.
  const std::string ddpm_text = config("DDPMScheduler", R"("timestep_spacing": "trailing")");
  CHECK(read_scheduler_config(ddpm_text).plan(10).stages.back().next.now.noise == 0);
  CHECK(read_scheduler_config(ddpm_text, compat::diffusers).plan(10).stages.back().next.now.noise == 1e-10);
  // Euler's start without the data's part.
  const std::string euler_text = config("EulerDiscreteScheduler");
  const configured_scheduler euler_theirs = read_scheduler_config(euler_text, compat::diffusers);
  const run_plan plan = euler_theirs.plan(10);
  CHECK(euler_theirs.start_scale_of(plan) == plan.stages[0].from.level.sigma);
  // TCD's end.
  const std::string tcd_text = config("TCDScheduler");
  CHECK(read_scheduler_config(tcd_text).plan(4).stages.back().to.level.sigma == 0);
  CHECK(read_scheduler_config(tcd_text, compat::diffusers).plan(4).stages.back().to.t == 1);
}

TEST_CASE("Unknown keys and values are refused, by name, with what is accepted") {
  const auto refused = [](const std::string& text, std::initializer_list<std::string_view> parts,
                          compat peer = compat::none) {
    CAPTURE(text);
    check_refused([&] { return read_scheduler_config(text, peer).plan(10); }, parts);
  };
  refused("{}", {"_class_name", "absent"});
  refused(config("KarrasVeScheduler"), {"_class_name", "KarrasVeScheduler", "DDIMScheduler"});
  refused(config("DDIMScheduler", R"("beta_strat": 1)"), {"beta_strat = 1", "no such key in DDIMScheduler"});
  refused(config("DDIMScheduler", R"("beta_schedule": "cosine")"),
          {"beta_schedule", "cosine", "squaredcos_cap_v2"});
  refused(config("DDIMScheduler", R"("beta_schedule": "sigmoid")"), {"beta_schedule", "sigmoid", "linear"});
  refused(config("DDIMScheduler", R"("prediction_type": "score")"),
          {"prediction_type", "score", "v_prediction"});
  refused(config("DDIMScheduler", R"("prediction_type": 3)"), {"prediction_type = 3"});
  refused(config("DDIMScheduler", R"("clip_sample": "yes")"), {"clip_sample", "yes", "true, false"});
  refused(config("DDIMScheduler", R"("clip_sample": null)"), {"clip_sample = null"});
  refused(config("DDIMScheduler", R"("clip_sample_range": 0)"), {"clip_sample_range = 0", "(0"});
  refused(config("DDIMScheduler", R"("beta_start": -0.1)"), {"beta_start = -0.1", "(0, 1]"});
  refused(config("DDIMScheduler", R"("timestep_spacing": "even")"), {"timestep_spacing", "even", "trailing"});
  refused(config("DDIMScheduler", R"("steps_offset": 1.5)"), {"steps_offset = 1.5", "whole"});
  refused(config("DDIMScheduler", R"("trained_betas": [0.1, 0.2])"), {"trained_betas", "2", "1000"});
  refused(config("DDIMScheduler", R"("trained_betas": [0.1, "x"], "num_train_timesteps": 2)"),
          {"trained_betas"});
  refused(config("DDIMInverseScheduler", R"("timestep_spacing": "linspace")"),
          {"timestep_spacing", "linspace"});
  refused(config("DDIMInverseScheduler", R"("prediction_type": "v_prediction")"),
          {"prediction_type", "epsilon"}, compat::diffusers);
  refused(config("DDPMScheduler", R"("variance_type": "free")"), {"variance_type", "free", "learned_range"});
  refused(config("DDPMScheduler", R"("variance_type": "fixed_large_log")"), {"variance_type", "NaN"},
          compat::diffusers);
  refused(config("PNDMScheduler", R"("prediction_type": "sample")"), {"prediction_type", "sample"});
  refused(config("EDMEulerScheduler", R"("sigma_schedule": "beta")"),
          {"sigma_schedule", "karras, exponential"});
  refused(config("EDMEulerScheduler", R"("sigma_min": 100)"), {"sigma_min = 100", "below sigma_max"});
  refused(config("DPMSolverMultistepScheduler", R"("solver_order": 4)"), {"solver_order = 4", "[1, 3]"});
  refused(config("DPMSolverMultistepScheduler", R"("algorithm_type": "deis")"),
          {"algorithm_type", "deis", "dpmsolver++"});
  refused(config("DPMSolverMultistepScheduler", R"("solver_type": "bh2")"),
          {"solver_type", "bh2", "midpoint, heun"});
  refused(config("DPMSolverMultistepScheduler", R"("variance_type": "learned_range")"),
          {"variance_type", "null"});
  refused(config("UniPCMultistepScheduler", R"("solver_type": "midpoint")"), {"solver_type", "bh1, bh2"});
  refused(config("UniPCMultistepScheduler", R"("solver_p": {"a": 1})"), {"solver_p", "null"});
  refused(config("UniPCMultistepScheduler", R"("disable_corrector": [0.5])"), {"disable_corrector", "whole"});
  refused(config("DEISMultistepScheduler", R"("algorithm_type": "dpmsolver++")"), {"algorithm_type", "deis"});
  refused(config("FlowMatchEulerDiscreteScheduler", R"("time_shift_type": "cubic")"),
          {"time_shift_type", "linear"});
  refused(config("FlowMatchEulerDiscreteScheduler", R"("shift": 0)"), {"shift = 0"});
  refused(config("FlowMatchEulerDiscreteScheduler", R"("base_image_seq_len": 5000)"),
          {"base_image_seq_len = 5000"});
  check_refused([] { return read_scheduler_config(config("DDIMScheduler"), compat::k_diffusion); }, {"peer"});
}

TEST_CASE("Contradictory options are refused") {
  const auto refused = [](const std::string& name, const std::string& members,
                          std::initializer_list<std::string_view> parts, compat peer = compat::none) {
    CAPTURE(name, members);
    check_refused([&] { return read_scheduler_config(config(name, members), peer); }, parts);
  };
  refused("EulerDiscreteScheduler", R"("use_karras_sigmas": true, "use_exponential_sigmas": true)",
          {"use_exponential_sigmas = true", "use_karras_sigmas"});
  refused("DPMSolverMultistepScheduler", R"("use_beta_sigmas": true, "use_lu_lambdas": true)",
          {"use_lu_lambdas"});
  refused("UniPCMultistepScheduler", R"("use_flow_sigmas": true, "use_karras_sigmas": true)",
          {"use_flow_sigmas"});
  refused("DDIMScheduler", R"("clip_sample": true, "clip_sample_range": 0.5, "thresholding": true)",
          {"thresholding = true", "clip_sample to 0.5"});
  for (const char* name :
       {"DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"})
    refused(name, R"("rescale_betas_zero_snr": true)", {"prediction_type", "rescale_betas_zero_snr"});
  refused("DDIMScheduler", R"("rescale_betas_zero_snr": true)", {"prediction_type"}, compat::diffusers);
  refused("DPMSolverMultistepScheduler", R"("algorithm_type": "dpmsolver")",
          {"final_sigmas_type", "sigma_min"});
  refused("DPMSolverMultistepScheduler", R"("prediction_type": "flow_prediction")",
          {"prediction_type", "use_flow_sigmas is false"});
  refused("DPMSolverMultistepScheduler", R"("flow_shift": 3.0)", {"flow_shift = 3.0", "use_flow_sigmas"});
  refused("UniPCMultistepScheduler", R"("use_dynamic_shifting": true)",
          {"use_dynamic_shifting", "use_flow_sigmas"});
  refused("UniPCMultistepScheduler", R"("shift_terminal": 0.1)", {"shift_terminal", "use_flow_sigmas"});
  refused("EulerDiscreteScheduler", R"("sigma_min": 0.01)", {"sigma_min = 0.01", "use_karras_sigmas"});
  refused("EulerDiscreteScheduler", R"("timestep_type": "continuous")", {"timestep_type", "v_prediction"});
  refused("EulerDiscreteScheduler", R"("interpolation_type": "log_linear", "use_karras_sigmas": true)",
          {"interpolation_type"});
  refused("EDMDPMSolverMultistepScheduler", R"("thresholding": true)", {"thresholding", "sigma_data"});
  refused("TCDScheduler", R"("clip_sample": true)", {"clip_sample = true", "TCD"}, compat::diffusers);
  // Keys of other classes that ask for something.
  refused("EulerDiscreteScheduler", R"("clip_sample": true)",
          {"clip_sample = true", "EulerDiscreteScheduler"});
  refused("PNDMScheduler", R"("rescale_betas_zero_snr": true)",
          {"rescale_betas_zero_snr = true", "PNDMScheduler"});
  refused("EulerAncestralDiscreteScheduler", R"("use_karras_sigmas": true)", {"use_karras_sigmas = true"});
  refused("UniPCMultistepScheduler", R"("lambda_min_clipped": -5.1)", {"lambda_min_clipped = -5.1"});
  refused("FlowMatchEulerDiscreteScheduler", R"("prediction_type": "epsilon")",
          {"prediction_type", "flow_prediction"});
}

TEST_CASE("Hostile texts give an error, never a crash or a large allocation") {
  const auto refused = [](const std::string& text, std::initializer_list<std::string_view> parts = {}) {
    CAPTURE(text.substr(0, 80));
    check_refused([&] { return read_scheduler_config(text).plan(10); }, parts);
  };
  for (const char* text :
       {"", "{", "[]", "null", "17", "\"x\"", "{\"a\": }", "{\"_class_name\": \"DDIMScheduler\"} x",
        "\xff\xfe", "{\"_class_name\": \"\xc3\x28\"}", "{\"_class_name\": 3}", "-Infinity",
        "{\"_class_name\": \"DDIMScheduler\", \"beta_start\": NaN}"})
    refused(text, {"diffusion: "});
  refused(std::string(1'000'000, '['), {"depth"});
  refused(R"({"_class_name": "DDIMScheduler", "x": )" + std::string(50, '[') + std::string(50, ']') + "}",
          {"depth"});
  refused(std::string(9'000'000, ' '), {"size"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": 1000000000)"), {"num_train_timesteps", "100000"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": 1e30)"), {"num_train_timesteps"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": 1e999)"), {"not a JSON text"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": 0)"), {"num_train_timesteps = 0"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": -5)"), {"num_train_timesteps = -5"});
  refused(config("DDIMScheduler", R"("num_train_timesteps": [1000])"), {"num_train_timesteps"});
  refused(config("DDIMScheduler", R"("beta_start": 0.5, "beta_start": 0.1)"), {"key", "beta_start", "once"});
  refused(config("DDIMScheduler", R"("beta_start": Infinity)"), {"beta_start"});
  refused(config("DDIMScheduler", R"("beta_start": {"a": 1})"), {"beta_start"});
  refused(config("LCMScheduler", R"("original_inference_steps": 100000)"), {"original_inference_steps"});
  refused(config("DDIMScheduler", "\"" + std::string(100'000, 'k') + "\": 1"), {"kkk"});
  const configured_scheduler flow = read_scheduler_config(stable_diffusion_3);
  for (const int n : {0, -1, 1'000'000'000}) {
    check_refused([&] { return flow.plan(n); }, {"steps"});
    for (const char* name : {"DDIMScheduler", "PNDMScheduler", "EDMEulerScheduler", "DDIMInverseScheduler"})
      for (const compat peer : {compat::none, compat::diffusers})
        check_refused([&] { return read_scheduler_config(config(name), peer).plan(n); }, {"steps"});
  }
}
