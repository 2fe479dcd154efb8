// The command line of the program `mnist`.
#pragma once

#include <CLI/CLI.hpp>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>

#include "commands/commands.hpp"

namespace mnist {

/// Runs the program; `live` tells that `out` is a terminal. Returns the exit status: 0, 1 when
/// `predict` finds other outputs than expected, 2 after one line on `err` when options or files are wrong,
/// 130 when a signal ended a training.
inline int run_program(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool live) {
  CLI::App app("A small diffusion model of handwritten digits", "mnist");
  app.require_subcommand(0, 1);
  app.footer("Exit status: 0 done; 2 after one line on standard error; 130 after a signal and a checkpoint.");
  app.option_defaults()->always_capture_default();
  console to{out, live};
  action command;
  for (const auto add : {add_train, add_sample, add_eval, add_likelihood, add_denoise, add_interpolate,
                         add_inpaint, add_forward, add_predict, add_bench})
    add(app, to, command);
  app.allow_extras();  // after the commands, which would inherit it: refused below with a clearer message
  try {
    app.parse(argc, argv);
    const auto extras = app.remaining();
    if (!command || !extras.empty()) {
      std::string names;
      for (const auto* known : app.get_subcommands({}))
        names += (names.empty() ? "" : ", ") + known->get_name();
      throw std::invalid_argument(
          (extras.empty() ? "no command given" : "unknown command or option \"" + extras.front() + "\"") +
          "; commands: " + names);
    }
    return command();
  } catch (const CLI::Success& help) {
    return app.exit(help, out, err);
  } catch (const std::exception& error) {
    err << "mnist: " << error.what() << std::endl;
    return 2;
  }
}

}  // namespace mnist
