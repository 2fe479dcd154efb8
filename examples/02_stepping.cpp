// A run by hand: previews, a save and an exact continuation.
#include <cstdio>
#include <diffusion/ddpm.hpp>
#include <vector>

int main() {
  using namespace diffusion;
  const auto schedule = scaled_linear_schedule(1000);
  const auto grid = leading_grid(1000, 5, 1);
  // A v-predicting network for data that are always 2: x̂0 = 2, so v̂ = α ε̂ - 2 σ with ε̂ = (x - 2 α)/σ.
  auto network = predicts<prediction::v>([](rows<const double> x, time_point<int> at, rows<double> out) {
    const auto [alpha, sigma] = at.level;
    for (std::size_t i = 0; i < x.data().size(); ++i)
      out.data()[i] = alpha * (x.data()[i] - 2 * alpha) / sigma - 2 * sigma;
  });
  const philox_normal noise{1};
  std::vector<double> values(3), guess(3);
  rows<double> x(values, 3);
  workspace<double> work;
  draw_noise(noise, 0, 0, x);

  stepper run(schedule, grid, ddpm{}, x, work, {.x0 = x0_clip{1.5}});
  run_state<double> saved;
  while (!run.done()) {
    if (run.stage_index() == 2) saved = run.save();
    run.predict(network);
    run.preview(rows<double>(guess, 3));
    std::printf("t = %3.0f to %3.0f: x = %6.3f, predicted x0 = %.3f\n", run.current().from.t,
                run.current().to.t, values[0], guess[0]);
    run.advance(noise);
  }
  const double first = values[0];
  run.restore(
      saved);  // back to before the third step; the noise is addressed, so the run repeats itself exactly
  while (!run.done()) run.step(network, noise);
  std::printf("x = %.3f, again %s\n", first, values[0] == first ? "bit-identical" : "different");
}
