// Options that several commands have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "commands/progress.hpp"

namespace mnist {

/// Number of threads, 1 to 1024.
inline CLI::Option* add_threads(CLI::App& app, int& threads) {
  return app.add_option("--threads", threads, "Threads; the result does not depend on them")
      ->check(CLI::Range(1, 1024));
}

/// No progress.
inline CLI::Option* add_quiet(CLI::App& app, console& to) {
  return app.add_flag("--quiet", to.quiet, "Print results only, no progress");
}

/// A number, or a list of them, that may not be negative: CLI11 would take -1 for the largest one.
template <class Unsigned>
CLI::Option* add_unsigned(CLI::App& app, const std::string& name, Unsigned& value, const std::string& text) {
  return app.add_option(name, value, text)->check([](const std::string& given) {
    return std::string(given.starts_with('-') ? given + " is negative" : "");
  });
}

}  // namespace mnist
