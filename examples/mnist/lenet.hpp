// A small LeNet that recognises digits, used to score generated ones: two 5x5 convolutions with ReLU and 2x2
// max pooling, then 1568 -> 128 (the features) -> 10 logits.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "frechet.hpp"
#include "io/safetensors.hpp"
#include "nn/parallel.hpp"

namespace mnist {

class lenet {
 public:
  static constexpr Eigen::Index side = 28, feature_count = 128, classes = 10;
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// One row per image.
  struct output {
    matrix features, logits;
  };

  /// Reads the weights; throws std::runtime_error naming the file if a tensor is missing or of another shape.
  explicit lenet(const std::filesystem::path& path) {
    Eigen::setNbThreads(1);  // the threads are ours: Eigen's split of a product depends on their number
    const auto file = read_safetensors(path);
    const auto load = [&](layer& to, const std::string& name, std::vector<std::size_t> shape) {
      const std::size_t outputs = shape[0];
      const auto weight = tensor(file, path, name + ".weight", shape);
      const auto bias = tensor(file, path, name + ".bias", {outputs});
      const auto rows = static_cast<Eigen::Index>(outputs);
      to.weight =
          Eigen::Map<const matrix>(weight.data(), rows, static_cast<Eigen::Index>(weight.size()) / rows);
      to.bias = Eigen::Map<const Eigen::VectorXf>(bias.data(), rows);
    };
    load(conv1_, "conv1", {16, 1, 5, 5});
    load(conv2_, "conv2", {32, 16, 5, 5});
    load(fc1_, "fc1", {feature_count, 32 * 7 * 7});
    load(fc2_, "fc2", {classes, feature_count});
  }

  /// Features and logits of images n x 28 x 28 with pixel values 0..255; they do not depend on the number of
  /// threads. Throws std::invalid_argument if `pixels` is no whole number of images.
  [[nodiscard]] output operator()(std::span<const std::uint8_t> pixels, int threads = 1) const {
    constexpr Eigen::Index area = side * side;
    if (pixels.size() % area != 0)
      throw std::invalid_argument(std::to_string(pixels.size()) +
                                  " pixels are no whole number of 28 x 28 images");
    const auto count = static_cast<Eigen::Index>(pixels.size()) / area;
    output out{matrix(count, feature_count), matrix(count, classes)};
    // Blocks bound the memory of the flattened activations, and are what threads share.
    constexpr Eigen::Index block = 64;
    parallel_for(static_cast<int>((count + block - 1) / block), threads, [&](int part, int) {
      const Eigen::Index first = part * block, n = std::min(block, count - first);
      matrix flat(n, fc1_.weight.cols());
      for (Eigen::Index i = 0; i < n; ++i) {
        const Eigen::Map<const Eigen::Matrix<std::uint8_t, 1, area>> image(pixels.data() +
                                                                           (first + i) * area);
        const matrix x = ((image.cast<float>().array() / 255.0f - 0.1307f) / 0.3081f).matrix();
        const matrix h = pool(convolve(conv2_, pool(convolve(conv1_, x, side), side), side / 2), side / 2);
        flat.row(i) = h.reshaped<Eigen::RowMajor>().transpose();
      }
      out.features.middleRows(first, n) =
          ((flat * fc1_.weight.transpose()).rowwise() + fc1_.bias.transpose()).cwiseMax(0.0f);
      out.logits.middleRows(first, n) =
          (out.features.middleRows(first, n) * fc2_.weight.transpose()).rowwise() + fc2_.bias.transpose();
    });
    return out;
  }

 private:
  struct layer {
    matrix weight;  // outputs x (inputs * kernel * kernel)
    Eigen::VectorXf bias;
  };

  static std::vector<float> tensor(const safetensors_file& file, const std::filesystem::path& path,
                                   const std::string& name, const std::vector<std::size_t>& shape) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.shape != shape)
      throw std::runtime_error(path.string() + ": no tensor \"" + name + "\" of shape " +
                               nlohmann::json(shape).dump());
    return found->second.as<float>();
  }

  /// ReLU of a 5x5 cross-correlation with zero padding 2; x holds a channel of width x width per row.
  static matrix convolve(const layer& l, const matrix& x, Eigen::Index width) {
    matrix patches = matrix::Zero(x.rows() * 25, width * width);
    for (Eigen::Index c = 0; c < x.rows(); ++c)
      for (Eigen::Index u = 0; u < 5; ++u)
        for (Eigen::Index v = 0; v < 5; ++v)
          for (Eigen::Index row = std::max<Eigen::Index>(0, 2 - u); row < std::min(width, width + 2 - u);
               ++row) {
            const Eigen::Index begin = std::max<Eigen::Index>(0, 2 - v), end = std::min(width, width + 2 - v);
            patches.row((c * 5 + u) * 5 + v).segment(row * width + begin, end - begin) =
                x.row(c).segment((row + u - 2) * width + begin + v - 2, end - begin);
          }
    return ((l.weight * patches).colwise() + l.bias).cwiseMax(0.0f);
  }

  /// 2x2 max pooling; halves `width`.
  static matrix pool(const matrix& x, Eigen::Index width) {
    const Eigen::Index half = width / 2;
    matrix y(x.rows(), half * half);
    for (Eigen::Index c = 0; c < x.rows(); ++c)
      for (Eigen::Index row = 0; row < half; ++row)
        for (Eigen::Index col = 0; col < half; ++col) {
          const float* corner = &x(c, 2 * row * width + 2 * col);
          y(c, row * half + col) = std::max({corner[0], corner[1], corner[width], corner[width + 1]});
        }
    return y;
  }

  layer conv1_, conv2_, fc1_, fc2_;
};

/// Reads the tensors `count` [1], `mean` [n] and `cov` [n, n] of features. Throws std::runtime_error naming
/// the file and the flaw.
[[nodiscard]] inline feature_statistics read_feature_statistics(const std::filesystem::path& path) try {
  const auto file = read_safetensors(path);
  const auto values = [&](const std::string& name) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) throw std::runtime_error("no tensor \"" + name + "\"");
    return found->second.as<double>();
  };
  const auto count = values("count"), mean = values("mean"), covariance = values("cov");
  const auto size = static_cast<Eigen::Index>(mean.size());
  if (count.size() != 1 || !(count[0] >= 2 && count[0] <= 1e15) ||
      covariance.size() != mean.size() * mean.size())
    throw std::runtime_error("expected a count of at least 2, a mean [n] and a covariance [n, n]");
  return {static_cast<Eigen::Index>(count[0]), Eigen::Map<const Eigen::VectorXd>(mean.data(), size),
          Eigen::Map<const Eigen::MatrixXd>(covariance.data(), size, size)};
} catch (const std::exception& error) {
  throw std::runtime_error(path.string() + ": " + error.what());
}

/// How sure the classifier is of a set of images.
struct digit_score {
  double mean_confidence = 0;  ///< mean of the largest softmax probability
  double share_confident = 0;  ///< share of images where that is above 0.9
  std::vector<int> predicted;  ///< the class of each image
};

/// Scores images by their logits, a row per image. Throws std::invalid_argument if there is none.
[[nodiscard]] inline digit_score score(const lenet::matrix& logits) {
  if (logits.rows() == 0) throw std::invalid_argument("there are no images to score");
  digit_score result;
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    Eigen::Index best = 0;
    const float largest = logits.row(i).maxCoeff(&best);
    const double confidence = 1.0 / (logits.row(i).array() - largest).cast<double>().exp().sum();
    result.mean_confidence += confidence;
    result.share_confident += confidence > 0.9;
    result.predicted.push_back(static_cast<int>(best));
  }
  result.mean_confidence /= static_cast<double>(logits.rows());
  result.share_confident /= static_cast<double>(logits.rows());
  return result;
}

}  // namespace mnist
