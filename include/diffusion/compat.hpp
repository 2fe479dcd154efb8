#pragma once

namespace diffusion {

/// Names the project whose numbers to reproduce where its code departs from the mathematics. The default is
/// right.
enum class compat { none, diffusers, k_diffusion };

}  // namespace diffusion
