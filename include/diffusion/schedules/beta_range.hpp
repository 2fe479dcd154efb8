#pragma once

namespace diffusion {

/// Ends of a table of betas; the defaults are those of Ho et al. 2020 for T = 1000.
struct beta_range {
  double start = 1e-4;
  double end = 0.02;
};

/// The default range for T steps with the same total noise as 1000 steps: multiplied by 1000/T
/// (Nichol & Dhariwal 2021). Legal from T = 20 on, where the last beta is 1.
[[nodiscard]] constexpr beta_range rescaled_beta_range(int steps) noexcept {
  return {1e-4 * (1000.0 / steps), 0.02 * (1000.0 / steps)};
}

}  // namespace diffusion
