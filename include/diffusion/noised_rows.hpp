#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "diffusion/ask_network.hpp"
#include "diffusion/forward.hpp"
#include "diffusion/workspace.hpp"

namespace diffusion::detail {

/// Asks a network about noised samples, a batch at a time, in memory of a workspace.
template <Element T>
class noised_rows {
 public:
  /// A row of x0 with the noise that `step` addresses.
  struct entry {
    std::size_t row;
    std::uint32_t step;
  };

  noised_rows(rows<const T> x0, workspace<T>& work, std::size_t outputs, const x0_transform& transform,
              std::uint64_t first_sample, std::size_t batch)
      : x0_(x0),
        work_(&work),
        transform_(transform),
        first_sample_(first_sample),
        batch_(std::min(batch, x0.count())),
        outputs_(outputs) {
    require_x0_transform(transform);
    if (batch == 0) invalid("batch", batch, "at least 1");
    const std::size_t n = x0.row_size();
    work.memory.resize(batch_ * n);
    work.output.resize(batch_ * n * outputs_);
    work.noise.resize(n);
    work.scratch.resize(n);
  }

  /// use(entry, clamp, x_t, output) for every entry, all at one point.
  template <class P, class N, class Use>
  void ask(P& predictor, N& noise, const path_point& at, const prediction_map& map,
           std::span<const entry> entries, Use use) {
    const std::size_t n = x0_.row_size();
    for (std::size_t first = 0; first < entries.size(); first += batch_) {
      const auto some = entries.subspan(first, std::min(batch_, entries.size() - first));
      const rows<T> x_t(std::span<T>(work_->memory).first(some.size() * n), some.size());
      const rows<T> output(std::span<T>(work_->output).first(some.size() * n * outputs_), some.size());
      for (std::size_t i = 0; i < some.size(); ++i) {
        noise(first_sample_ + some[i].row, some[i].step, std::span<T>(work_->noise));
        q_sample(at.level, x0_[some[i].row], work_->noise, x_t[i]);
      }
      ask_network<double, T>(predictor, rows<const T>(x_t), at, output);
      for (std::size_t i = 0; i < some.size(); ++i)
        use(some[i],
            clamp_for(transform_, map, std::span<const T>(x_t[i]), output[i].first(n),
                      std::span(work_->scratch)),
            std::span<const T>(x_t[i]), std::span<const T>(output[i]));
    }
  }

 private:
  rows<const T> x0_;
  workspace<T>* work_;
  x0_transform transform_;
  std::uint64_t first_sample_;
  std::size_t batch_;
  std::size_t outputs_;  // of the network, for each element
};

}  // namespace diffusion::detail
