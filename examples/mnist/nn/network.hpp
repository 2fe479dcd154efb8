#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/attention.hpp"
#include "nn/config.hpp"
#include "nn/convolution.hpp"
#include "nn/dropout.hpp"
#include "nn/embedding.hpp"
#include "nn/group_norm.hpp"
#include "nn/parameters.hpp"
#include "nn/res_block.hpp"
#include "nn/resample.hpp"
#include "nn/tensor.hpp"

namespace mnist {

/// What network::backward needs of the forward pass, and the buffers of both. The vectors are used as stacks:
/// the backward pass meets the layers in reverse order.
template <class T>
struct network_run {
  buffer_pool<T> pool;  // first, so that it outlives the tensors
  time_embedding_cache<T> time;
  tensor<T> embedding, active_embedding, input, last, last_stats, last_active;
  std::vector<tensor<T>> skips, resampled;
  std::vector<res_block_cache<T>> res;
  std::vector<attention_cache<T>> attn;
  aligned_vector<T> y, dy;
  dropout drop;

  network_run() = default;
  network_run(const network_run&) = delete;  // the tensors point to the pool
  network_run& operator=(const network_run&) = delete;

  /// Forgets a forward pass that no backward pass followed.
  void clear() {
    skips.clear();
    resampled.clear();
    res.clear();
    attn.clear();
  }
};

/// The U-Net of Ho et al. 2020 (arXiv:2006.11239): layers and their order; parameters and activations are
/// passed in.
class network {
 public:
  /// Lists its parameters in `layout`, in the order of the layers.
  network(const unet_config& config, parameter_layout& layout)
      : ddpm_skips_(config.skips == "ddpm"), time_(layout, "time.", config.base, config.embedding()) {
    const int levels = config.levels(), widest = config.width(levels - 1);
    const auto width = [&](int level) { return level < 0 ? config.base : config.width(level); };
    const auto block = [&](stage& s, const std::string& at, int in, int level) {
      const std::string name = at + ".res." + std::to_string(s.res.size());
      s.res.emplace_back(layout, name, in, width(level), config.embedding(), config.groups);
    };
    const auto attention = [&](stage& s, const std::string& at, int level) {
      for (std::size_t j = 0; config.has_attention(level) && j < s.res.size(); ++j) {
        s.attn.emplace_back(layout, at + ".attn." + std::to_string(j), width(level), config.groups,
                            config.heads);
      }
    };

    if (config.classes > 0) label_.emplace(layout, "class_emb", config.classes + 1, config.embedding());
    stem_ = conv2d(layout, "stem", 1, config.base);
    for (int i = 0; i < levels; ++i) {
      const std::string at = "down." + std::to_string(i);
      stage& s = down_.emplace_back();
      for (int j = 0; j < config.nres; ++j) block(s, at, width(j == 0 ? i - 1 : i), i);
      attention(s, at, i);
      if (i + 1 < levels) s.size.emplace(layout, at + ".down", width(i), resample::halve);
    }
    mid1_.emplace(layout, "mid.res1", widest, widest, config.embedding(), config.groups);
    if (config.mid_attn) mid_attn_.emplace(layout, "mid.attn", widest, config.groups, config.heads);
    mid2_.emplace(layout, "mid.res2", widest, widest, config.embedding(), config.groups);
    for (int i = 0; i < levels; ++i) {
      const std::string at = "up." + std::to_string(i);
      stage& s = up_.emplace_back();
      for (int j = 0; j < config.nres + (ddpm_skips_ ? 1 : 0); ++j) {
        const int below = width(j == 0 && i + 1 < levels ? i + 1 : i);
        const int skip = width(j < config.nres ? i : i - 1);
        block(s, at, below + skip, i);
        s.skip.push_back(skip);
      }
      attention(s, at, i);
      if (i > 0)
        s.size.emplace(layout, at + ".up", width(i),
                       config.up == "convt" ? resample::transpose : resample::nearest);
    }
    out_norm_ = group_norm(layout, "out.norm", width(0), config.groups, activation::silu);
    out_conv_ = conv2d(layout, "out.conv", width(0), 1, {}, true);
  }

  /// n images, times and, for a network with classes, labels -> n images y. Keeps in `run` what backward
  /// needs. `drop` counts the residual blocks as layers.
  template <class T>
  void forward(const T* values, network_run<T>& run, int n, int image, const T* x, const T* t,
               const int* labels, T* y, const dropout& drop = {}) const;

  /// Follows a forward pass with the same run and labels: adds the gradients of the parameters to `grads` and
  /// writes dL/dx to dx unless it is null.
  template <class T>
  void backward(const T* values, network_run<T>& run, const int* labels, const T* dy, T* grads, T* dx) const;

 private:
  /// One resolution on the way down or up: residual blocks, each with attention or none, then the change of
  /// size.
  struct stage {
    std::vector<res_block> res;
    std::vector<attention_block> attn;
    std::vector<int> skip;  // on the way up: channels of the skip that each block gets
    std::optional<resample> size;
  };

  template <class T>
  static tensor<T> forward_res(const T* values, network_run<T>& run, const res_block& block, tensor<T> h) {
    const dropout drop = run.drop.in_layer(run.res.size());
    return block.forward(values, std::move(h), run.active_embedding, run.res.emplace_back(), drop);
  }
  template <class T>
  static tensor<T> backward_res(const T* values, network_run<T>& run, const res_block& block,
                                const tensor<T>& dh, T* grads, tensor<T>& de) {
    tensor<T> dx = block.backward(values, run.res.back(), run.active_embedding, dh, grads, de);
    run.res.pop_back();
    return dx;
  }

  template <class T>
  static tensor<T> forward_attention(const T* values, network_run<T>& run, const attention_block& block,
                                     tensor<T> h) {
    return block.forward(values, std::move(h), run.attn.emplace_back());
  }
  template <class T>
  static tensor<T> backward_attention(const T* values, network_run<T>& run, const attention_block& block,
                                      const tensor<T>& dh, T* grads) {
    tensor<T> dx = block.backward(values, run.attn.back(), dh, grads);
    run.attn.pop_back();
    return dx;
  }

  /// Block j of a stage: the residual block and the attention that may follow it.
  template <class T>
  static tensor<T> forward_block(const T* values, network_run<T>& run, const stage& s, std::size_t j,
                                 tensor<T> h) {
    h = forward_res(values, run, s.res[j], std::move(h));
    if (!s.attn.empty()) h = forward_attention(values, run, s.attn[j], std::move(h));
    return h;
  }
  template <class T>
  static tensor<T> backward_block(const T* values, network_run<T>& run, const stage& s, std::size_t j,
                                  tensor<T> dh, T* grads, tensor<T>& de) {
    if (!s.attn.empty()) dh = backward_attention(values, run, s.attn[j], dh, grads);
    return backward_res(values, run, s.res[j], dh, grads, de);
  }

  template <class T>
  static tensor<T> forward_resample(const T* values, network_run<T>& run, const resample& layer,
                                    tensor<T> h) {
    return layer.forward(values, std::move(h), run.resampled.emplace_back());
  }
  template <class T>
  static tensor<T> backward_resample(const T* values, network_run<T>& run, const resample& layer,
                                     const tensor<T>& dh, T* grads) {
    tensor<T> dx = layer.backward(values, run.resampled.back(), dh, grads);
    run.resampled.pop_back();
    return dx;
  }

  /// Adds the gradient of the skip that was taken here to dh.
  template <class T>
  static void add_skip(network_run<T>& run, tensor<T>& dh) {
    dh.array() += run.skips.back().array();
    run.skips.pop_back();
  }

  bool ddpm_skips_;
  time_embedding time_;
  std::optional<label_embedding> label_;
  conv2d stem_;
  std::vector<stage> down_;
  std::optional<res_block> mid1_, mid2_;
  std::optional<attention_block> mid_attn_;
  std::vector<stage> up_;  // by level, as down_
  group_norm out_norm_;
  conv2d out_conv_;
};

template <class T>
void network::forward(const T* values, network_run<T>& run, int n, int image, const T* x, const T* t,
                      const int* labels, T* y, const dropout& drop) const {
  run.clear();
  run.drop = drop;
  run.embedding = time_.forward(values, run.pool, n, t, run.time);
  if (label_) label_->add(values, labels, run.embedding);
  run.active_embedding = silu(run.embedding);
  run.input = tensor<T>(run.pool, n, image, image, 1);
  std::copy(x, x + run.input.size(), run.input.data());

  tensor<T> h = stem_.forward(values, run.input);
  if (ddpm_skips_) run.skips.push_back(copy(h));
  for (const stage& s : down_) {
    for (std::size_t j = 0; j < s.res.size(); ++j) {
      h = forward_block(values, run, s, j, std::move(h));
      run.skips.push_back(copy(h));
    }
    if (!s.size) continue;
    h = forward_resample(values, run, *s.size, std::move(h));
    if (ddpm_skips_) run.skips.push_back(copy(h));
  }
  h = forward_res(values, run, *mid1_, std::move(h));
  if (mid_attn_) h = forward_attention(values, run, *mid_attn_, std::move(h));
  h = forward_res(values, run, *mid2_, std::move(h));
  for (auto s = up_.rbegin(); s != up_.rend(); ++s) {
    for (std::size_t j = 0; j < s->res.size(); ++j) {
      h = forward_block(values, run, *s, j, concatenate(h, run.skips.back()));
      run.skips.pop_back();
    }
    if (s->size) h = forward_resample(values, run, *s->size, std::move(h));
  }
  run.last = std::move(h);
  run.last_active = out_norm_.forward(values, run.last, run.last_stats);
  h = out_conv_.forward(values, run.last_active);
  std::copy(h.data(), h.data() + h.size(), y);
}

template <class T>
void network::backward(const T* values, network_run<T>& run, const int* labels, const T* dy, T* grads,
                       T* dx) const {
  tensor<T> dh = like(run.input);
  std::copy(dy, dy + dh.size(), dh.data());
  tensor<T> de = like(run.active_embedding);
  de.array().setZero();

  dh = out_conv_.backward(values, run.last_active, dh, grads);
  dh = out_norm_.backward(values, run.last, run.last_stats, dh, grads);
  for (const stage& s : up_) {
    if (s.size) dh = backward_resample(values, run, *s.size, dh, grads);
    for (std::size_t j = s.res.size(); j-- > 0;) {
      const tensor<T> both = backward_block(values, run, s, j, std::move(dh), grads, de);
      const int below = both.channels - s.skip[j];
      dh = channel_range(both, 0, below);
      run.skips.push_back(channel_range(both, below, s.skip[j]));
    }
  }
  dh = backward_res(values, run, *mid2_, dh, grads, de);
  if (mid_attn_) dh = backward_attention(values, run, *mid_attn_, dh, grads);
  dh = backward_res(values, run, *mid1_, dh, grads, de);
  for (auto s = down_.rbegin(); s != down_.rend(); ++s) {
    if (s->size) {
      if (ddpm_skips_) add_skip(run, dh);
      dh = backward_resample(values, run, *s->size, dh, grads);
    }
    for (std::size_t j = s->res.size(); j-- > 0;) {
      add_skip(run, dh);
      dh = backward_block(values, run, *s, j, std::move(dh), grads, de);
    }
  }
  if (ddpm_skips_) add_skip(run, dh);
  if (dx) {
    dh = stem_.backward(values, run.input, dh, grads);
    std::copy(dh.data(), dh.data() + dh.size(), dx);
  } else {
    stem_.add_gradients(run.input, dh, grads);
  }

  de = silu_backward(run.embedding, de);
  if (label_) label_->backward(labels, de, grads);
  time_.backward(values, run.time, de, grads);
}

// Compiled once, in network.cpp: they are what takes longest to compile.
extern template void network::forward<float>(const float*, network_run<float>&, int, int, const float*,
                                             const float*, const int*, float*, const dropout&) const;
extern template void network::backward<float>(const float*, network_run<float>&, const int*, const float*,
                                              float*, float*) const;
extern template void network::forward<double>(const double*, network_run<double>&, int, int, const double*,
                                              const double*, const int*, double*, const dropout&) const;
extern template void network::backward<double>(const double*, network_run<double>&, const int*, const double*,
                                               double*, double*) const;

}  // namespace mnist
