// What a step of training shows to the network. All that is random is drawn from addresses, so a batch
// depends on the seed and on the number of its step alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/ddpm.hpp"
#include "diffusion/loss_weight.hpp"
#include "diffusion/noisy_data.hpp"
#include "diffusion/training_times.hpp"
#include "io/idx.hpp"
#include "process.hpp"

namespace mnist {

namespace detail {

/// The streams of random numbers of a run: what the `step` of an address means in training.
enum stream : std::uint32_t {
  noise_stream,
  time_stream,
  order_stream,
  dropout_stream,             ///< and those behind it: one for each layer
  data_stream = 0xffff'ffff,  ///< noise of the data, its sample the image's number
};

/// The order of the images in an epoch, a permutation of 0 ... count - 1 (Fisher and Yates).
[[nodiscard]] inline std::vector<std::size_t> image_order(std::uint64_t seed, std::uint64_t epoch,
                                                          std::size_t count) {
  const diffusion::addressed_words words(seed, epoch, order_stream);
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i) {
    const std::uint32_t word = words[static_cast<std::uint32_t>(i)][0];
    std::swap(order[i - 1],
              order[static_cast<std::size_t>(diffusion::unit_uniform(word) * static_cast<double>(i))]);
  }
  return order;
}

}  // namespace detail

struct batch_options {
  std::size_t size = 64;  ///< images in a batch
  std::uint64_t seed = 1;
  double drop_labels = 0;  ///< share of images whose label becomes `null_label`
  int null_label = 10;
  double min_snr_gamma = 0;  ///< limit of the min-SNR weights; 0: no weights
  double noisy_data = 0;     ///< deviation of the noise that every image has, the same whenever it is shown
  bool naive = false;        ///< train as if the noise were part of the images
};

/// Draws batches: images in a new order every epoch, noised to random times.
class batch_source {
 public:
  /// Throws std::invalid_argument if the images do not fill a batch or the process is not valid.
  batch_source(labelled_images data, const process_config& process, batch_options options)
      : data_(std::move(data)), schedule_(process.make_schedule()), kind_(process.kind()), options_(options) {
    const std::size_t size = options.size, pixels = data_.images.rows * data_.images.cols;
    if (size == 0 || data_.images.count < size)
      throw std::invalid_argument(std::to_string(data_.images.count) + " images do not fill a batch of " +
                                  std::to_string(size));
    for (auto* values : {&x0_, &eps_, &x_t_, &target_}) values->resize(size * pixels);
    levels_.resize(size);
    times_.resize(size);
    labels_.resize(size);
    if (options.min_snr_gamma > 0 || recorrupts()) weights_.resize(size);
    first_time_ = recorrupts() ? first_time(schedule_, options.noisy_data) : 1;
  }

  [[nodiscard]] const labelled_images& data() const { return data_; }
  /// Batches in an epoch; the images that do not fill one are left out.
  [[nodiscard]] std::size_t per_epoch() const { return data_.images.count / options_.size; }

  /// Address of the current batch's first image: no other of the run has it.
  [[nodiscard]] std::uint64_t first_sample() const { return first_sample_; }

  // Of the current batch, a row or an element for each image:
  [[nodiscard]] const float* x_t() const { return x_t_.data(); }        ///< noised images
  [[nodiscard]] const float* target() const { return target_.data(); }  ///< what the network should answer
  [[nodiscard]] const float* times() const { return times_.data(); }    ///< t - 1: the network counts from 0
  [[nodiscard]] const int* labels() const { return labels_.data(); }    ///< digits and null labels
  /// Weights of the squared errors; null: all count alike.
  [[nodiscard]] const double* weights() const { return weights_.empty() ? nullptr : weights_.data(); }

  /// Makes the batch of step 0, 1, ... the current one.
  void draw(std::uint64_t step) {
    const std::uint64_t epoch = step / per_epoch(), first_sample = step * options_.size;
    first_sample_ = first_sample;
    if (order_.empty() || epoch != epoch_) {
      order_ = detail::image_order(options_.seed, epoch, data_.images.count);
      epoch_ = epoch;
    }
    const diffusion::rows<float> x0(x0_, options_.size), eps(eps_, options_.size), x_t(x_t_, options_.size),
        target(target_, options_.size);
    const int times = schedule_.steps() - first_time_ + 1;
    const diffusion::philox_normal noise{options_.seed};
    for (std::size_t i = 0; i < options_.size; ++i) {
      const std::size_t image = order_[step % per_epoch() * options_.size + i];
      const auto words = diffusion::addressed_words(options_.seed, first_sample + i, detail::time_stream)[0];
      const double u = diffusion::stratified(diffusion::unit_uniform(words[0]), i, options_.size);
      const int t = first_time_ - 1 + diffusion::uniform_time(u, times);
      levels_[i] = schedule_.level(t);
      if (!weights_.empty())
        weights_[i] =
            options_.min_snr_gamma > 0
                ? diffusion::output_weight(kind_, levels_[i],
                                           diffusion::min_snr_weights(levels_[i], options_.min_snr_gamma))
                : 1;
      if (recorrupts()) weights_[i] *= diffusion::recorrupt(levels_[i], options_.noisy_data).weight;
      times_[i] = static_cast<float>(t - 1);
      labels_[i] = diffusion::unit_uniform(words[1]) < options_.drop_labels ? options_.null_label
                                                                            : data_.labels[image];
      const auto pixels = std::span(data_.images.pixels).subspan(image * x0.row_size(), x0.row_size());
      std::transform(pixels.begin(), pixels.end(), x0[i].begin(),
                     [](std::uint8_t p) { return static_cast<float>(p) / 127.5f - 1; });
      if (options_.noisy_data > 0) {
        noise(image, detail::data_stream, eps[i]);
        diffusion::linear_combination(1, x0[i], options_.noisy_data, eps[i], x0[i]);
      }
    }
    if (recorrupts()) {
      diffusion::draw_noise(noise, detail::noise_stream, first_sample, eps);
      diffusion::recorrupt(levels_, options_.noisy_data, x0, eps, x_t, eps);
      diffusion::noise2noise_target(kind_, levels_, x_t, eps, target);
    } else {
      diffusion::q_sample(levels_, x0, noise, detail::noise_stream, first_sample, eps, x_t);
      diffusion::training_target(kind_, levels_, x0, eps, target);
    }
  }

 private:
  /// Whether the loss is one for noisy data.
  [[nodiscard]] bool recorrupts() const { return options_.noisy_data > 0 && !options_.naive; }

  labelled_images data_;
  vp_schedule schedule_;
  diffusion::prediction kind_;
  batch_options options_;
  int first_time_ = 1;
  std::vector<std::size_t> order_;
  std::uint64_t epoch_ = 0, first_sample_ = 0;
  std::vector<diffusion::noise_level> levels_;
  std::vector<double> weights_;
  std::vector<float> x0_, eps_, x_t_, target_, times_;
  std::vector<int> labels_;
};

}  // namespace mnist
