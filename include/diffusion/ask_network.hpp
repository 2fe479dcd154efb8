#pragma once

#include <cmath>

#include "diffusion/predictor.hpp"
#include "diffusion/run_path.hpp"

namespace diffusion {

/// A predictor for a run over times of type Time: it takes them, or real times, or the whole ones.
template <class P, class T, class Time>
concept PathPredictor = Predictor<P, T, Time> || Predictor<P, T, double> || Predictor<P, T, int>;

namespace detail {

/// How x̂0 and ε̂ follow from the state and the network's output.
struct prediction_maps {
  prediction_map x0, epsilon;
};

/// The maps of a state at `level` about which the network was told `told`, which is mostly the same.
[[nodiscard]] inline prediction_maps maps_of(prediction kind, noise_level told, noise_level level) {
  const prediction_map epsilon = epsilon_map(kind, told);
  // Told another level, as in inversion, its output means ε̂ only there.
  return {told == level ? x0_map(kind, told) : x0_map(epsilon, level), epsilon};
}

/// Asks the network about every row of x.
template <class Time, Element T, PathPredictor<T, Time> P>
void ask_network(P& predictor, rows<const T> x, const path_point& at, rows<T> out) {
  if constexpr (Predictor<P, T, Time>) {
    predictor(x, time_point<Time>{static_cast<Time>(at.t), at.level}, out);
  } else if constexpr (Predictor<P, T, double>) {
    predictor(x, at, out);
  } else {
    if (at.t != std::floor(at.t))
      invalid("t", at.t, "a whole number: this predictor takes time_point<int>, the run asks between");
    predictor(x, time_point<int>{static_cast<int>(at.t), at.level}, out);
  }
}

}  // namespace detail
}  // namespace diffusion
