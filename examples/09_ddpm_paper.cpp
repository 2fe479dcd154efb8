// The two algorithms of "Denoising Diffusion Probabilistic Models" (Ho et al. 2020), numbered as there. The
// data are N(1, 0.5²), the network is ε̂ = w_t x_t + b_t: the best for such data, so what training finds is
// known.
#include <cmath>
#include <cstdio>
#include <diffusion/ddpm.hpp>
#include <vector>
using namespace diffusion;

constexpr int T = 50;
constexpr std::size_t count = 8192;

struct linear_network {
  std::vector<double> w = std::vector<double>(T + 1), b = w;

  void operator()(rows<const double> x, time_point<int> at, rows<double> out) const {
    const auto t = static_cast<std::size_t>(at.t);
    for (std::size_t i = 0; i < x.count(); ++i) out[i][0] = w[t] * x[i][0] + b[t];
  }
};

int main() {
  const auto schedule = cosine_schedule(T);
  linear_network network;
  std::vector<double> memory(4 * count);
  const auto batch = [&](std::size_t i) { return rows(std::span(memory).subspan(i * count, count), count); };
  const rows<double> x0 = batch(0), eps = batch(1), x = batch(2), eps_hat = batch(3);

  // Algorithm 1, training
  const philox_normal data{1}, noise{2};
  std::vector<int> t(count);
  std::vector<noise_level> levels(count);
  for (std::uint32_t n = 0; n < 400; ++n) {  // 1: repeat
    draw_noise(data, n, 0, x0);
    for (double& value : x0.data()) value = 1 + 0.5 * value;  // 2: x_0 ~ q(x_0)
    for (std::size_t i = 0; i < count; ++i) {
      t[i] = 1 + static_cast<int>((n + i) % T);  // 3: t ~ Uniform({1, …, T}), here as often each
      levels[i] = schedule.level(t[i]);
    }
    q_sample(levels, x0, noise, n, 0, eps, x);  // 4: ε ~ N(0, I), and x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε
    for (std::size_t i = 0; i < count; ++i) {   // 5: a step down the gradient of ‖ε - ε̂(x_t, t)‖²
      double &w = network.w[static_cast<std::size_t>(t[i])], &b = network.b[static_cast<std::size_t>(t[i])];
      const double error = w * x[i][0] + b - eps[i][0], rate = 0.1 / (1 + n);
      w -= rate * error * x[i][0];
      b -= rate * error;
    }
  }  // 6: until converged
  for (const int k : {1, 25, 50}) {
    const auto [a, s] = schedule.level(k);
    const double exact = s / (a * a * 0.25 + s * s);
    std::printf("t = %2d: w = %.3f, exactly %.3f; b = %.3f, exactly %.3f\n", k,
                network.w[static_cast<std::size_t>(k)], exact, network.b[static_cast<std::size_t>(k)],
                -a * exact);
  }

  // Algorithm 2, sampling
  const philox_normal draws{3};
  draws.row(0, 0).fill(x.data());  // 1: x_T ~ N(0, I)
  for (int k = T; k >= 1; --k) {   // 2: for t = T, …, 1
    const noise_level from = schedule.level(k), to = schedule.level(k - 1);
    network(x, {k, from}, eps_hat);
    const auto z = draws.row(0, static_cast<std::uint32_t>(k));  // 3: z ~ N(0, I), times 0 at t = 1
    // 4: x_{t-1} = μ̃(x_t, x̂0) + √β̃_t z
    apply_step({x0_map(prediction::epsilon, from), {}, {}, posterior(from, to)}, eps_hat.data(), z, x.data());
  }                             // 5: end for
  double mean = 0, square = 0;  // 6: return x_0
  for (const double v : x.data()) mean += v / count, square += v * v / count;
  std::printf("samples: mean %.2f, deviation %.2f\n", mean, std::sqrt(square - mean * mean));
}
