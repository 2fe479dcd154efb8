#include <cmath>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <utility>
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

// Features are off by 2.4e-6 at most (below), of either sign: moments of thousands of them, and what is made
// of those, by less.
constexpr double feature_rounding = 2.4e-6;

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

TEST_CASE("test digits have the published accuracy, confidence and Fréchet distances",
          "[mnist][lenet][slow]") {
  const auto test = mnist::read_idx_pair(MNIST_DIR "/data/t10k-images-idx3-ubyte.gz",
                                         MNIST_DIR "/data/t10k-labels-idx1-ubyte.gz");
  const auto output = mnist::lenet(folder / "lenet.safetensors")(test.images.pixels, 2);
  const auto result = mnist::score(output.logits);
  int right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) right += result.predicted[i] == test.labels[i];
  CHECK(right == 9957);
  CHECK(result.mean_confidence == Approx(0.9959).margin(5e-5));  // published to four digits
  CHECK(result.share_confident == Approx(0.989).margin(5e-4));   // published to three

  const auto published = mnist::read_safetensors(folder / "check.safetensors");
  const auto all = mnist::read_feature_statistics(folder / "stats_test.safetensors");
  for (const auto& [first, name] :
       {std::pair{0, "fid_test_0_2000_vs_test"}, std::pair{8000, "fid_test_8000_10000_vs_test"}}) {
    mnist::feature_statistics some;
    some.add(output.features.middleRows(first, 2000));
    const double expected = published.tensors.at(name).as<double>()[0];
    CHECK(mnist::frechet_distance(some, all) == Approx(expected).epsilon(feature_rounding));
  }
  mnist::feature_statistics whole;
  whole.add(output.features);
  CHECK(mnist::frechet_distance(whole, all) < feature_rounding * all.covariance().trace());
}

// Hidden: half a minute.
TEST_CASE("training digits have the published Fréchet distance", "[.][mnist][lenet][slow]") {
  const auto images = mnist::read_idx_images(MNIST_DIR "/data/train-images-idx3-ubyte.gz");
  mnist::feature_statistics train;
  train.add(mnist::lenet(folder / "lenet.safetensors")(images.pixels, 2).features);
  const auto expected =
      mnist::read_safetensors(folder / "check.safetensors").tensors.at("fid_train_vs_test").as<double>()[0];
  CHECK(mnist::frechet_distance(train, mnist::read_feature_statistics(folder / "stats_test.safetensors")) ==
        Approx(expected).epsilon(feature_rounding));
}

TEST_CASE("features and logits do not depend on the number of threads", "[mnist][lenet]") {
  std::vector<std::uint8_t> pixels(150 * 784);  // three blocks, the last one not full
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i % 251);
  const mnist::lenet classifier(folder / "lenet.safetensors");
  const auto one = classifier(pixels, 1), three = classifier(pixels, 3);
  CHECK((one.features == three.features));
  CHECK((one.logits == three.logits));
  CHECK(one.features.row(149).maxCoeff() > 0);
}

TEST_CASE("a score needs images of 28 x 28 pixels", "[mnist][lenet]") {
  const mnist::lenet classifier(folder / "lenet.safetensors");
  CHECK(classifier({}).features.rows() == 0);
  CHECK_THROWS_AS(mnist::score(classifier({}).logits), std::invalid_argument);
  CHECK_THROWS_AS(classifier(std::vector<std::uint8_t>(783)), std::invalid_argument);
}

TEST_CASE("weights of another network are refused", "[mnist][lenet]") {
  const auto message = message_of([] { mnist::lenet{folder / "check.safetensors"}; });
  CHECK(contains(message, "check.safetensors: no tensor \"conv1.weight\" of shape [16,1,5,5]"));
}
