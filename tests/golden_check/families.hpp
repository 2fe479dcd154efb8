#pragma once

#include "record.hpp"
#include "report.hpp"

namespace golden {

// One function per family of files: each recomputes a file with the library and compares. They throw
// malformed and unsupported.

void check_schedule(const record& file, report& result);
void check_respacing(const record& file, report& result);
void check_timestep_grid(const record& file, report& result);
void check_forward(const record& file, report& result);
void check_posterior(const record& file, report& result);
void check_parameterization(const record& file, report& result);
void check_p_mean_variance(const record& file, report& result);
void check_embedding(const record& file, report& result);
void check_loss_weight(const record& file, report& result);
void check_preconditioning(const record& file, report& result);
void check_timestep_sampler(const record& file, report& result);
void check_log_likelihood(const record& file, report& result);
void check_random_numbers(const record& file, report& result);
void check_sampler(const record& file, report& result);
void check_noise_schedule_sigmas(const record& file, report& result);
void check_training_sigmas(const record& file, report& result);
void check_fid(const record& file, report& result);
void check_inception_score(const record& file, report& result);
void check_elbo(const record& file, report& result);

/// Reads `dtype` and marks the keys that only say where a file comes from.
[[nodiscard]] precision read_header(const record& file);

/// Sizes of the arrays of a file.
struct shape {
  std::size_t count = 0;     ///< samples in the batch
  std::size_t row_size = 0;  ///< elements of one sample
  [[nodiscard]] std::size_t size() const noexcept { return count * row_size; }
};

/// Reads `shape`; the product is bounded.
[[nodiscard]] shape read_shape(const record& file);

}  // namespace golden
