#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "io/idx.hpp"
#include "lenet.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"

namespace {

const std::filesystem::path folder = MNIST_DIR "/classifier";

double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

/// The largest difference, relative to the largest expected value.
double error(const mnist::lenet::matrix& found, const std::vector<double>& expected) {
  REQUIRE(static_cast<std::size_t>(found.size()) == expected.size());
  std::vector<double> difference(expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) difference[i] = double{found.data()[i]} - expected[i];
  return largest(difference) / largest(expected);
}

}  // namespace

TEST_CASE("the classifier gives the features and logits of the reference", "[mnist][lenet]") {
  const auto check = mnist::read_safetensors(folder / "check.safetensors");
  std::vector<std::uint8_t> pixels;
  for (const float pixel : check.tensors.at("images").as<float>())
    pixels.push_back(static_cast<std::uint8_t>(pixel));
  const auto output = mnist::lenet(folder / "lenet.safetensors")(pixels);
  // A sum of n rounded products is off by about sqrt(n) 2^-24 of its size: 2.4e-6 for the longest, n = 1568.
  CHECK(error(output.features, check.tensors.at("features").as<double>()) < 2.4e-6);
  CHECK(error(output.logits, check.tensors.at("logits").as<double>()) < 2.4e-6);
}

TEST_CASE("the classifier recognises 99.57 % of the test digits", "[mnist][lenet][slow]") {
  const auto test = mnist::read_idx_pair(MNIST_DIR "/data/t10k-images-idx3-ubyte.gz",
                                         MNIST_DIR "/data/t10k-labels-idx1-ubyte.gz");
  const auto result = mnist::score(mnist::lenet(folder / "lenet.safetensors"), test.images.pixels);
  int right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) right += result.predicted[i] == test.labels[i];
  CHECK(right == 9957);
  CHECK(result.mean_confidence == Approx(0.9959).margin(5e-5));  // published to four digits
  CHECK(result.share_confident == Approx(0.989).margin(5e-4));   // published to three
}

TEST_CASE("a score needs images of 28 x 28 pixels", "[mnist][lenet]") {
  const mnist::lenet classifier(folder / "lenet.safetensors");
  CHECK_THROWS_AS(mnist::score(classifier, {}), std::invalid_argument);
  CHECK_THROWS_AS(mnist::score(classifier, std::vector<std::uint8_t>(783)), std::invalid_argument);
}

TEST_CASE("weights of another network are refused", "[mnist][lenet]") {
  const auto message = message_of([] { mnist::lenet{folder / "check.safetensors"}; });
  CHECK(contains(message, "check.safetensors: no tensor \"conv1.weight\" of shape [16,1,5,5]"));
}
