#pragma once

#include <utility>

#include "diffusion/prediction.hpp"
#include "diffusion/rows.hpp"
#include "diffusion/run_path.hpp"

namespace diffusion {

/// A function object p(x, at, out): the network's output for every row of x at one time. Rows of `out` have
/// the size of those of x, or twice that with a learned variance. It predicts ε unless wrapped by predicts.
template <class P, class T, class Time = int>
concept Predictor = Element<T> && requires(P& predict, rows<const T> x, time_point<Time> at, rows<T> out) {
  predict(x, at, out);
};

/// A predictor that also gives vector-Jacobian products, as reverse-mode differentiation does:
/// vector_jacobian(x, at, v, out, product) writes the output and, for every row, product = Jᵀ v with
/// J = ∂out/∂x. A row of `out` depends on its row of x alone. Likelihoods and score matching need it.
template <class P, class T, class Time = int>
concept DifferentiablePredictor = Predictor<P, T, Time> &&
    requires(P& predict, rows<const T> x, time_point<Time> at, rows<const T> v, rows<T> out,
             rows<T> product) {
  predict.vector_jacobian(x, at, v, out, product);
};

/// A predictor and what it predicts.
template <class F>
struct predictor_of {
  F function;
  prediction kind;

  template <class... Args>
  requires std::invocable<F&, Args...>
  void operator()(Args&&... args) { function(std::forward<Args>(args)...); }
  template <class... Args>
  requires std::invocable<const F&, Args...>
  void operator()(Args&&... args) const { function(std::forward<Args>(args)...); }

  template <class... Args>
  requires requires(F& f, Args&&... args) { f.vector_jacobian(std::forward<Args>(args)...); }
  void vector_jacobian(Args&&... args) { function.vector_jacobian(std::forward<Args>(args)...); }
};

/// Marks what a network predicts: predicts<prediction::v>(f).
template <prediction Kind, class F>
[[nodiscard]] predictor_of<F> predicts(F function) {
  return {std::move(function), Kind};
}

/// The same for a kind that is only known at run time.
template <class F>
[[nodiscard]] predictor_of<F> predicts(prediction kind, F function) {
  return {std::move(function), kind};
}

/// What a predictor predicts: ε unless it says otherwise.
template <class P>
[[nodiscard]] prediction kind_of(const P& predictor) {
  if constexpr (requires {
                  { predictor.kind } -> std::convertible_to<prediction>;
                }) {
    return predictor.kind;
  } else {
    return prediction::epsilon;
  }
}

}  // namespace diffusion
