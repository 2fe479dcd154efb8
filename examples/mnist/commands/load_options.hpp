// Options that complete weights without metadata, such as those of networks trained elsewhere.
#pragma once

#include <CLI/CLI.hpp>

#include "checkpoint.hpp"
#include "names.hpp"

namespace mnist {

inline constexpr const char* load_group = "Weights files without metadata";

/// What the network needs besides names and shapes.
inline void add_network_options(CLI::App& app, load_options& o) {
  app.add_option("--prefix", o.prefix, "Network to take from a file of several: what its names begin with")
      ->default_str("found")
      ->group(load_group);
  app.add_option("--groups", o.groups, "Groups of a normalisation")->default_str("8")->group(load_group);
  app.add_option("--heads", o.heads, "Attention heads")->default_str("1")->group(load_group);
}

/// What the samplers need besides the network.
inline void add_process_options(CLI::App& app, load_options& o) {
  app.add_option("--train-schedule", o.schedule, "Noise schedule of the training: " + names_of(schedules))
      ->group(load_group);
  app.add_option("--prediction", o.prediction, "What the network predicts: " + names_of(predictions))
      ->group(load_group);
  app.add_option("--train-steps", o.train_steps, "Number T of noise levels")
      ->default_str("1000")
      ->group(load_group);
  app.add_option("--noisy-data", o.noisy_data,
                 "Noise of the images of the training: sigma/alpha where the noise of a run ends, with x0 "
                 "predicted from there as its last step")
      ->default_str("0")
      ->group(load_group);
}

}  // namespace mnist
