#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "diffusion/elbo.hpp"
#include "diffusion/noised_rows.hpp"
#include "diffusion/running_mean.hpp"

namespace diffusion {

/// The bound of one sample in nats.
struct sample_bound {
  double prior = 0;    ///< L_T
  double steps = 0;    ///< Σ L_{t-1}, t > 1
  double decoder = 0;  ///< L_0
  /// Of steps, for the choice of the times and their noise; NaN with fewer than two draws, and for the sum
  /// over all steps.
  double standard_error = std::numeric_limits<double>::quiet_NaN();

  [[nodiscard]] double total() const noexcept { return prior + steps + decoder; }
};

struct bound_options {
  reverse_variance variance = fixed_variance::posterior;
  x0_transform x0 = x0_keep{};
  double prior_deviation = 1;      ///< of p(x_T)
  std::uint64_t first_sample = 0;  ///< address of row 0 in the noise source; row i is first_sample + i
  std::size_t batch = 64;          ///< rows that the network is asked about at a time, at most

  /// Steps that are drawn for each sample, with replacement, as an estimate of the sum over all; 0: all of
  /// them. The step to clean data is none of them and always asked.
  std::size_t draws = 0;
  /// With draws: how likely each step is, up to a factor, in (0, inf), one for each step of the path but the
  /// last. Empty: all alike. The estimate has no bias whatever they are; its error is smallest where they are
  /// proportional to √E[L²] (Nichol & Dhariwal 2021, eq. 18).
  std::span<const double> weights = {};
};

namespace detail {

/// A standard normal draw as a uniform one in (0, 1).
[[nodiscard]] inline double uniform_of_normal(double z) noexcept { return upper_tail(-z); }

/// Steps drawn for each row, in the order of the steps.
class drawn_steps {
 public:
  struct draw {
    std::size_t step, row;
    std::uint32_t index;  ///< 0 … draws-1 of its row
  };

  /// Throws unless there is a valid weight for each of `steps`, or none at all.
  drawn_steps(std::size_t steps, std::span<const double> weights) : probabilities_(steps, 1.0) {
    if (!weights.empty()) {
      require_size("weights", weights.size(), steps);
      for (std::size_t k = 0; k < steps; ++k)
        if (!(weights[k] > 0 && std::isfinite(weights[k])))
          invalid(text("weights[", k, "]"), weights[k], "(0, inf)");
      std::copy(weights.begin(), weights.end(), probabilities_.begin());
    }
    const double sum = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
    double below = 0;
    for (double& p : probabilities_) cumulative_.push_back(below += p /= sum);
  }

  [[nodiscard]] double probability(std::size_t step) const { return probabilities_[step]; }

  /// `count` draws for every row, from normals of type R.
  template <Scalar R, NoiseSource<R> N>
  [[nodiscard]] std::vector<draw> draw_for(N& noise, std::uint64_t first_sample, std::size_t rows,
                                           std::size_t count) const {
    std::vector<R> z(count);
    std::vector<draw> all;
    all.reserve(rows * count);
    for (std::size_t row = 0; row < rows; ++row) {
      noise(first_sample + row, std::uint32_t{0}, std::span<R>(z));
      for (std::size_t j = 0; j < count; ++j) {
        const double u = uniform_of_normal(static_cast<double>(z[j]));
        const auto at = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, u);
        all.push_back(
            {static_cast<std::size_t>(at - cumulative_.begin()), row, static_cast<std::uint32_t>(j)});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const draw& a, const draw& b) { return a.step < b.step; });
    return all;
  }

 private:
  std::vector<double> probabilities_, cumulative_;
};

inline void require_chain_to_data(const run_path& path) {
  path.require_chained();
  const noise_level end = path.point(path.size()).level;
  if (end.sigma != 0) invalid("sigma at the end of the path", end.sigma, "0: the bound is one of clean data");
  if (end.alpha != 1) invalid("alpha at the end of the path", end.alpha, "1");
}

/// The terms of all steps of a path.
[[nodiscard]] inline std::vector<bound_term> make_bound_terms(const run_path& path, prediction kind,
                                                              reverse_variance variance) {
  std::vector<bound_term> terms;
  const std::size_t last = path.size() - 1;
  const path_step& before = path[last > 0 ? last - 1 : 0];
  const double clean_variance = last > 0 ? posterior_variance(before.from.level, before.to.level)
                                         : transition_variance(before.from.level, before.to.level);
  for (const path_step& step : path)
    terms.push_back(make_bound_term(kind, step.from.level, step.to.level, variance, clean_variance));
  return terms;
}

struct ignore_term {
  void operator()(std::size_t, std::size_t, double) const {}
};

}  // namespace detail

/// The variational bound of every row of x0 under the ancestral sampler of a path (ddpm, ddpm_learned) with
/// this network, from the first level of the path to clean data: -log p(x_0) ≤ E[bound.total()], in nats. To
/// bits: bits_per_dimension. Over all steps: path.size() evaluations per row, with the noise of step k at the
/// address k + 1, as in a run. With draws: draws + 1, with the choice of the steps at address 0, the noise of
/// draw j at j + 1 and that of L_0 at draws + 1.
///
/// `bounds` has an element for each row. `on_term(step, row, nats)` is called for every term when it is
/// known; L_0 is that of the last step. Throws unless the path is chained and ends at clean data.
template <Decoder D, Element T, PathPredictor<T, double> P, NoiseSource<T> N,
          class OnTerm = detail::ignore_term>
requires NoiseSource<N, arithmetic<T>>
void variational_bound(const run_path& path, const D& decoder, P&& predictor, N&& noise,
                       rows<const std::type_identity_t<T>> x0, workspace<T>& work,
                       std::span<sample_bound> bounds, const bound_options& options = {},
                       OnTerm on_term = {}) {
  detail::require_size("bounds", bounds.size(), x0.count());
  detail::require_chain_to_data(path);
  if (options.draws == 0) detail::require_size("weights without draws", options.weights.size(), 0);
  const std::size_t outputs = std::holds_alternative<learned_variance>(options.variance) ? 2 : 1;
  detail::noised_rows<T> network(x0, work, outputs, options.x0, options.first_sample, options.batch);
  const auto terms = detail::make_bound_terms(path, kind_of(predictor), options.variance);
  const std::size_t last = path.size() - 1;
  using entry = typename detail::noised_rows<T>::entry;
  std::vector<entry> entries;
  entries.reserve(x0.count());

  const auto ask = [&](std::size_t k, auto use) {
    network.ask(predictor, noise, path[k].eval, terms[k].x0, std::span<const entry>(entries),
                [&](const entry& e, const x0_clamp& clamp, auto x_t, auto output) {
                  const double loss = term_loss(terms[k], decoder, clamp, x0[e.row], x_t, output);
                  use(e.row, loss);
                  on_term(k, e.row, loss);
                });
  };
  const auto ask_all = [&](std::size_t k, std::size_t step, auto use) {
    entries.clear();
    for (std::size_t i = 0; i < x0.count(); ++i) entries.push_back({i, static_cast<std::uint32_t>(step)});
    ask(k, use);
  };

  for (std::size_t i = 0; i < x0.count(); ++i)
    bounds[i] = {.prior = prior_kl(path.point(0).level, x0[i], options.prior_deviation)};
  if (options.draws == 0) {
    for (std::size_t k = 0; k < last; ++k)
      ask_all(k, k + 1, [&](std::size_t i, double loss) { bounds[i].steps += loss; });
  } else if (last > 0) {
    const detail::drawn_steps steps(last, options.weights);
    const auto draws =
        steps.template draw_for<arithmetic<T>>(noise, options.first_sample, x0.count(), options.draws);
    std::vector<running_mean> means(x0.count());
    for (std::size_t d = 0; d < draws.size();) {
      const std::size_t k = draws[d].step;
      entries.clear();
      for (; d < draws.size() && draws[d].step == k && entries.size() < x0.count(); ++d)
        entries.push_back({draws[d].row, draws[d].index + 1});
      ask(k, [&](std::size_t i, double loss) { means[i].add(loss / steps.probability(k)); });
    }
    for (std::size_t i = 0; i < x0.count(); ++i) {
      bounds[i].steps = means[i].mean();
      bounds[i].standard_error = means[i].standard_error();
    }
  }
  ask_all(last, options.draws == 0 ? path.size() : options.draws + 1,
          [&](std::size_t i, double loss) { bounds[i].decoder = loss; });
}

}  // namespace diffusion
