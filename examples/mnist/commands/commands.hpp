// The commands of the program `mnist`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "commands/progress.hpp"

namespace mnist {

/// What the command line asked for: returns the exit status, throws what is wrong with options or files.
using action = std::function<int()>;

// Each declares a command and its options in `app`. Where it is given, parsing makes it the `chosen` one,
// which writes to `to`; both must outlive `app`.
void add_train(CLI::App& app, console& to, action& chosen);
void add_sample(CLI::App& app, console& to, action& chosen);
void add_eval(CLI::App& app, console& to, action& chosen);
void add_denoise(CLI::App& app, console& to, action& chosen);
void add_interpolate(CLI::App& app, console& to, action& chosen);
void add_inpaint(CLI::App& app, console& to, action& chosen);
void add_forward(CLI::App& app, console& to, action& chosen);
void add_bench(CLI::App& app, console& to, action& chosen);
void add_predict(CLI::App& app, console& to, action& chosen);

}  // namespace mnist
