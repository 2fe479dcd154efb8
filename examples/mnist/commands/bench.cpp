// `mnist bench`.
#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/commands.hpp"
#include "commands/shared_options.hpp"
#include "io/idx.hpp"
#include "names.hpp"
#include "nn/multiply_adds.hpp"
#include "nn/parallel.hpp"
#include "training.hpp"

namespace mnist {
namespace {

/// Channels of the first layer of the networks that are measured; the rest is as in unet_config.
constexpr std::array<std::pair<std::string_view, int>, 2> sizes{{{"tiny", 16}, {"small", 32}}};

struct bench_settings {
  std::vector<std::string> networks{"tiny", "small"};
  std::vector<int> threads;
  int batch = 128;
  double seconds = 3;
  std::string data = MNIST_DIR "/data";
};

/// Median time of a call of f over about so many seconds, after one call that is not counted.
template <class F>
double median_seconds(double budget, F&& f) {
  using clock = std::chrono::steady_clock;
  const auto timed = [&] {
    const auto start = clock::now();
    f();
    return std::chrono::duration<double>(clock::now() - start).count();
  };
  timed();
  std::vector<double> times;
  for (double sum = 0; times.size() < 3 || sum < budget; sum += times.back()) times.push_back(timed());
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// Operations per second of Eigen's product of 512 x 512 matrices, one for each thread.
double product_flops(int threads, double budget) {
  static constexpr Eigen::Index n = 512;
  struct triple {
    Eigen::MatrixXf a = Eigen::MatrixXf::Random(n, n), b = Eigen::MatrixXf::Random(n, n), c = a;
  };
  std::vector<triple> all(static_cast<std::size_t>(threads));
  const double seconds = median_seconds(budget, [&] {
    parallel_for(threads, threads, [&](int i, int) {
      triple& m = all[static_cast<std::size_t>(i)];
      for (int repeat = 0; repeat < 8; ++repeat) m.c.noalias() = m.a * m.b;
    });
  });
  return 8.0 * threads * 2 * n * n * n / seconds;
}

/// Measures one network with one number of threads and prints a line for each kind of work.
void measure(const bench_settings& s, const std::string& name, int threads, double peak,
             const labelled_images& images, std::ostream& out) {
  training_options options;
  options.batch = s.batch;
  options.network.base = by_name("network", name, sizes);
  options.network.classes = 10;
  options.images = 1000000000;  // the learning rate hardly moves
  trainer run(options, images);
  run.net().set_threads(threads);
  const double operations = 2 * multiply_adds(options.network, run.net().layout());
  const auto line = [&](const char* work, int count, double seconds, double passes) {
    const double flops = operations * passes * count / seconds;
    char text[160];
    std::snprintf(text, sizeof text, "%-6s %7d  %-14s %9.0f %10.2f %9.1f %7.2f\n", name.c_str(), threads,
                  work, count / seconds, seconds / count * 1e3, flops * 1e-9, flops / peak);
    out << text << std::flush;
  };
  line("training", s.batch, median_seconds(s.seconds, [&] { (void)run.advance(); }), 3);
  const double training_bytes = static_cast<double>(run.bytes());

  for (const int count : {64, 1}) {
    const std::vector<float> x(static_cast<std::size_t>(count) * 784, 0.5f),
        t(static_cast<std::size_t>(count), 500);
    const std::vector<int> labels(t.size(), 3);
    std::vector<float> y(x.size());
    line(count == 1 ? "one image" : "64 images", count,
         median_seconds(s.seconds / 2,
                        [&] { run.net().forward(count, x.data(), t.data(), labels.data(), y.data()); }),
         1);
  }
  char text[160];
  std::snprintf(text, sizeof text, "%-6s %7d  %.1f M multiply-adds an image; training holds %.0f MB\n",
                name.c_str(), threads, operations / 2e6, training_bytes / 1e6);
  out << text << std::flush;
}

void run_bench(bench_settings s, const console& to) {
  if (s.threads.empty())
    s.threads = available_threads() > 1 ? std::vector<int>{1, available_threads()} : std::vector<int>{1};
  const std::filesystem::path data = s.data;
  const auto images = read_idx_pair(data / "train-images-idx3-ubyte.gz", data / "train-labels-idx1-ubyte.gz");
  for (const std::string& name : s.networks) (void)by_name("network", name, sizes);

  std::vector<double> peaks;
  for (const int threads : s.threads) {
    peaks.push_back(product_flops(threads, s.seconds / 2));
    char text[96];
    std::snprintf(text, sizeof text, "matrix product, %d thread%s: %.1f GFLOP/s\n", threads,
                  threads == 1 ? "" : "s", peaks.back() * 1e-9);
    to.out << text << std::flush;
  }
  to.out << "\nbatch " << s.batch << "; share: of the matrix product with as many threads\n\n"
         << "network threads work          images/s   ms/image   GFLOP/s   share\n";
  for (const std::string& name : s.networks) {
    for (std::size_t i = 0; i < s.threads.size(); ++i)
      measure(s, name, s.threads[i], peaks[i], images, to.out);
  }
}

}  // namespace

void add_bench(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<bench_settings>();
  auto* bench = app.add_subcommand("bench", "Measure the speed of training and of sampling");
  bench->add_option("--network", s->networks, "Networks: " + names_of(sizes) + ", 16 and 32 channels wide")
      ->delimiter(',');
  bench->add_option("--threads", s->threads, "Numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->default_str("1 and all");
  bench->add_option("--batch", s->batch, "Images of a training step")->check(CLI::Range(1, 60000));
  bench->add_option("--seconds", s->seconds, "Time of a measurement; its median counts")
      ->check(CLI::Range(0.01, 3600.0));
  bench->add_option("--data", s->data, "Folder of the MNIST files");
  choose_if_given(*bench, chosen, [s, &to] { run_bench(*s, to); });
}

}  // namespace mnist
