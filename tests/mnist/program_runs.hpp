// Runs of the program `mnist`, and a place where it has data and a trained network.
#pragma once

#include <csignal>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "program.hpp"
#include "temporary_folder.hpp"

namespace program_runs {

struct outcome {
  int status;
  std::string out, err;
};

/// Collects output, and raises a signal in the moment when it shows `trigger`.
class alarm : public std::stringbuf {
 public:
  explicit alarm(std::string trigger) : trigger_(std::move(trigger)) {}

 private:
  int sync() override {
    if (!trigger_.empty() && contains(str(), trigger_)) {
      trigger_.clear();
      std::raise(SIGINT);
    }
    return 0;
  }
  std::string trigger_;
};

/// Runs the program; SIGINT comes when the output shows `trigger`.
inline outcome run(std::vector<std::string> words, const std::string& trigger = "") {
  words.insert(words.begin(), "mnist");
  std::vector<const char*> argv;
  for (const auto& word : words) argv.push_back(word.c_str());
  alarm buffer(trigger);
  std::ostream out(&buffer);
  std::ostringstream err;
  const int status = mnist::run_program(static_cast<int>(argv.size()), argv.data(), out, err, false);
  return {status, buffer.str(), err.str()};
}

inline std::vector<std::string> joined(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A data folder of `count` images, and a network trained on them.
struct workshop {
  temporary_folder folder;
  std::string data = folder.path().string(), weights = (folder / "w.safetensors").string();

  explicit workshop(int count = 12) {
    std::string images{"\0\0\10\3\0\0\0", 7}, labels{"\0\0\10\1\0\0\0", 7};
    images += static_cast<char>(count);
    labels += static_cast<char>(count);
    images += std::string("\0\0\0\34\0\0\0\34", 8);
    for (int i = 0; i < count; ++i) {
      images += std::string(28 * 28, static_cast<char>(17 * i));
      labels += static_cast<char>(i % 10);
    }
    folder.write("train-images-idx3-ubyte.gz", images);
    folder.write("train-labels-idx1-ubyte.gz", labels);
  }

  /// Trains for two epochs of three steps.
  outcome train(const std::vector<std::string>& more = {}, const std::string& trigger = "") const {
    return run(joined({"train",   "--data", data,       "--out",   weights, "--epochs", "2", "--batch",
                       "4",       "--base", "4",        "--mults", "1,1",   "--groups", "2", "--no-mid-attn",
                       "--steps", "60",     "--warmup", "2"},
                      more),
               trigger);
  }
};

}  // namespace program_runs
