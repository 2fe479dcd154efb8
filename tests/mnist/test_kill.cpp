// Programs that are killed at any moment: nothing is lost but the steps since the last checkpoint.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "io/atomic_file.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"
#include "temporary_folder.hpp"
#include "training.hpp"
#include "training_log.hpp"

namespace {

using namespace program_runs;

/// Starts the real program, without output.
pid_t start(std::vector<std::string> words) {
  words.insert(words.begin(), MNIST_PROGRAM);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stdout);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return child;
}

/// The status of a child that has ended or will; -1 for one that was killed.
int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::size_t temporaries(const temporary_folder& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    count += entry.path().extension() == ".tmp";
  return count;
}

/// Rows of a log that are there, the header not counted.
std::int64_t rows_of(const std::filesystem::path& log) {
  const std::string text = read_bytes(log);
  return std::count(text.begin(), text.end(), '\n') - 1;
}

/// The columns of a log that do not depend on the time.
std::string untimed(const std::string& log) {
  std::string result;
  for (std::size_t at = 0, end; (end = log.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string line = log.substr(at, end - at);
    result += line.substr(0, line.rfind(',', line.rfind(',') - 1)) + '\n';
  }
  return result;
}

}  // namespace

TEST_CASE("a training that is killed again and again ends with the same bytes", "[mnist][kill]") {
  const workshop shop;
  const auto checkpoint = shop.folder / "w.checkpoint", log = shop.folder / "log.csv";
  const std::vector<std::string> always{
      "--data", shop.data,      "--out", shop.weights,         "--log", log.string(), "--threads",
      "1",      "--loss-curve", "",      "--checkpoint-every", "5"};
  const std::vector<std::string> fresh = joined(
      {"train",     "--images", "400",         "--batch",       "4",       "--base", "4",        "--mults",
       "1",         "--groups", "2",           "--no-mid-attn", "--steps", "60",     "--warmup", "2",
       "--dropout", "0.2",      "--weighting", "min-snr"},
      always);
  REQUIRE(wait_for(start(fresh)) == 0);
  const std::string weights = read_bytes(shop.weights), last = read_bytes(checkpoint),
                    rows = untimed(read_bytes(log));
  for (const auto& path : {std::filesystem::path(shop.weights), checkpoint, log})
    std::filesystem::remove(path);

  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int kills = 0, resumed = 0, status = -1;
  std::int64_t done = 0;
  while (status != 0) {
    const bool whole = !std::filesystem::exists(checkpoint);
    resumed += !whole;
    const pid_t child = start(whole ? fresh : joined({"train", "--resume", checkpoint.string()}, always));
    if (kills < 6) {  // while it starts, or in a step of the next few; then it may finish
      const auto rows_wanted = done + static_cast<std::int64_t>(random() % 25);
      const auto microseconds = random() % 5000;
      siginfo_t ended{};
      const auto running = [&] {
        return ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               ended.si_pid == 0;
      };
      while (running() && rows_of(log) < rows_wanted)
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
      ::kill(child, SIGKILL);
      ++kills;
    }
    status = wait_for(child);
    INFO("after " << kills << " kills");
    REQUIRE((status == 0 || status == -1));
    CHECK(temporaries(shop.folder) <= 3);  // of weights, checkpoint and log: no more, however often
    if (!std::filesystem::exists(checkpoint)) continue;
    auto images = mnist::read_idx_pair(shop.folder / "train-images-idx3-ubyte.gz",
                                       shop.folder / "train-labels-idx1-ubyte.gz");
    const auto run = mnist::trainer::resume(checkpoint, std::move(images));  // throws for half a file
    CHECK(run.step() >= done);
    done = run.step();
  }
  CHECK(done == 100);
  CHECK(resumed > 0);
  CHECK((read_bytes(shop.weights) == weights));
  CHECK((read_bytes(checkpoint) == last));
  CHECK(untimed(read_bytes(log)) == rows);
  CHECK(temporaries(shop.folder) == 0);
}

TEST_CASE("a file whose writer was killed keeps its old content, and the next writer cleans up",
          "[mnist][kill]") {
  const temporary_folder folder;
  const auto path = folder.write("kept", "old");
  const std::string text = "new content";
  for (int round = 0; round < 3; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      mnist::detail::temporary_file file(path);
      file.write(std::as_bytes(std::span(text)));
      ::raise(SIGKILL);
    }
    REQUIRE(wait_for(child) == -1);
    CHECK(read_bytes(path) == "old");
    CHECK(temporaries(folder) == 1);  // one, however often
  }
  mnist::write_file(path, std::as_bytes(std::span(text).first(3)));
  CHECK(read_bytes(path) == "new");  // nothing of the longer leftover
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("writers of one file take turns and never publish each other's half", "[mnist][kill]") {
  const temporary_folder folder;
  const auto path = folder / "shared";
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      const std::string text(20000, static_cast<char>('a' + w));
      for (int i = 0; i < 10; ++i) {
        mnist::detail::temporary_file file(path);
        file.write(std::as_bytes(std::span(text).first(7000)));
        std::this_thread::yield();
        file.write(std::as_bytes(std::span(text).subspan(7000)));
        if (i % 3 != 0) file.commit();  // or give up
      }
    });
  bool whole = true;
  for (int i = 0; i < 200; ++i) {
    const auto found = read_bytes(path);
    whole = whole && (found.empty() || found == std::string(20000, found[0]));
  }
  for (auto& writer : writers) writer.join();
  CHECK(whole);
  const auto found = read_bytes(path);
  REQUIRE(found.size() == 20000);
  CHECK(found == std::string(20000, found[0]));
  CHECK(temporaries(folder) == 0);
}

TEST_CASE("a temporary name that is a link or a pipe is refused, not followed", "[mnist][kill]") {
  const temporary_folder folder;
  const auto victim = folder.write("victim", "precious"), path = folder / "x";
  std::filesystem::create_symlink(victim, folder / "x.tmp");
  CHECK(contains(message_of([&] { mnist::write_file(path, {}); }), "cannot write " + path.string()));
  CHECK(read_bytes(victim) == "precious");
  std::filesystem::remove(folder / "x.tmp");
  REQUIRE(::mkfifo((folder / "x.tmp").c_str(), 0600) == 0);
  CHECK(contains(message_of([&] { mnist::write_file(path, {}); }), "cannot write " + path.string()));
}
