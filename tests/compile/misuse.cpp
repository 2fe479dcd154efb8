// Compiles as it stands; each macro makes one mistake that a concept has to name.
#include "diffusion/ddpm.hpp"

using namespace diffusion;

struct constant_level {
  using time_type = int;
#ifdef SCHEDULE_RETURNS_NUMBER
  double level(int) const { return 1; }
#else
  noise_level level(int t) const { return {1, double(t)}; }
#endif
};

struct halving {
#ifdef SAMPLER_WITHOUT_TO
  step_coefficients operator()(noise_level) const { return {}; }
#else
  step_coefficients operator()(noise_level, noise_level) const { return {}; }
#endif
};

#ifdef INTEGER_ELEMENTS
using element = int;
#else
using element = float;
#endif

void run(rows<element> x, workspace<element>& work) {
#ifdef PREDICTOR_WITHOUT_TIME
  const auto predictor = [](rows<const element>, rows<element>) {};
#else
  const auto predictor = [](rows<const element>, time_point<int>, rows<element>) {};
#endif
#ifdef NOISE_WITHOUT_ADDRESS
  const auto noise = [](std::span<element>) {};
#else
  const philox_normal noise{1};
#endif
  sample(constant_level{}, full_grid(10), halving{}, predictor, noise, x, work);
}
