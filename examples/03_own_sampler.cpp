// A sampler of your own is a function of two noise levels. Here: Euler's method for the probability flow in
// σ/α (Karras et al. 2022), with the two checks that every sampler has to pass.
#include <cmath>
#include <cstdio>
#include <diffusion/ddpm.hpp>

// y = x/α obeys dy/dς = ε, ς = σ/α, so y_to = y_from + (ς_to - ς_from) ε̂.
struct euler {
  diffusion::step_coefficients operator()(diffusion::noise_level from, diffusion::noise_level to) const {
    const double slope = diffusion::noise_to_signal(to) - diffusion::noise_to_signal(from);
    return {.x = to.alpha / from.alpha, .epsilon = to.alpha * slope};
  }
};
static_assert(diffusion::Sampler<euler>);

int main() {
  const auto schedule = diffusion::linear_schedule(1000);
  double worst = 0;
  for (const auto& step : diffusion::trailing_grid(1000, 20)) {
    const auto from = schedule.level(step.from), to = schedule.level(step.to);
    const auto c = euler{}(from, to);
    const double signal = c.x * from.alpha + c.x0 - to.alpha;
    const double noise = std::hypot(c.x * from.sigma + c.epsilon, c.noise) - to.sigma;
    worst = std::fmax(worst, std::fmax(std::abs(signal), std::abs(noise)));
  }
  std::printf("marginals kept to 1e-12: %s\n", worst < 1e-12 ? "yes" : "no");
}
