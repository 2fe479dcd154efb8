#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/tensor.hpp"

namespace mnist {

namespace detail {

inline void require_size(const char* what, std::size_t size, std::size_t expected) {
  if (size != expected) {
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(size) + " elements, must be " +
                                std::to_string(expected));
  }
}

template <class T>
const_array_view<T> as_array(std::span<const T> x) {
  return {x.data(), static_cast<Index>(x.size())};
}

}  // namespace detail

/// Sum of (prediction - target)^2 / count, and its gradient 2 (prediction - target) / count: the mean squared
/// error where `count` is the number of elements, a part of it where `prediction` is one chunk of a batch of
/// `count`. An infinite count makes both 0. Throws std::invalid_argument when the sizes differ.
template <class T>
double mse_gradient(std::span<const T> prediction, std::span<const T> target, double count,
                    std::span<T> gradient) {
  detail::require_size("mse_gradient: target", target.size(), prediction.size());
  detail::require_size("mse_gradient: gradient", gradient.size(), prediction.size());
  double sum = 0;
  const T scale = static_cast<T>(2 / count);
  for (std::size_t i = 0; i < prediction.size(); ++i) {
    const T difference = prediction[i] - target[i];
    sum += static_cast<double>(difference) * static_cast<double>(difference);
    gradient[i] = scale * difference;
  }
  return sum / count;
}

/// Scales the gradients to a joint L2 norm of about `max_norm` where it is larger: g *= min(1, max_norm /
/// (norm + 1e-6)). Returns the norm before. A norm that is not finite leaves no usable gradient: check the
/// result before stepping.
template <class T>
double clip_grad_norm(std::span<T> gradient, double max_norm) {
  if (!(max_norm > 0))
    throw std::invalid_argument("max_norm = " + std::to_string(max_norm) + ", must be > 0");
  array_view<T> g(gradient.data(), static_cast<Index>(gradient.size()));
  const double norm = std::sqrt(g.template cast<double>().square().sum());
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1) g *= static_cast<T>(factor);
  return norm;
}

struct adam_options {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;        ///< added to the square root after bias correction
  double weight_decay = 0;  ///< decoupled: values shrink by 1 - lr * weight_decay (AdamW)
};

/// Adam (Kingma and Ba 2015, arXiv:1412.6980) and, with weight decay, AdamW (Loshchilov and Hutter 2019,
/// arXiv:1711.05101). All members may be saved and restored between steps.
template <class T>
struct adam {
  adam_options options;
  aligned_vector<T> m, v;  ///< moving averages of the gradient and of its square
  std::int64_t steps = 0;  ///< steps taken

  /// Throws std::invalid_argument for options out of range.
  adam(std::size_t size, adam_options options_) : options(options_), m(size), v(size) {
    const auto require = [](bool good, const char* name, double value, const char* allowed) {
      if (!good)
        throw std::invalid_argument(std::string(name) + " = " + std::to_string(value) + ", must be " +
                                    allowed);
    };
    require(options.lr >= 0 && std::isfinite(options.lr), "lr", options.lr, "finite and >= 0");
    require(options.beta1 >= 0 && options.beta1 < 1, "beta1", options.beta1, "in [0, 1)");
    require(options.beta2 >= 0 && options.beta2 < 1, "beta2", options.beta2, "in [0, 1)");
    require(options.eps > 0, "eps", options.eps, "> 0");
    require(options.weight_decay >= 0, "weight_decay", options.weight_decay, ">= 0");
  }

  /// One step along `gradient`.
  void step(std::span<T> values, std::span<const T> gradient) {
    detail::require_size("adam: values", values.size(), m.size());
    detail::require_size("adam: gradient", gradient.size(), m.size());
    ++steps;
    const double count = static_cast<double>(steps);
    const double correction2 = std::sqrt(1 - std::pow(options.beta2, count));
    const T rate = static_cast<T>(options.lr / (1 - std::pow(options.beta1, count)) * correction2);
    const T eps = static_cast<T>(options.eps * correction2);
    const T beta2 = static_cast<T>(options.beta2);
    const T keep = static_cast<T>(1 - options.lr * options.weight_decay);
    const Index size = static_cast<Index>(m.size());
    const const_array_view<T> g = detail::as_array(gradient);
    array_view<T> p(values.data(), size), m1(m.data(), size), m2(v.data(), size);
    m1 += static_cast<T>(1 - options.beta1) * (g - m1);
    m2 = beta2 * m2 + static_cast<T>(1 - options.beta2) * g.square();
    p = keep * p - rate * m1 / (m2.sqrt() + eps);
  }
};

/// Exponential moving average of the parameters: shadow = d shadow + (1 - d) values.
template <class T>
struct ema {
  double decay;
  bool warm_up;  ///< d = min(decay, (1 + S) / (10 + S)) in step S = 1, 2, ...: forgets the start sooner
  aligned_vector<T> shadow;  ///< the average
  std::int64_t steps = 0;    ///< updates made

  /// Starts at `values`. Throws std::invalid_argument unless decay is in [0, 1).
  ema(std::span<const T> values, double decay_, bool warm_up_ = true)
      : decay(decay_), warm_up(warm_up_), shadow(values.begin(), values.end()) {
    if (!(decay >= 0 && decay < 1)) {
      throw std::invalid_argument("ema: decay = " + std::to_string(decay) + ", must be in [0, 1)");
    }
  }

  void update(std::span<const T> values) {
    detail::require_size("ema: values", values.size(), shadow.size());
    ++steps;
    const double s = static_cast<double>(steps);
    const double d = warm_up ? std::min(decay, (1 + s) / (10 + s)) : decay;
    array_view<T> average(shadow.data(), static_cast<Index>(shadow.size()));
    average += static_cast<T>(1 - d) * (detail::as_array(values) - average);
  }
};

}  // namespace mnist
