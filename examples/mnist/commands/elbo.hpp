// What `mnist eval --elbo` does.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint.hpp"
#include "commands/progress.hpp"
#include "io/idx.hpp"

namespace mnist {

struct elbo_settings {
  int draws = 16;                      ///< times for each image
  bool labels = false;                 ///< the bound of p(x | label)
  std::string variance = "posterior";  ///< of the steps, see elbo_variances()
  std::string plot = "mnist_elbo.png";
};

/// The names that elbo_settings::variance may have, separated by commas.
[[nodiscard]] std::string elbo_variances();

/// Prints the variational bound of the images in bits per dimension, as estimated from a few times for each
/// image, and draws its terms over time. Throws std::invalid_argument for an option out of range, and for
/// labels where the network has no classes.
void run_elbo(model& m, const labelled_images& images, const elbo_settings& s, std::uint64_t seed,
              const console& to);

}  // namespace mnist
