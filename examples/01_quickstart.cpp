#include <cmath>
#include <cstdio>
#include <diffusion/ddpm.hpp>
#include <vector>

int main() {
  using namespace diffusion;
  const auto schedule = cosine_schedule(1000);  // any schedule: t = 1 … 1000, 0 is clean data
  const auto grid = trailing_grid(1000, 250);   // 250 of its steps
  // Your network goes here. Data that are N(0.5, 0.1²) have an exact one: ε̂ = E[ε | x_t].
  const auto predictor = [](rows<const float> x, time_point<int> at, rows<float> out) {
    const auto [alpha, sigma] = at.level;
    const double slope = sigma / (alpha * alpha * 0.01 + sigma * sigma);
    for (std::size_t i = 0; i < x.data().size(); ++i)
      out.data()[i] = static_cast<float>(slope * (x.data()[i] - alpha * 0.5));
  };
  std::vector<float> values(16 * 4096);  // 16 samples of 4096 elements
  rows<float> x(values, 16);
  workspace<float> work(x.count(), x.row_size());  // all memory of the run
  const philox_normal noise{42};                   // seed
  draw_noise(noise, 0, 0, x);                      // x_T ~ N(0, I)
  sample(schedule, grid, ddim{}, predictor, noise, x, work);

  double mean = 0, square = 0;
  for (const float v : values) mean += v, square += double(v) * v;
  mean /= double(values.size());
  std::printf("mean %.3f, std %.3f\n", mean, std::sqrt(square / double(values.size()) - mean * mean));
}
