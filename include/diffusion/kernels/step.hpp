#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "diffusion/kernels/for_each_pack.hpp"
#include "diffusion/prediction.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/step_coefficients.hpp"

namespace diffusion {

/// x̂0 ← clamp(x̂0, ±limit) · scale. The default keeps x̂0 as it is.
struct x0_clamp {
  double limit = std::numeric_limits<double>::infinity();
  double scale = 1;
};

namespace detail {

/// weight · scale (x · x_t + model · output) on packs.
template <Scalar R>
struct predicted {
  R x, model, scale;
  explicit predicted(const prediction_map& map, double weight = 1)
      : x(static_cast<R>(map.x)),
        model(static_cast<R>(map.model)),
        scale(static_cast<R>(map.scale * weight)) {}

  template <class Pack>
  Pack operator()(const Pack& x_t, const Pack& output) const {
    return scale * fused_multiply_add(x, x_t, model * output);
  }
};

/// The same, limited to ±limit.
template <Scalar R>
struct clamped {
  predicted<R> value;
  R limit;

  template <class Pack>
  Pack operator()(const Pack& x_t, const Pack& output) const {
    return clamp(value(x_t, output), Pack(-limit), Pack(limit));
  }
};

/// use(f) with f(x_t, output) = weight · clamp(x̂0, ±limit), which costs a clamp only where there is one. The
/// weight goes into the scale and the limit, so that it costs nothing and a clamped value is still exact.
template <Scalar R, class Use>
[[gnu::always_inline]] inline void with_x0(const prediction_map& map, double limit, double weight,
                                           const Use& use) {
  const predicted<R> weighted(map, weight);
  if (limit < std::numeric_limits<R>::infinity())
    use(clamped<R>{weighted, static_cast<R>(std::abs(weight) * limit)});
  else
    use(weighted);
}

}  // namespace detail

/// x̂0 from the state x_t and the model's output. Sizes must be equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void predict_x0(const prediction_map& map, const x0_clamp& clamp,
                std::span<const std::type_identity_t<T>> x_t, std::span<const std::type_identity_t<T>> output,
                std::span<T> x0, const E& executor = {}) {
  using R = arithmetic<T>;
  detail::require_size("x_t", x_t.size(), x0.size());
  detail::require_size("output", output.size(), x0.size());
  detail::with_x0<R>(map, clamp.limit, clamp.scale, [&](auto x0_hat) {
    detail::for_each_block<detail::long_block_size>(
        executor, 1, x0.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
          detail::for_each_pack<Arch, R>(begin, end, [=](auto at) {
            at.store(x0_hat(at.load(x_t.data()), at.load(output.data())), x0.data());
          });
        });
  });
}

/// Everything that one step does to an element.
struct step_plan {
  prediction_map x0;       ///< x̂0 from state and output
  prediction_map epsilon;  ///< ε̂ from state and output
  x0_clamp clamp;
  step_coefficients step;
};

/// Which prediction a multistep method keeps: x̂0 after its transform, or ε̂.
enum class history_of { x0, epsilon };

/// The N earlier predictions that a multistep method blends into a step, the newest first, and the place for
/// the current one.
template <Element T, std::size_t N>
struct step_history {
  std::array<double, N> weights;
  std::array<std::span<const T>, N> past;
  std::span<T> record;  ///< may be the memory of one of `past`, which the step reads first
  history_of kind = history_of::x0;
};

namespace detail {

/// The noise of a step that has none.
struct no_noise {};

/// A step's coefficients and arrays, as its loop needs them.
template <Element T, std::size_t N>
struct step_terms {
  using R = arithmetic<T>;

  step_terms(const step_plan& plan, const step_history<T, N>& history, const T* output_, T* x_)
      : x(x_), output(output_), record(history.record.data()), kind(history.kind), epsilon_hat(plan.epsilon) {
    // ε̂ is not clamped, so its two terms join those of the state and the output.
    const double epsilon = plan.step.epsilon * plan.epsilon.scale;
    cx = static_cast<R>(plan.step.x + epsilon * plan.epsilon.x);
    cm = static_cast<R>(epsilon * plan.epsilon.model);
    c0 = static_cast<R>(plan.step.x0);
    cz = static_cast<R>(plan.step.noise);
    for (std::size_t j = 0; j < N; ++j) {
      weights[j] = static_cast<R>(history.weights[j]);
      past[j] = history.past[j].data();
    }
  }

  /// What weighted_x0 has to weight x̂0 with: where nothing is recorded, x̂0 itself is not needed, only its
  /// part of the step.
  static double weight(const step_plan& plan) { return plan.clamp.scale * (N > 0 ? 1 : plan.step.x0); }

  /// The step without its noise; records the prediction.
  template <class Arch, bool has_epsilon, class X0, class Place>
  pack<R, Arch> mean(const X0& weighted_x0, Place at) const {
    const pack<R, Arch> vx = at.load(x);
    const pack<R, Arch> vm = at.load(output);
    const pack<R, Arch> x0 = weighted_x0(vx, vm);
    pack<R, Arch> next = x0;
    if constexpr (N > 0) next = c0 * x0;
    if constexpr (has_epsilon) next = fused_multiply_add(cm, vm, next);
    next = fused_multiply_add(cx, vx, next);
    if constexpr (N > 0) {
      [&]<std::size_t... j>(std::index_sequence<j...>) {
        ((next = fused_multiply_add(weights[j], at.load(past[j]), next)), ...);
      }
      (std::make_index_sequence<N>());
      at.store(kind == history_of::x0 ? x0 : epsilon_hat(vx, vm), record);
    }
    return next;
  }

  T* x;
  const T* output;
  std::array<const T*, N> past;
  T* record;
  history_of kind;
  predicted<R> epsilon_hat;
  R cx, cm, c0, cz;
  std::array<R, N> weights;
};

/// One step of the elements [begin, end) of a row. Noise is no_noise, a pointer to given values, or
/// normal_tiles. Without history N is 0.
template <class Arch, Element T, std::size_t N, class Noise>
void step_range(const step_plan& plan, const step_history<T, N>& history, const T* output, const Noise& noise,
                T* x, std::size_t begin, std::size_t end) {
  using R = arithmetic<T>;
  // Inlined altogether: so the compiler sees that no store changes the terms, and keeps them in registers.
  const step_terms<T, N> terms(plan, history, output, x);
  const auto loop = [&]<bool has_epsilon>(std::bool_constant<has_epsilon>, const auto& weighted_x0)
      __attribute__((always_inline)) {
    const auto mean = [&](auto at) __attribute__((always_inline)) {
      return terms.template mean<Arch, has_epsilon>(weighted_x0, at);
    };
    if constexpr (std::same_as<Noise, no_noise>) {
      for_each_pack<Arch, R>(begin, end, [&](auto at) { at.store(mean(at), x); });
    } else if constexpr (std::is_pointer_v<Noise>) {
      for_each_pack<Arch, R>(begin, end, [&, noise](auto at) {
        at.store(fused_multiply_add(terms.cz, at.load(noise), mean(at)), x);
      });
    } else {
      for_each_pack<Arch, R>(begin, end, noise, [&](auto at, const auto& z) {
        at.store(fused_multiply_add(terms.cz, z, mean(at)), x);
      });
    }
  };
  with_x0<R>(
      plan.x0, plan.clamp.limit,
      step_terms<T, N>::weight(plan), [&](const auto& weighted_x0) __attribute__((always_inline)) {
        if (terms.cm == 0)
          loop(std::false_type(), weighted_x0);
        else
          loop(std::true_type(), weighted_x0);
      });
}

/// What a thread works on at once where it makes the noise, and where it does not.
template <class Noise>
constexpr std::size_t step_block = block_size;
template <>
inline constexpr std::size_t step_block<no_noise> = long_block_size;
template <class T>
inline constexpr std::size_t step_block<const T*> = long_block_size;

template <class Arch, Element T, std::size_t N, class Noise, Executor E>
void step_row(const step_plan& plan, const step_history<T, N>& history, std::span<const T> output,
              const Noise& noise, std::span<T> x, const E& executor) {
  require_size("output", output.size(), x.size());
  for (const auto& past : history.past) require_size("past", past.size(), x.size());
  if (N > 0) require_size("record", history.record.size(), x.size());
  for_each_block<step_block<Noise>>(
      executor, 1, x.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
        step_range<Arch>(plan, history, output.data(), noise, x.data(), begin, end);
      });
}

/// Every row with its own plan, all at once, so that a batch of small samples keeps the threads busy. Row i
/// takes the first elements of output[i], and noise_of_row(i) if its plan has noise.
template <class Arch, Element T, class NoiseOfRow, Executor E>
void step_rows(std::span<const step_plan> plans, rows<const T> output, const NoiseOfRow& noise_of_row,
               rows<T> x, const E& executor) {
  using Noise = decltype(noise_of_row(std::size_t{}));
  for_each_block<step_block<Noise>>(
      executor, x.count(), x.row_size(), [&](std::size_t i, std::size_t begin, std::size_t end) {
        const auto step = [&](const auto& noise) {
          step_range<Arch>(plans[i], step_history<T, 0>{}, output[i].data(), noise, x[i].data(), begin, end);
        };
        if (plans[i].step.noise != 0)
          step(noise_of_row(i));
        else
          step(no_noise{});
      });
}

}  // namespace detail

/// x ← step.x · x + step.x0 · x̂0 + step.epsilon · ε̂ + Σ weights[j] · past[j] + step.noise · z in one pass, in
/// place. `z` may be empty where step.noise is 0; all other sizes must be equal.
template <class Arch = default_arch, Element T, std::size_t N, Executor E = serial>
void apply_step(const step_plan& plan, const step_history<T, N>& history,
                std::span<const std::type_identity_t<T>> output, std::span<const std::type_identity_t<T>> z,
                std::span<T> x, const E& executor = {}) {
  if (plan.step.noise == 0) {
    detail::step_row<Arch>(plan, history, output, detail::no_noise{}, x, executor);
  } else {
    detail::require_size("z", z.size(), x.size());
    detail::step_row<Arch>(plan, history, output, z.data(), x, executor);
  }
}
/// Without history.
template <class Arch = default_arch, Element T, Executor E = serial>
void apply_step(const step_plan& plan, std::span<const std::type_identity_t<T>> output,
                std::span<const std::type_identity_t<T>> z, std::span<T> x, const E& executor = {}) {
  apply_step<Arch>(plan, step_history<T, 0>{}, output, z, x, executor);
}

/// The same with z = row, made on the way: what row.fill(z) would write.
template <class Arch = default_arch, Element T, std::size_t N, int Rounds, products P, Executor E = serial>
void apply_step(const step_plan& plan, const step_history<T, N>& history,
                std::span<const std::type_identity_t<T>> output, const normal_row<Rounds, P>& row,
                std::span<T> x, const E& executor = {}) {
  if (plan.step.noise == 0) {
    detail::step_row<Arch>(plan, history, output, detail::no_noise{}, x, executor);
  } else {
    detail::step_row<Arch>(plan, history, output, row.tiles(), x, executor);
  }
}
/// Without history.
template <class Arch = default_arch, Element T, int Rounds, products P, Executor E = serial>
void apply_step(const step_plan& plan, std::span<const std::type_identity_t<T>> output,
                const normal_row<Rounds, P>& row, std::span<T> x, const E& executor = {}) {
  apply_step<Arch>(plan, step_history<T, 0>{}, output, row, x, executor);
}

/// One plan per row: rows at levels of their own, be they samples, tokens or single elements. `z` has the
/// rows of x.
template <class Arch = default_arch, Element T, Executor E = serial>
void apply_step(std::span<const step_plan> plans, rows<const std::type_identity_t<T>> output,
                rows<const std::type_identity_t<T>> z, rows<T> x, const E& executor = {}) {
  detail::require_size("plans", plans.size(), x.count());
  detail::require_rows("output", output, x, x.row_size());
  detail::require_rows("z", z, x, x.row_size());
  detail::step_rows<Arch>(
      plans, output, [&](std::size_t i) { return z[i].data(); }, x, executor);
}

/// The same with the noise of samples first_sample, first_sample + 1, … at one step, made on the way.
template <class Arch = default_arch, Element T, RowNoiseSource N, Executor E = serial>
void apply_step(std::span<const step_plan> plans, rows<const std::type_identity_t<T>> output, const N& noise,
                std::uint32_t step, std::uint64_t first_sample, rows<T> x, const E& executor = {}) {
  detail::require_size("plans", plans.size(), x.count());
  detail::require_rows("output", output, x, x.row_size());
  detail::step_rows<Arch>(
      plans, output, [&](std::size_t i) { return noise.row(first_sample + i, step).tiles(); }, x, executor);
}

/// x ← x + √Σ z with Σ from the network's second output v, element-wise. Sizes must be equal.
template <class Arch = default_arch, Element T, Executor E = serial>
void add_learned_noise(const variance_map& map, std::span<const std::type_identity_t<T>> v,
                       std::span<const std::type_identity_t<T>> z, std::span<T> x, const E& executor = {}) {
  detail::require_size("v", v.size(), x.size());
  detail::require_size("z", z.size(), x.size());
  using R = arithmetic<T>;
  const R offset = static_cast<R>(map.offset / 2);
  const R slope = static_cast<R>(map.slope / 2);
  const auto add = [&](auto deviation) {
    detail::for_each_block(executor, 1, x.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
      detail::for_each_pack<Arch, R>(begin, end, [=](auto at) {
        at.store(
            detail::fused_multiply_add(deviation(at.load(v.data())), at.load(z.data()), at.load(x.data())),
            x.data());
      });
    });
  };
  if (map.is_log) {
    add([=](const auto& vv) { return xsimd::exp(detail::fused_multiply_add(slope, vv, offset)); });
  } else {
    add([](const auto& vv) { return xsimd::sqrt(vv); });
  }
}

}  // namespace diffusion
