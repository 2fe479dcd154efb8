#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "nn/activation.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// What follows a normalisation.
enum class activation { none, silu };

/// Group normalisation with a learned scale and shift per channel, then the activation in the same pass. The
/// channels form contiguous groups; mean and biased variance are those of one group of one image.
struct group_norm {
  static constexpr double epsilon = 1e-5;
  int channels = 0, groups = 0;
  activation then = activation::none;
  std::size_t weight = 0, bias = 0;

  group_norm() = default;
  /// The number of groups is gcd(max_groups, channels).
  group_norm(parameter_layout& layout, const std::string& name, int channels_, int max_groups,
             activation then_)
      : channels(channels_), groups(std::gcd(max_groups, channels_)), then(then_) {
    weight = layout.add(name + ".weight", {channels}, {initial_value::constant, 1});
    bias = layout.add(name + ".bias", {channels}, {});
  }

  /// n x h x w x channels -> the same shape. `stats` becomes n x 1 x 2 x channels: mean and 1/sqrt(variance +
  /// epsilon) of each channel's group.
  template <class T>
  [[nodiscard]] tensor<T> forward(const T* values, const tensor<T>& x, tensor<T>& stats) const {
    const const_array_view<T> a(values + weight, channels), b(values + bias, channels);
    const T count = static_cast<T>(x.area() * (channels / groups));
    tensor<T> y = like(x), lines(x.pool(), 1, 4, x.w, channels);
    auto sum = line(lines, 0), mean = line(lines, 1), scale = line(lines, 2), shift = line(lines, 3);
    repeat(b, shift);
    stats = tensor<T>(x.pool(), x.n, 2, 1, channels);
    for (int image = 0; image < x.n; ++image) {
      const int first = image * x.h, last = first + x.h;
      auto channel_mean = line(stats, 2 * image), channel_scale = line(stats, 2 * image + 1);

      sum.setZero();
      for (int i = first; i < last; ++i) sum += line(x, i);
      channel_mean = pixel_sum(sum);
      sum_groups(channel_mean);
      channel_mean /= count;
      repeat(channel_mean, mean);

      sum.setZero();
      for (int i = first; i < last; ++i) sum += (line(x, i) - mean).square();
      channel_scale = pixel_sum(sum);
      sum_groups(channel_scale);
      channel_scale = (channel_scale / count + static_cast<T>(epsilon)).sqrt().inverse();
      repeat(channel_scale * a, scale);

      for (int i = first; i < last; ++i) {
        auto z = line(y, i);
        z = (line(x, i) - mean) * scale + shift;
        if (then == activation::silu) z *= sigmoid(z);
      }
    }
    return y;
  }

  /// Returns dL/dx from dL/dy, adds the gradients of the parameters to `grads`. Takes the `stats` of the
  /// forward pass.
  template <class T>
  [[nodiscard]] tensor<T> backward(const T* values, const tensor<T>& x, const tensor<T>& stats,
                                   const tensor<T>& dy, T* grads) const {
    const const_array_view<T> a(values + weight, channels), b(values + bias, channels);
    array_view<T> da(grads + weight, channels), db(grads + bias, channels);
    const T count = static_cast<T>(x.area() * (channels / groups));
    tensor<T> dx = like(x), lines(x.pool(), 1, 7, x.w, channels), sums(x.pool(), 1, 2, 1, channels);
    auto mean = line(lines, 0), scale = line(lines, 1), shift = line(lines, 2), z = line(lines, 3),
         s = line(lines, 4);
    auto sum = line(lines, 5), product = line(lines, 6), dbias = line(sums, 0), dweight = line(sums, 1);
    repeat(b, shift);
    for (int image = 0; image < x.n; ++image) {
      const int first = image * x.h, last = first + x.h;
      const auto channel_scale = line(stats, 2 * image + 1);
      repeat(line(stats, 2 * image), mean);
      repeat(channel_scale * a, scale);

      // The gradient before the activation, its sum, and the sum of its product with x - mean.
      sum.setZero();
      product.setZero();
      for (int i = first; i < last; ++i) {
        auto dz = line(dx, i);
        dz = line(dy, i);
        if (then == activation::silu) {
          z = (line(x, i) - mean) * scale + shift;
          s = sigmoid(z);
          dz *= s * (1 + z * (1 - s));
        }
        sum += dz;
        product += dz * (line(x, i) - mean);
      }
      dbias = pixel_sum(sum);
      dweight = pixel_sum(product) * channel_scale;
      db += dbias;
      da += dweight;

      // With u = a dz the gradient of the normalised input xhat: dx = (u - mean of u - xhat * mean of u xhat)
      // * scale.
      dbias *= a;
      dweight *= a;
      sum_groups(dbias);
      sum_groups(dweight);
      repeat(dbias * channel_scale / count, sum);
      repeat(dweight * channel_scale.square() / count, product);
      for (int i = first; i < last; ++i)
        line(dx, i) = line(dx, i) * scale - sum - (line(x, i) - mean) * product;
    }
    return dx;
  }

 private:
  /// Row i of all images' rows: the channels of w pixels. What belongs to a channel is repeated w times to
  /// meet it.
  template <class T>
  static array_view<T> line(tensor<T>& x, int i) {
    const Index length = Index{x.w} * x.channels;
    return {x.data() + i * length, length};
  }
  template <class T>
  static const_array_view<T> line(const tensor<T>& x, int i) {
    const Index length = Index{x.w} * x.channels;
    return {x.data() + i * length, length};
  }

  /// Fills a line with the same channels for every pixel.
  template <class Channels, class T>
  void repeat(const Channels& x, array_view<T>& to) const {
    to.head(channels) = x;
    for (Index filled = channels; filled < to.size(); filled += channels) {
      to.segment(filled, channels) = to.head(channels);
    }
  }

  /// Sums a line over its pixels.
  template <class T>
  auto pixel_sum(const array_view<T>& x) const {
    return const_matrix_view<T>(x.data(), x.size() / channels, channels).colwise().sum().array();
  }

  /// Replaces the value of each channel by the sum over its group.
  template <class T>
  void sum_groups(array_view<T>& x) const {
    for (int g = 0; g < groups; ++g) {
      auto group = x.segment(g * (channels / groups), channels / groups);
      group.setConstant(group.sum());
    }
  }
};

}  // namespace mnist
