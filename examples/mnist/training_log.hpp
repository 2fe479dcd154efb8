// A training run as a table for other programs: a line of comma-separated values for every step.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "io/atomic_file.hpp"

namespace mnist {

/// What there is to say about one step.
struct log_row {
  std::int64_t step, images;  ///< done so far
  double loss, grad_norm, lr;
  double seconds;  ///< of training so far
  double images_per_s;
};

/// Every row is handed to the system at once: a killed program leaves whole rows, and perhaps a part of one.
class training_log {
 public:
  static constexpr std::string_view header = "step,images,loss,grad_norm,lr,seconds,images_per_s";

  /// Starts a log, or continues one whose run was resumed after `step` steps: later rows are removed, they
  /// will come again. Throws std::runtime_error naming the file if it is anything but such a log or cannot be
  /// written.
  training_log(const std::filesystem::path& path, std::int64_t step) : path_(path) {
    const std::string kept = rows_up_to(step);
    write_file(path, std::as_bytes(std::span(kept)));
    file_.open(path, std::ios::binary | std::ios::app);
    check();
  }

  /// Seconds of training that the log already holds.
  [[nodiscard]] double seconds() const { return seconds_; }

  void add(const log_row& row) {
    char text[200];
    std::snprintf(text, sizeof text, "%lld,%lld,%.9g,%.9g,%.9g,%.3f,%.1f\n", static_cast<long long>(row.step),
                  static_cast<long long>(row.images), row.loss, row.grad_norm, row.lr, row.seconds,
                  row.images_per_s);
    file_ << text << std::flush;
    check();
  }

 private:
  void check() const {
    if (!file_) throw std::runtime_error("cannot write " + path_.string());
  }

  /// The text of the file up to the row of `step`; sets seconds_ to that of the last row kept.
  std::string rows_up_to(std::int64_t step) {
    std::string kept = std::string(header) + '\n', line;
    std::ifstream in(path_, std::ios::binary);
    if (!in || !std::getline(in, line)) return kept;
    if (line != header)
      throw std::runtime_error(path_.string() + ": exists and is not the log of a training");
    // Where getline ends with the file there was no end of line: the row of a killed program.
    for (long long number = 2; std::getline(in, line) && !in.eof(); ++number) {
      std::int64_t at = 0;
      double seconds = 0;
      if (!parse(line, at, seconds))
        throw std::runtime_error(path_.string() + ": line " + std::to_string(number) +
                                 " is not that of a step");
      if (at > step) break;
      seconds_ = seconds;
      kept += line + '\n';
    }
    return kept;
  }

  /// Reads the first and the last but one of seven numbers.
  static bool parse(std::string_view line, std::int64_t& step, double& seconds) {
    double value = 0;
    for (int column = 0; column < 7; ++column) {
      const auto end = line.find(',');
      if ((end == std::string_view::npos) != (column == 6)) return false;
      const std::string_view text = line.substr(0, end);
      const auto whole = [&](auto& number) {
        const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc() && rest == text.data() + text.size();
      };
      if (!(column == 0 ? whole(step) : whole(value))) return false;
      if (column == 5) seconds = value;
      line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    }
    return std::isfinite(seconds);
  }

  std::filesystem::path path_;
  std::ofstream file_;
  double seconds_ = 0;
};

}  // namespace mnist
