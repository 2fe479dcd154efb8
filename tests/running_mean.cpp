#include "diffusion/running_mean.hpp"

#include <cmath>

#include "support/check.hpp"

using diffusion::running_mean;

TEST_CASE("A running mean has the mean and the standard error of its draws") {
  running_mean draws;
  CHECK(draws.mean() == 0);
  CHECK(std::isnan(draws.standard_error()));
  draws.add(3);
  CHECK(draws.mean() == 3);
  CHECK(std::isnan(draws.standard_error()));
  for (const double value : {5.0, 1.0, 7.0}) draws.add(value);
  CHECK(draws.count() == 4);
  CHECK(draws.mean() == 4);
  // Σ (x - 4)² = 20; 20 / 3 is the variance of a draw.
  CHECK(draws.standard_error() == Approx(std::sqrt(20.0 / 3 / 4)).epsilon(1e-15));
}

TEST_CASE("A large mean does not cost the standard error its digits") {
  running_mean draws;
  for (const double value : {1e9 + 1, 1e9 + 2, 1e9 + 3}) draws.add(value);
  CHECK(draws.standard_error() == Approx(std::sqrt(1.0 / 3)).epsilon(1e-7));
}
