// The commands of the program `mnist`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <type_traits>

#include "commands/progress.hpp"

namespace mnist {

/// What the command line asked for: returns the exit status, throws what is wrong with options or files.
using action = std::function<int()>;

/// Makes `run` the chosen command where the command line gives `command`.
template <class Run>
void choose_if_given(CLI::App& command, action& chosen, Run run) {
  command.final_callback([&chosen, run] {
    chosen = [run]() -> int {
      if constexpr (std::is_void_v<decltype(run())>) {
        run();
        return 0;
      } else {
        return run();
      }
    };
  });
}

// Each declares a command and its options in `app`. Where it is given, parsing makes it the `chosen` one,
// which writes to `to`; both must outlive `app`.
void add_train(CLI::App& app, console& to, action& chosen);
void add_sample(CLI::App& app, console& to, action& chosen);
void add_eval(CLI::App& app, console& to, action& chosen);
void add_likelihood(CLI::App& app, console& to, action& chosen);
void add_denoise(CLI::App& app, console& to, action& chosen);
void add_interpolate(CLI::App& app, console& to, action& chosen);
void add_inpaint(CLI::App& app, console& to, action& chosen);
void add_forward(CLI::App& app, console& to, action& chosen);
void add_bench(CLI::App& app, console& to, action& chosen);
void add_predict(CLI::App& app, console& to, action& chosen);

}  // namespace mnist
