#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nn/config.hpp"
#include "nn/network.hpp"
#include "nn/optimizer.hpp"
#include "nn/parallel.hpp"
#include "nn/parameters.hpp"

namespace mnist {

/// U-Net with its parameters. A batch is worked off in chunks of a fixed number of images, spread over
/// threads; each chunk has a gradient of its own and these are summed in order, so results do not depend on
/// the number of threads. Calls change internal buffers: one object serves one caller at a time.
template <class T>
class unet {
 public:
  static constexpr int chunk = 8;  ///< images

  /// Freshly initialised parameters, equal for equal seeds. Throws std::invalid_argument for a bad
  /// configuration.
  unet(unet_config config, std::uint64_t seed)
      : config_((config.validate(), std::move(config))), network_(config_, layout_), values_(layout_.size()) {
    Eigen::setNbThreads(1);  // the threads are ours: Eigen's split of a product depends on their number
    initialize<T>(layout_, seed, values_);
    set_threads(available_threads());
  }

  [[nodiscard]] const unet_config& config() const { return config_; }
  /// Names, shapes and places of the parameters in values() and in gradients.
  [[nodiscard]] const parameter_layout& layout() const { return layout_; }
  [[nodiscard]] std::span<T> values() { return values_; }
  [[nodiscard]] std::span<const T> values() const { return values_; }

  /// Threads to use from now on, at least 1; without OpenMP there is always one.
  void set_threads(int threads) {
    if (threads < 1) throw std::invalid_argument("threads = " + std::to_string(threads) + ", must be >= 1");
    workers_ = std::vector<network_run<T>>(static_cast<std::size_t>(threads));
  }

  /// Memory of the parameters and of all buffers that forward and gradient have needed so far.
  [[nodiscard]] std::size_t bytes() const {
    std::size_t elements = values_.size(), sum = 0;
    for (const auto& gradient : chunk_gradients_) elements += gradient.size();
    for (const auto& run : workers_) {
      elements += run.y.size() + run.dy.size();
      sum += run.pool.bytes();
    }
    return sum + elements * sizeof(T);
  }

  /// Evaluates n images x [n, 1, image, image] at times t [n] to y, of the shape of x. Time 0 is the least
  /// noisy step; fractions are allowed. `classes` [n] holds labels, `config().classes` being the null class;
  /// a null pointer stands for the null class everywhere. Throws std::invalid_argument for n < 0, a time that
  /// is not finite, a label out of range or labels for an unconditional network.
  void forward(int n, const T* x, const T* t, const int* classes, T* y) {
    const int* labels = checked_labels(n, t, classes);
    for_each_chunk(n, [&](network_run<T>& run, int, int first, int count) {
      const std::size_t at = pixels(first);
      network_.forward(values_.data(), run, count, config_.image, x + at, t + first, offset(labels, first),
                       y + at);
    });
  }

  /// Gradient of any loss. loss(first, count, y, dy) is called for every chunk, from any thread: it gets the
  /// outputs y of images [first, first + count), writes dL/dy, and returns the chunk's share of the loss.
  /// `gradient` receives the sum of dL/dparameter over all images, grad_x (may be null) dL/dx. Returns the
  /// sum of the shares. `drop` makes the residual blocks drop elements. Other arguments and errors as for
  /// forward; also throws when `gradient` has not layout().size() elements.
  template <class Loss>
  double gradient(int n, const T* x, const T* t, const int* classes, Loss&& loss, std::span<T> gradient,
                  T* grad_x = nullptr, const dropout& drop = {}) {
    detail::require_size("unet: gradient", gradient.size(), values_.size());
    const int* labels = checked_labels(n, t, classes);
    const std::size_t chunks = static_cast<std::size_t>((n + chunk - 1) / chunk);
    chunk_gradients_.resize(std::max(chunks, chunk_gradients_.size()));
    chunk_losses_.assign(chunks, 0);
    for_each_chunk(n, [&](network_run<T>& run, int number, int first, int count) {
      const std::size_t at = pixels(first), c = static_cast<std::size_t>(number);
      chunk_gradients_[c].assign(values_.size(), T(0));
      run.y.resize(pixels(count));
      run.dy.resize(pixels(count));
      network_.forward(values_.data(), run, count, config_.image, x + at, t + first, offset(labels, first),
                       run.y.data(), drop.from_image(first));
      chunk_losses_[c] = loss(first, count, std::span<const T>(run.y), std::span<T>(run.dy));
      network_.backward(values_.data(), run, offset(labels, first), run.dy.data(), chunk_gradients_[c].data(),
                        grad_x ? grad_x + at : nullptr);
    });
    sum_chunks(chunks, gradient);
    return std::accumulate(chunk_losses_.begin(), chunk_losses_.end(), 0.0);
  }

  /// Mean squared error between the network's outputs and `target` [n, 1, image, image], and its gradient.
  /// `weights` [n] count the images; null: all alike.
  double mse_gradient(int n, const T* x, const T* t, const int* classes, const T* target, std::span<T> grad,
                      const double* weights = nullptr, const dropout& drop = {}) {
    const double elements = static_cast<double>(pixels(n));
    const auto loss = [&](int first, int count, std::span<const T> y, std::span<T> dy) {
      if (!weights) return mnist::mse_gradient<T>(y, {target + pixels(first), y.size()}, elements, dy);
      double sum = 0;
      const std::size_t one = pixels(1);
      for (int i = 0; i < count; ++i) {
        const std::size_t at = pixels(i);
        sum += mnist::mse_gradient<T>(y.subspan(at, one), {target + pixels(first + i), one},
                                      elements / weights[first + i], dy.subspan(at, one));
      }
      return sum;
    };
    return gradient(n, x, t, classes, loss, grad, nullptr, drop);
  }

 private:
  /// f(run, number, first, count) for the images [first, first + count) of every chunk.
  template <class F>
  void for_each_chunk(int n, F&& f) {
    const int threads = static_cast<int>(workers_.size());
    parallel_for((n + chunk - 1) / chunk, threads, [&](int number, int thread) {
      const int first = number * chunk;
      f(workers_[static_cast<std::size_t>(thread)], number, first, std::min(chunk, n - first));
    });
  }

  /// Sums the first `chunks` chunk gradients in order, a block of parameters at a time.
  void sum_chunks(std::size_t chunks, std::span<T> sum) {
    constexpr std::size_t block = 8192;
    const int blocks = static_cast<int>((sum.size() + block - 1) / block);
    parallel_for(blocks, static_cast<int>(workers_.size()), [&](int b, int) {
      const std::size_t first = static_cast<std::size_t>(b) * block;
      const Index size = static_cast<Index>(std::min(block, sum.size() - first));
      array_view<T> total(sum.data() + first, size);
      total.setZero();
      for (std::size_t c = 0; c < chunks; ++c)
        total += const_array_view<T>(chunk_gradients_[c].data() + first, size);
    });
  }

  const int* checked_labels(int n, const T* t, const int* classes) {
    const auto fail = [](const std::string& what, const auto& value, const std::string& allowed) {
      throw std::invalid_argument("unet: " + what + " = " + std::to_string(value) + ", must be " + allowed);
    };
    if (n < 0) fail("n", n, ">= 0");
    for (int i = 0; i < n; ++i) {
      if (!std::isfinite(t[i])) fail("t[" + std::to_string(i) + "]", t[i], "finite");
    }
    if (config_.classes == 0) {
      if (classes)
        throw std::invalid_argument("unet: labels given, must be null: the network has no classes");
      return nullptr;
    }
    if (!classes) {
      null_labels_.assign(static_cast<std::size_t>(n), config_.classes);
      return null_labels_.data();
    }
    for (int i = 0; i < n; ++i) {
      if (classes[i] < 0 || classes[i] > config_.classes) {
        fail("class[" + std::to_string(i) + "]", classes[i], "0.." + std::to_string(config_.classes));
      }
    }
    return classes;
  }

  [[nodiscard]] std::size_t pixels(int images) const {
    return static_cast<std::size_t>(images) * static_cast<std::size_t>(config_.image * config_.image);
  }
  [[nodiscard]] static const int* offset(const int* labels, int first) {
    return labels ? labels + first : nullptr;
  }

  unet_config config_;
  parameter_layout layout_;
  network network_;
  aligned_vector<T> values_;
  std::vector<network_run<T>> workers_;
  std::vector<aligned_vector<T>> chunk_gradients_;
  std::vector<double> chunk_losses_;
  std::vector<int> null_labels_;
};

}  // namespace mnist
