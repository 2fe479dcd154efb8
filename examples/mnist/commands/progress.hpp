// How far a long job is: a line that is overwritten on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>

namespace mnist {

/// "1:02:03", "2:03" from seconds.
[[nodiscard]] inline std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(seconds);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

/// Where a command writes.
struct console {
  std::ostream& out;
  bool live = false;   ///< `out` is a terminal
  bool quiet = false;  ///< no progress: results only
};

class progress {
 public:
  explicit progress(const console& to) : out_(to.out), live_(to.live), quiet_(to.quiet) {}

  /// Seconds since the start.
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(clock::now() - start_).count();
  }

  /// Whether it is time for another `show`: ten times a second on a terminal, every ten seconds elsewhere.
  [[nodiscard]] bool due() const { return !quiet_ && seconds() - shown_ >= (live_ ? 0.1 : 10); }

  /// Shows the line, in the place of the last one on a terminal.
  void show(const std::string& line) {
    if (quiet_) return;
    shown_ = seconds();
    if (live_)
      out_ << '\r' << line << "\x1b[K" << std::flush;
    else
      out_ << line << std::endl;
  }

  /// Shows a line that stays.
  void keep(const std::string& line) {
    show(line);
    if (live_ && !quiet_) out_ << '\n';
  }

  /// Removes the line from a terminal.
  void clear() {
    if (live_ && !quiet_) out_ << "\r\x1b[K" << std::flush;
  }

 private:
  using clock = std::chrono::steady_clock;
  std::ostream& out_;
  bool live_, quiet_;
  clock::time_point start_ = clock::now();
  double shown_ = 0;
};

}  // namespace mnist
