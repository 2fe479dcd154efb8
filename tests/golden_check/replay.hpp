#pragma once

#include <limits>
#include <string>
#include <vector>

#include "batch.hpp"
#include "diffusion/run_plan.hpp"
#include "diffusion/x0_transform.hpp"
#include "toy_predictor.hpp"

namespace golden {

/// What a file records of one evaluation of the model and of what came of it. Arrays are empty where it
/// records nothing.
struct recorded_ask {
  std::string path;           ///< where in the file
  std::size_t step = 0;       ///< the step of the peer that it belongs to
  diffusion::noise_level at;  ///< of the state that the model saw
  array x_in, model_output;   ///< that state, and what the model returned
  array x_after, x0;          ///< the state after the stage, and the predicted clean sample
  std::vector<array> noises;  ///< what the whole step drew, in order
  array unrecorded{};         ///< what the peer added to the state before, beside its noise
  double rounding = 0;        ///< relative, what rounding alone may do to x̂0 and to the state
};

/// A run of the library beside what a file recorded.
struct replayed_run {
  precision p = precision::f64;
  shape dims;
  diffusion::run_plan plan;
  diffusion::x0_transform transform;
  model_output_kind model;
  toy_predictor predictor;
  std::vector<recorded_ask> asks;
  array x_init, x_final;
  double closed_loop_gain = 0;
  std::size_t steps = 0;  ///< of the peer
  bool compares_x0 = true;
  bool compares_levels = true;
  double output_limit =
      std::numeric_limits<double>::infinity();  ///< the peer's network clamps its output to ±this
  double final_limit = std::numeric_limits<double>::infinity();  ///< the peer clamps its result to ±this
};

/// Every stage by itself from the recorded state, with the recorded model output and noise.
void check_open_loop(const replayed_run& file, report& result);
/// The whole run from its start, with the toy predictor and the recorded noise.
void check_closed_loop(const replayed_run& file, report& result);

}  // namespace golden
