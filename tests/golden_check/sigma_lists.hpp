#pragma once

#include <span>
#include <string>
#include <vector>

#include "diffusion/schedules/edm_sigmas.hpp"
#include "record.hpp"

namespace golden {

/// The list of a sampler in σ and the times that the network is told, as the peers lay them out.
struct sigma_grid {
  std::vector<double> sigmas;  ///< the file's `sigmas`: the last entry included, doubled for two-stage kinds
  std::vector<double> values;  ///< `timesteps.values`; empty where the peer has none
  double rounding = 0;         ///< what the peers' rounding of ᾱ may add to the relative error of σ
  double times_rounding = 0;   ///< of times between two σ
};

/// What a grid depends on beside `schedule` and `timesteps`.
struct sigma_request {
  std::string kind;          ///< of the sampler
  std::string prediction{};  ///< what the network returns, which tells how Euler tells it the time
  double eta = 1;            ///< of kind dpm2_ancestral, whose times between depend on it
  std::span<const double>
      recorded{};  ///< the file's `sigmas`, which are given where the spacing is "explicit"
};

/// Computes both from the options of the two objects. Throws unsupported for what it does not know.
[[nodiscard]] sigma_grid read_sigma_grid(const record& schedule, const record& timesteps,
                                         const sigma_request& request);

/// The ends of a list of EDM's ablations: those given, or those of its discretization.
[[nodiscard]] diffusion::sigma_range edm_range(const record& schedule);

/// The peers compute σ² = (1-ᾱ)/ᾱ, or 1/ᾱ - 1, from an ᾱ that T roundings precede, each of 2⁻⁵³ or, where β =
/// 1 - f/f, of twice that. At the clean end, where 1-ᾱ is about σ², the last one is divided by it. The
/// library has log ᾱ there.
[[nodiscard]] double peer_rounding(double smallest_sigma, int train_steps);

/// Only the list.
[[nodiscard]] std::vector<double> read_sigma_list(const record& schedule, const record& timesteps,
                                                  const std::string& sampler_kind,
                                                  std::span<const double> recorded = {});
/// Only the times.
[[nodiscard]] std::vector<double> read_time_values(const record& schedule, const record& timesteps,
                                                   const std::string& sampler_kind, double eta = 1,
                                                   std::span<const double> recorded = {});

}  // namespace golden
