// The library's samplers around the reference networks reproduce the recorded trajectories.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/diffusion.hpp"
#include "nn_reference.hpp"
#include "support/catch.hpp"

namespace {

using namespace diffusion;

/// The U-Net as a predictor of ε; `labels` may be null for the null class.
auto predictor(golden::reference<double>& r, const int* labels) {
  return [&r, labels](rows<const double> x, time_point<int> at, rows<double> out) {
    const std::vector<double> t(x.count(), at.t - 1);  // the reference counts from 0
    r.net.forward(static_cast<int>(x.count()), x.data().data(), t.data(), labels, out.data().data());
  };
}

/// Steps through a recorded run and compares the state after every step.
template <class P>
void check_trajectory(const golden::reference<double>& r, const std::string& name, ddim sampler, P predict) {
  INFO(name);
  const auto schedule = linear_schedule(1000);
  std::vector<int> times;
  for (const auto index : r.file.tensors.at("sample/timesteps").as<std::int64_t>())
    times.insert(times.begin(), static_cast<int>(index) + 1);
  std::vector<double> start = r.doubles("sample/xT"), draws(start.size());
  const auto recorded = r.doubles("sample/noise"), expected = r.doubles("sample/" + name);
  draws.insert(draws.end(), recorded.begin(), recorded.end());  // step 0 is the start, which is given

  const std::size_t count = r.file.tensors.at("sample/xT").shape[0];
  rows<double> x(start, count);
  workspace<double> work;
  const given_noise<double> noise{draws, count};
  stepper run(schedule, explicit_grid(1000, times), sampler, x, work, {.x0 = x0_clip{1}});
  REQUIRE(run.stages() * start.size() == expected.size());
  while (!run.done()) {
    const auto state = std::span(expected).subspan(run.stage_index() * start.size(), start.size());
    run.step(predict, noise);
    CHECK(golden::error(start, state) <= 1e-10);  // the contract of the reference vectors in double
  }
}

}  // namespace

TEST_CASE("DDIM around a reference U-Net follows the recorded trajectories") {
  for (const std::string& name : golden::networks) {
    INFO(name);
    golden::reference<double> r(name);
    std::vector<int> labels;
    if (r.file.tensors.count("sample/class") == 1) {
      for (const auto label : r.file.tensors.at("sample/class").as<std::int64_t>())
        labels.push_back(static_cast<int>(label));
    }
    const int* classes = labels.empty() ? nullptr : labels.data();
    check_trajectory(r, "ddim", ddim{}, predictor(r, classes));
    check_trajectory(r, "eta1", ddim{.eta = 1}, predictor(r, classes));
    if (!classes) continue;
    std::vector<double> scratch(r.doubles("sample/xT").size());
    check_trajectory(r, "ddim_guided", ddim{},
                     guided<double>(predictor(r, classes), predictor(r, nullptr), 2.5, scratch));
  }
}

TEST_CASE("One ancestral step around a reference U-Net has the recorded mean and variances") {
  for (const std::string& name : golden::networks) {
    INFO(name);
    golden::reference<double> r(name);
    std::vector<int> labels;
    if (r.file.tensors.count("sample/class") == 1) {
      for (const auto label : r.file.tensors.at("sample/class").as<std::int64_t>())
        labels.push_back(static_cast<int>(label));
    }
    const auto schedule = linear_schedule(1000);
    const noise_level from = schedule.level(432), to = schedule.level(431);  // index 431 of the reference
    auto x = r.doubles("sample/xT");
    std::vector<double> eps(x.size());
    const std::size_t count = r.file.tensors.at("sample/xT").shape[0];
    predictor(r, labels.empty() ? nullptr : labels.data())(rows<const double>(x, count), {432, from},
                                                           rows<double>(eps, count));
    CHECK(golden::error(eps, r.doubles("sample/ancestral431_eps")) <= 1e-10);

    step_coefficients mean = ddpm{}(from, to);
    mean.noise = 0;
    apply_step({x0_map(prediction::epsilon, from), {}, {}, mean}, eps, {}, std::span(x));
    CHECK(golden::error(x, r.doubles("sample/ancestral431_mean")) <= 1e-10);
    const std::vector<double> variances{transition_variance(from, to), posterior_variance(from, to)};
    CHECK(golden::error(variances, r.doubles("sample/ancestral431_var_beta_betatilde")) <= 1e-10);
  }
}
