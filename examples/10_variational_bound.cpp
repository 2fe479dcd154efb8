// Bits per dimension of 8-bit data: the variational bound of a network.
#include <cmath>
#include <cstdio>
#include <diffusion/ddpm.hpp>
#include <diffusion/variational_bound.hpp>
#include <vector>

int main() {
  using namespace diffusion;
  // 200 samples of 64 pixels, N(0, 0.25²) rounded to the values k/127.5 - 1.
  std::vector<double> pixels(200 * 64);
  philox_normal{1}(0, 0, std::span<double>(pixels));
  for (double& x : pixels) x = std::round(0.25 * x * 127.5 + 127.5) / 127.5 - 1;
  const rows<const double> x0(std::span<const double>(pixels), 200);
  // The network that knows the distribution: v̂ = E[α ε - σ x_0 | x_t].
  auto network = predicts<prediction::v>([](rows<const double> x, time_point<int> at, rows<double> out) {
    const auto [a, s] = at.level;
    for (std::size_t i = 0; i < x.data().size(); ++i)
      out.data()[i] = a * s * (1 - 0.0625) * x.data()[i] / (a * a * 0.0625 + s * s);
  });

  const auto schedule = linear_schedule(1000);
  const run_path path(schedule, full_grid(1000));
  std::vector<sample_bound> bounds(200);
  workspace<double> work;
  const auto show = [&](const char* name) {
    running_mean bits;
    for (const sample_bound& bound : bounds) bits.add(bits_per_dimension(bound.total(), 64));
    std::printf("%-24s %.3f +- %.3f bits per dimension\n", name, bits.mean(), bits.standard_error());
  };

  variational_bound(path, discretized_gaussian{}, network, philox_normal{2}, x0, work, bounds,
                    {.variance = fixed_variance::transition});
  show("all 1000 steps");

  // L is about the step in SNR times the squared error of x̂0, here 1/(16 + SNR).
  std::vector<double> weights;
  for (const path_step& step : path)
    if (const double from = snr(step.from.level); step.to.level.sigma > 0)
      weights.push_back((snr(step.to.level) - from) / (16 + from));
  variational_bound(path, discretized_gaussian{}, network, philox_normal{2}, x0, work, bounds,
                    {.variance = fixed_variance::transition, .draws = 20, .weights = weights});
  show("20 steps for each sample");

  double exact = 0;  // the density of a value, of which the bins are 2/255 wide
  for (const double x : pixels) exact -= normal_log_density(x, 0, 2 * std::log(0.25));
  std::printf("%-24s %.3f\n", "exact",
              bits_per_dimension(exact, pixels.size(), discretized_gaussian::bin_width));
}
