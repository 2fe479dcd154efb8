#include "diffusion/timestep_embedding.hpp"

#include <vector>

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

template <class T = double>
std::vector<T> embedded(double t, std::size_t size, timestep_embedding_options options = {}) {
  std::vector<T> embedding(size, T(9));
  timestep_embedding(t, std::span<T>(embedding), options);
  return embedding;
}

}  // namespace

TEST_CASE("A timestep embedding is sines and cosines of falling frequencies") {
  // Four frequencies from 1 to 1/1000 in steps of 10.
  const double t = 12;
  const std::vector<double> f{1, 0.1, 0.01, 0.001};
  std::vector<double> sine_first, cosine_first;
  for (const double frequency : f) sine_first.push_back(std::sin(t * frequency));
  for (const double frequency : f) sine_first.push_back(std::cos(t * frequency));
  cosine_first.insert(cosine_first.end(), sine_first.begin() + 4, sine_first.end());
  cosine_first.insert(cosine_first.end(), sine_first.begin(), sine_first.begin() + 4);
  // The frequency has an exponent of at most 7, the angle at most 12.
  const double tolerance = 12 * 16 * roundoff<>;
  support::check_close(embedded(t, 8, {.max_period = 1000}), sine_first, tolerance);
  support::check_close(embedded(t, 8, {.cosine_first = true, .frequency_shift = 0, .max_period = 10000}),
                       cosine_first, tolerance);
  support::check_close(embedded(t / 5, 8, {.scale = 5, .max_period = 1000}), sine_first, tolerance);
}

TEST_CASE("Frequencies are shifted as Ho et al. and guided-diffusion do") {
  // half = 64: the last frequency is 1/10000 with shift 1 and 10000^(-63/64) with shift 0.
  CHECK(embedded(1, 128)[63] == Approx(std::sin(1e-4)).epsilon(1e-13));
  CHECK(embedded(1, 128, {.frequency_shift = 0})[63] ==
        Approx(std::sin(std::pow(1e4, -63.0 / 64))).epsilon(1e-13));
}

TEST_CASE("Embeddings at time 0, of two elements and of odd sizes are defined") {
  support::check_identical(embedded(0, 4), std::vector<double>{0, 0, 1, 1});
  support::check_identical(embedded(3, 2), std::vector<double>{std::sin(3.0), std::cos(3.0)});
  CHECK(embedded(3, 7).size() == 7);
  CHECK(embedded(3, 7)[6] == 0);
  support::check_identical(embedded(3, 3), std::vector<double>{std::sin(3.0), std::cos(3.0), 0});
}

TEST_CASE("Embeddings in float are those in double, rounded") {
  const auto wide = embedded(999, 64);
  const auto narrow = embedded<float>(999, 64);
  for (std::size_t i = 0; i < 64; ++i) CHECK(narrow[i] == static_cast<float>(wide[i]));
}

TEST_CASE("Embeddings with illegal options are refused") {
  check_refused([] { return embedded(1, 1); }, {"embedding size = 1", "at least 2"});
  check_refused([] { return embedded(1, 0); }, {"embedding size = 0", "at least 2"});
  check_refused([] { return embedded(1, 8, {.frequency_shift = 4}); }, {"frequency_shift = 4", "below 4"});
  check_refused([] { return embedded(1, 8, {.max_period = 0}); }, {"max_period = 0", "(0, inf)"});
  check_refused([] { return embedded(1, 8, {.max_period = std::nan("")}); }, {"max_period = nan"});
}
