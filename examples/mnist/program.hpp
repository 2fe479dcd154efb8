// The command line of the program `mnist`.
#pragma once

#include <CLI/CLI.hpp>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>

#include "sample_command.hpp"
#include "train_command.hpp"

namespace mnist {

/// Runs the program; `live` tells that `out` is a terminal. Returns the exit status: 0, 2 after one line on
/// `err` when options or files are wrong, 130 when a signal ended a training.
inline int run_program(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool live) {
  CLI::App app("A small diffusion model of handwritten digits", "mnist");
  app.require_subcommand(0, 1);
  app.option_defaults()->always_capture_default();
  train_settings train;
  sample_settings sample;
  eval_settings eval;
  const auto* train_command = add_train(app, train);
  const auto* sample_command = add_sample(app, sample);
  add_eval(app, eval);
  app.allow_extras();  // after the commands, which would inherit it: refused below with a clearer message
  try {
    app.parse(argc, argv);
    const auto extras = app.remaining();
    if (!extras.empty() || app.get_subcommands().empty())
      throw std::invalid_argument(
          (extras.empty() ? "no command given" : "unknown command or option \"" + extras.front() + "\"") +
          "; commands: train, sample, eval");
    if (*train_command) return run_train(train, out, live);
    if (*sample_command)
      run_sample(sample, out, live);
    else
      run_eval(eval, out, live);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help, out, err);
  } catch (const std::exception& error) {
    err << "mnist: " << error.what() << std::endl;
    return 2;
  }
}

}  // namespace mnist
