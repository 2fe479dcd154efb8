// Positive and negative checks of every concept: this file tests by compiling.
#include "diffusion/diffusion.hpp"

namespace diffusion {
namespace {

static_assert(Scalar<float> && Scalar<double>);
static_assert(!Scalar<int> && !Scalar<long double> && !Scalar<const float>);

struct integer_time_without_level {
  using time_type = int;
};
struct level_as_number {
  using time_type = int;
  double level(int) const;
};
static_assert(NoiseSchedule<discrete_schedule<float>> && NoiseSchedule<discrete_schedule<double>>);
static_assert(NoiseSchedule<cosine_log_snr_schedule> && NoiseSchedule<linear_log_snr_schedule>);
static_assert(!NoiseSchedule<integer_time_without_level> && !NoiseSchedule<level_as_number> && !NoiseSchedule<int>);

struct needs_only_one_end {
  step_coefficients operator()(noise_level) const;
};
struct returns_a_number {
  double operator()(noise_level, noise_level) const;
};
struct changes_itself {
  step_coefficients operator()(noise_level, noise_level);
};
static_assert(Sampler<ddpm> && Sampler<ddim> && Sampler<ddpm_learned>);
static_assert(!Sampler<needs_only_one_end> && !Sampler<returns_a_number> && !Sampler<changes_itself>);
static_assert(LearnedVarianceSampler<ddpm_learned>);
static_assert(!LearnedVarianceSampler<ddpm> && !LearnedVarianceSampler<ddim>);

static_assert(PlannedSampler<heun> && PlannedSampler<dpm_solver_multistep> && PlannedSampler<repaint<ddim>>);
static_assert(!PlannedSampler<ddim> && !Sampler<heun>);
static_assert(AnySampler<ddim> && AnySampler<heun> && !AnySampler<needs_only_one_end> && !AnySampler<int>);

static_assert(InvertibleSchedule<sigma_schedule> && InvertibleSchedule<flow_schedule>);
static_assert(InvertibleSchedule<continuous_schedule> && !InvertibleSchedule<discrete_schedule<>>);

template <class T, class Time>
using predictor_function = void (*)(rows<const T>, time_point<Time>, rows<T>);
static_assert(Predictor<predictor_function<float, int>, float>);
static_assert(Predictor<predictor_of<predictor_function<double, double>>, double, double>);
static_assert(!Predictor<predictor_function<float, int>, double>, "element types differ");
static_assert(!Predictor<predictor_function<float, int>, float, double>, "times differ");
// A run over integer times also takes predictors of real times, and the other way round.
static_assert(PathPredictor<predictor_function<float, double>, float, int>);
static_assert(PathPredictor<predictor_function<float, int>, float, double>);
static_assert(!PathPredictor<predictor_function<float, int>, double, int> && !PathPredictor<int, float, int>);
static_assert(!Predictor<int, float> && !Predictor<predictor_function<float, int>, int>);

static_assert(NoiseSource<const philox_normal, float> && NoiseSource<const philox_normal, double>);
static_assert(NoiseSource<const given_noise<float>, float> && !NoiseSource<const given_noise<float>, double>);
static_assert(!NoiseSource<void (*)(std::span<float>), float>);

// A batch converts to one that only reads, never back.
static_assert(std::is_convertible_v<rows<float>, rows<const float>>);
static_assert(!std::is_convertible_v<rows<const float>, rows<float>>);

}  // namespace
}  // namespace diffusion
