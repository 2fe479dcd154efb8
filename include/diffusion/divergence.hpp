#pragma once

#include <cmath>
#include <cstdint>
#include <variant>
#include <vector>

#include "diffusion/kernels/ordered_sum.hpp"
#include "diffusion/predictor.hpp"
#include "diffusion/random/normal.hpp"
#include "diffusion/random/philox.hpp"

namespace diffusion {

/// The whole trace of the Jacobian: one vector-Jacobian product for each dimension.
struct exact_divergence {};

/// Independent elements of mean 0 and variance 1. ±1 has the least variance, none where J is diagonal.
enum class probe_distribution { rademacher, gaussian };

/// Hutchinson's estimate: the mean of vᵀ J v over probes v is the trace of J (Hutchinson 1990; Grathwohl et
/// al. 2019, FFJORD). Probe k of a sample has the address (seed, sample, k): take another seed than for noise
/// in the same sample.
struct hutchinson {
  std::size_t probes = 1;  ///< at least 1, below 2³²; two or more tell the standard error
  probe_distribution distribution = probe_distribution::rademacher;
  std::uint64_t seed = 0;
};

using divergence_method = std::variant<exact_divergence, hutchinson>;

/// The vectors v of vᵀ J v, one row each.
template <Scalar T>
struct divergence_probes {
  std::vector<T> values;
  std::size_t count = 1;
  bool exact = false;  ///< the unit vectors: what they give is added up. Else each gives an estimate
};

/// The probes of a method for one sample.
template <Scalar T>
[[nodiscard]] divergence_probes<T> probes_of(const divergence_method& method, std::size_t dimensions,
                                             std::uint64_t sample) {
  const auto* random = std::get_if<hutchinson>(&method);
  const std::size_t count = random ? random->probes : dimensions;
  if (count < 1 || count > 0xffff'ffffu) detail::invalid("probes", count, "[1, 2^32)");
  divergence_probes<T> probes{std::vector<T>(count * dimensions), count, !random};
  const rows<T> v(probes.values, count);
  for (std::size_t k = 0; k < count; ++k) {
    if (!random) {
      v[k][k] = 1;
    } else if (random->distribution == probe_distribution::gaussian) {
      philox_normal{random->seed}(sample, static_cast<std::uint32_t>(k), v[k]);
    } else {
      const addressed_words words(random->seed, sample, static_cast<std::uint32_t>(k));
      for (std::size_t i = 0; i < dimensions; ++i) {
        const std::uint32_t word = words[static_cast<std::uint32_t>(i / 128)][i / 32 % 4];
        v[k][i] = (word >> (i % 32) & 1) != 0 ? T(1) : T(-1);
      }
    }
  }
  return probes;
}

/// ε̂ and its divergence ∇·ε̂ = Σ ∂ε̂ᵢ/∂xᵢ at states x of one sample, with probes that stay the same: then both
/// are smooth functions of the state. The network gets a batch of one row for each probe, all of them x.
template <Scalar T>
class epsilon_divergence {
 public:
  explicit epsilon_divergence(divergence_probes<T> probes)
      : probes_(std::move(probes)),
        v_(probes_.values, probes_.count),
        x_(probes_.values.size()),
        output_(x_.size()),
        product_(x_.size()) {}
  epsilon_divergence(const epsilon_divergence&) = delete;  // v_ refers to probes_
  epsilon_divergence& operator=(const epsilon_divergence&) = delete;

  [[nodiscard]] std::size_t dimensions() const noexcept { return v_.row_size(); }
  /// How many estimates of the divergence there are: 1 if it is exact, else as many as probes.
  [[nodiscard]] std::size_t estimates() const noexcept { return probes_.exact ? 1 : probes_.count; }
  [[nodiscard]] bool exact() const noexcept { return probes_.exact; }

  /// Writes ε̂ [dimensions()] and every estimate of its divergence [estimates()] at the state x.
  template <class Time, DifferentiablePredictor<T, Time> P>
  void operator()(P& predictor, std::span<const double> x, const time_point<Time>& at,
                  std::span<double> epsilon, std::span<double> divergence) {
    detail::require_size("x", x.size(), dimensions());
    detail::require_size("epsilon", epsilon.size(), dimensions());
    detail::require_size("divergence", divergence.size(), estimates());
    const prediction_map map = epsilon_map(kind_of(predictor), at.level);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<T>(x[i % x.size()]);
    const rows<T> product(product_, probes_.count);
    predictor.vector_jacobian(rows<const T>(std::span<const T>(x_), probes_.count), at, v_,
                              rows<T>(output_, probes_.count), product);
    for (std::size_t i = 0; i < x.size(); ++i) epsilon[i] = map(x[i], static_cast<double>(output_[i]));
    double sum = 0;
    for (std::size_t k = 0; k < probes_.count; ++k) {
      const T* const v = v_[k].data();
      const T* const p = product[k].data();
      // vᵀ (∂ε̂/∂x) v: the map of vᵀ v and vᵀ J v.
      const double of_probe = detail::ordered_sum(dimensions(), [=](std::size_t i) {
        return static_cast<double>(v[i]) * map(static_cast<double>(v[i]), static_cast<double>(p[i]));
      });
      if (probes_.exact)
        sum += of_probe;
      else
        divergence[k] = of_probe;
    }
    if (probes_.exact) divergence[0] = sum;
  }

 private:
  divergence_probes<T> probes_;
  rows<const T> v_;
  std::vector<T> x_, output_, product_;
};

}  // namespace diffusion
