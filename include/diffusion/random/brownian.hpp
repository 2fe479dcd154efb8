#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "diffusion/random/normal.hpp"
#include "diffusion/run_plan.hpp"

namespace diffusion {

/// Noise that belongs to an interval of levels: one Brownian motion W for each (seed, sample, element), over
/// the signal-to-noise ratio τ = α²/σ² from pure noise to clean data. An interval's noise is (W(τ_to) -
/// W(τ_from))/√|τ_to - τ_from|, a standard normal. Runs over other grids meet the same W: as steps are
/// refined, the result of a stochastic sampler converges, where fresh noise would give another sample for
/// every number of steps. For ancestral sampling τ is the natural time: with a fixed x̂0, ddpm comes to the
/// same state over any grid.
///
/// W is a virtual tree of Brownian bridges (Gaines & Lyons 1997; Li et al. 2020, "Scalable gradients for
/// stochastic differential equations"): nothing is stored, W(τ) costs up to `depth` normals per element, a
/// row of noise twice that. The tree halves the angle atan(α/σ), and levels count as the nearest of 2^depth
/// angles.
class brownian_normal {
 public:
  /// depth in [1, 31]. The angles of 24 lie 1e-7 apart.
  explicit brownian_normal(std::uint64_t seed, int depth = 24) : seed_(seed), depth_(depth) {
    if (depth < 1 || depth > max_depth) detail::invalid("depth", depth, detail::text("[1, ", max_depth, "]"));
  }

  /// The number of the angle that a level counts as: 0 for pure noise; clean data count as the last.
  [[nodiscard]] std::uint32_t angle(noise_level level) const {
    detail::require_level("level", level);
    const double part = std::atan2(level.alpha, level.sigma) / (std::numbers::pi / 2);
    return static_cast<std::uint32_t>(std::min(std::round(part * angles()), angles() - 1));
  }

  /// The noise of a sample on the way from one level to another. Throws where both count as the same angle.
  template <Element T>
  void operator()(std::uint64_t sample, noise_level from, noise_level to, std::span<T> z) const {
    const std::uint32_t a = angle(from);
    const std::uint32_t b = angle(to);
    if (a == b)
      detail::invalid(
          "sigma / alpha", noise_to_signal(to),
          detail::text("apart from ", noise_to_signal(from), " by the resolution of depth ", depth_));
    between(sample, a, b, z);
  }

  /// The same for numbers of angles, a ≠ b.
  template <Element T>
  void between(std::uint64_t sample, std::uint32_t a, std::uint32_t b, std::span<T> z) const {
    using Arch = default_arch;
    using R = arithmetic<T>;
    const descent to_a = descend(a);
    const descent to_b = descend(b);
    // In this order both ways, so that the way back is the same noise with the other sign, bit by bit.
    const double length = snr_at(std::max(a, b)) - snr_at(std::min(a, b));
    const auto scale = detail::pack<R, Arch>(static_cast<R>(1 / std::sqrt(length)));
    alignas(64) std::array<R, detail::tile_size> w_a, w_b;
    for (std::size_t i = 0; i < z.size(); i += detail::tile_size) {
      find<Arch>(sample, to_a, i / detail::tile_size, w_a);
      find<Arch>(sample, to_b, i / detail::tile_size, w_b);
      detail::for_each_pack<Arch, R>(0, std::min(detail::tile_size, z.size() - i), [&](auto at) {
        const auto difference = at.load(w_b.data()) - at.load(w_a.data());
        at.store(detail::product(scale, difference), z.data() + i);
      });
    }
  }

 private:
  static constexpr int max_depth = 31;  // nodes are numbered as steps are, from 1 on

  /// From both ends of an interval to its middle: W_middle = W_left + weight (W_right - W_left) + deviation
  /// z.
  struct bridge {
    std::uint32_t node;
    double weight, deviation;
    bool leftwards;  // the half to go on with
  };
  struct descent {
    std::array<bridge, max_depth> bridges;
    int count = 0;
  };

  [[nodiscard]] double angles() const { return std::ldexp(1, depth_); }

  /// τ, infinite for clean data.
  [[nodiscard]] double snr_at(double angle) const {
    const double quarter = std::numbers::pi / 2;
    const double part = angle / angles();
    const double root = part <= 0.5 ? std::tan(quarter * part) : 1 / std::tan(quarter * (1 - part));
    return root * root;
  }

  /// The way through the tree to an angle. W = 0 for pure noise, the left end of the whole.
  [[nodiscard]] descent descend(std::uint32_t angle) const {
    descent result;
    if (angle == 0) return result;
    std::uint32_t left = 0;
    std::uint32_t right = std::uint32_t{1} << depth_;
    double snr_left = 0;
    double snr_right = std::numeric_limits<double>::infinity();
    std::uint32_t node = 1;
    for (std::uint32_t middle = right / 2;; middle = left + (right - left) / 2) {
      const double snr = snr_at(middle);
      const double from_left = snr - snr_left;
      // A motion whose right end is at infinity is free.
      const double weight = from_left / (snr_right - snr_left);
      const bool leftwards = angle < middle;
      result.bridges[static_cast<std::size_t>(result.count++)] = {
          node, weight, std::sqrt(from_left * (1 - weight)), leftwards};
      if (angle == middle) return result;
      (leftwards ? right : left) = middle;
      (leftwards ? snr_right : snr_left) = snr;
      node = 2 * node + (leftwards ? 0 : 1);
    }
  }

  template <class Arch, class R>
  void find(std::uint64_t sample, const descent& way, std::size_t tile,
            std::array<R, detail::tile_size>& w) const {
    using Pack = detail::pack<R, Arch>;
    alignas(64) std::array<R, detail::tile_size> left{}, right{}, z;
    w.fill(0);
    for (int k = 0; k < way.count; ++k) {
      const bridge& b = way.bridges[static_cast<std::size_t>(k)];
      philox_normal{seed_}.row(sample, b.node).tiles().template make<Arch>(tile, z);
      const Pack weight(static_cast<R>(b.weight));
      const Pack deviation(static_cast<R>(b.deviation));
      detail::for_each_pack<Arch, R>(0, detail::tile_size, [&](auto at) {
        const Pack l = at.load(left.data());
        const Pack mean = detail::multiply_add(weight, Pack(at.load(right.data()) - l), l);
        at.store(detail::multiply_add(deviation, at.load(z.data()), mean), w.data());
      });
      (b.leftwards ? right : left) = w;
    }
  }

  std::uint64_t seed_;
  int depth_;
};

/// The noise of a run as increments of a Brownian motion: a NoiseSource for runs of this plan, where each
/// stage draws for its own interval of levels. The start is that of philox_normal.
class brownian_noise {
 public:
  /// Throws where a stage that draws noise is shorter than the resolution of the depth.
  brownian_noise(std::uint64_t seed, const run_plan& plan, int depth = 24)
      : start_{seed}, path_(seed, depth) {
    for (std::size_t k = 0; k < plan.stages.size(); ++k) {
      const run_stage& stage = plan.stages[k];
      const interval step{path_.angle(stage.from.level), path_.angle(stage.to.level)};
      if (draws(stage) && step.from == step.to)
        detail::invalid(detail::text("stage ", k, " to sigma / alpha"), noise_to_signal(stage.to.level),
                        detail::text("apart from ", noise_to_signal(stage.from.level),
                                     " by the resolution of depth ", depth));
      steps_.push_back(step);
    }
  }

  /// Stages that draw nothing and do not move get 0.
  template <Element T>
  void operator()(std::uint64_t sample, std::uint32_t step, std::span<T> z) const {
    if (step == 0) return start_(sample, 0, z);
    if (step > steps_.size()) detail::invalid("step", step, detail::text("[0, ", steps_.size(), "]"));
    const auto [from, to] = steps_[step - 1];
    if (from == to) return std::fill(z.begin(), z.end(), T{});
    path_.between(sample, from, to, z);
  }

 private:
  struct interval {
    std::uint32_t from, to;
  };

  [[nodiscard]] static bool draws(const run_stage& stage) {
    return stage.next.now.noise != 0 ||
           std::any_of(stage.keep.begin(), stage.keep.end(),
                       [](const memory_write& write) { return write.value.now.noise != 0; });
  }

  philox_normal start_;
  brownian_normal path_;
  std::vector<interval> steps_;
};

}  // namespace diffusion
