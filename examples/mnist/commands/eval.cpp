// `mnist eval`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iomanip>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "commands/commands.hpp"
#include "commands/draw.hpp"
#include "commands/elbo.hpp"
#include "feature_scores.hpp"
#include "frechet.hpp"
#include "io/idx.hpp"
#include "io/png.hpp"
#include "lenet.hpp"
#include "neighbour_scores.hpp"

namespace mnist {
namespace {

struct eval_settings : draw_settings {
  std::string classifier = MNIST_DIR "/classifier/lenet.safetensors";
  std::string data = MNIST_DIR "/data";
  std::string csv;
  bool bounds = false;  ///< --elbo
  elbo_settings elbo;
};

/// Real digits in random order, always the same ones: of the classes that `labels` names, or `count` of any
/// where it is empty; all that there are where that is fewer.
labelled_images pick(const labelled_images& all, std::span<const int> labels, std::size_t count) {
  constexpr std::uint64_t seed = 1;
  const std::size_t area = all.images.rows * all.images.cols;
  std::array<std::size_t, 10> wanted{};
  for (const int label : labels) ++wanted[static_cast<std::size_t>(label)];
  labelled_images some;
  for (const std::size_t i : detail::image_order(seed, 0, all.images.count)) {
    if (some.labels.size() == count) break;
    std::size_t& left = wanted[static_cast<std::size_t>(all.labels[i])];
    if (!labels.empty() && left-- == 0) {
      left = 0;
      continue;
    }
    const auto first = all.images.pixels.begin() + static_cast<std::ptrdiff_t>(i * area);
    some.images.pixels.insert(some.images.pixels.end(), first, first + static_cast<std::ptrdiff_t>(area));
    some.labels.push_back(all.labels[i]);
  }
  some.images.count = some.labels.size();
  some.images.rows = all.images.rows;
  some.images.cols = all.images.cols;
  return some;
}

/// All scores of a set of digits.
struct scores {
  double fid_test, fid_train;
  kid_estimate kid;
  precision_recall neighbours;
  density_coverage balls;
  double confidence, confident;
  double agreement = 0;  ///< with the labels; 0 where there are none
  std::array<int, 10> histogram{};
};

/// What digits are compared with.
struct references {
  feature_statistics test, train;
  Eigen::MatrixXd features;  ///< of images of the test set
};

/// The kernel distance of ten blocks, of features in units of their root mean square in the whole test set:
/// so that xᵀy/d is of order 1, as the kernel (xᵀy/d + 1)³ expects. In random order: drawn digits come class
/// by class in turn, and a block with as many of each class holds fewer alike than a sample does, which makes
/// the distance too small.
kid_estimate kid_of(const Eigen::MatrixXd& features, const references& to) {
  constexpr std::uint64_t seed = 1;
  const double unit = std::sqrt((to.test.covariance().trace() + to.test.mean().squaredNorm()) /
                                static_cast<double>(features.cols()));
  const auto order = detail::image_order(seed, 0, static_cast<std::size_t>(features.rows()));
  Eigen::MatrixXd mixed(features.rows(), features.cols());
  for (Eigen::Index i = 0; i < mixed.rows(); ++i)
    mixed.row(i) = features.row(static_cast<Eigen::Index>(order[static_cast<std::size_t>(i)]));
  return kid_in_blocks(mixed / unit, to.features / unit, std::min(mixed.rows(), to.features.rows()) / 10);
}

template <class Labels>
scores score_digits(const lenet::output& found, const Labels& labels, const references& to) {
  feature_statistics statistics;
  statistics.add(found.features);
  const auto digits = score(found.logits);
  const Eigen::MatrixXd features = found.features.cast<double>();
  scores result{.fid_test = frechet_distance(statistics, to.test),
                .fid_train = frechet_distance(statistics, to.train),
                .kid = kid_of(features, to),
                .neighbours = precision_and_recall(to.features, features),
                .balls = density_and_coverage(to.features, features),
                .confidence = digits.mean_confidence,
                .confident = digits.share_confident};
  for (const int digit : digits.predicted) ++result.histogram[static_cast<std::size_t>(digit)];
  std::size_t agreed = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) agreed += digits.predicted[i] == labels[i];
  result.agreement = static_cast<double>(agreed) / static_cast<double>(digits.predicted.size());
  return result;
}

/// A file that grows by one line per run, below a line of column names.
class csv_file {
 public:
  /// Throws std::runtime_error if the file cannot be written or has other columns.
  csv_file(const std::string& path, const std::string& columns) : path_(path) {
    std::string first;
    std::ifstream in(path);
    const bool filled = static_cast<bool>(std::getline(in, first));
    if (filled && first != columns) throw std::runtime_error(path + ": has other columns than " + columns);
    out_.open(path, std::ios::app);
    if (!out_) throw std::runtime_error("cannot write " + path);
    if (!filled) out_ << columns << '\n';
  }

  void append(const std::string& line) {
    out_ << line << std::endl;
    if (!out_) throw std::runtime_error("cannot write " + path_);
  }

 private:
  std::string path_;
  std::ofstream out_;
};

/// A text as a field of a CSV file.
std::string csv_field(const std::string& text) {
  std::ostringstream field;
  field << std::quoted(text, '"', '"');
  return field.str();
}

const std::string csv_columns =
    "weights,digits,settings,seed,evaluations,fid_test,fid_train,kid,kid_error,precision,recall,"
    "density,coverage,mean_confidence,above_0.9,label_agreement,real_fid_test,real_fid_train,real_kid,"
    "real_kid_error,real_precision,real_recall,real_density,real_coverage,seconds";

std::string csv_line(const eval_settings& s, std::size_t looks, const scores& drawn, const scores& real,
                     double seconds) {
  std::ostringstream line;
  line << std::setprecision(8) << csv_field(s.weights) << ',' << s.count << ','
       << csv_field(describe(s.options)) << ',' << s.options.seed << ',' << looks;
  const auto add = [&](std::initializer_list<double> values) {
    for (const double value : values) line << ',' << value;
  };
  const auto add_distances = [&](const scores& of) {
    add({of.fid_test, of.fid_train, of.kid.mean, of.kid.standard_error, of.neighbours.precision,
         of.neighbours.recall, of.balls.density, of.balls.coverage});
  };
  add_distances(drawn);
  add({drawn.confidence, drawn.confident, drawn.agreement});
  add_distances(real);
  add({seconds});
  return line.str();
}

void print_table(std::ostream& out, int count, const scores& drawn, const scores& real, bool labelled) {
  char text[160];
  const auto row = [&](const std::string& name, const char* format, auto a, auto b) {
    std::array<char, 32> left, right;
    std::snprintf(left.data(), left.size(), format, a);
    std::snprintf(right.data(), right.size(), format, b);
    std::snprintf(text, sizeof text, "%-18s %11s %12s\n", name.c_str(), left.data(), right.data());
    out << text;
  };
  row("", "%s", "generated", "real digits");
  row("count", "%d", count, count);
  row("FID, test set", "%.2f", drawn.fid_test, real.fid_test);
  row("FID, training set", "%.2f", drawn.fid_train, real.fid_train);
  row("KID x 1000", "%.2f", 1000 * drawn.kid.mean, 1000 * real.kid.mean);
  row("its standard error", "%.2f", 1000 * drawn.kid.standard_error, 1000 * real.kid.standard_error);
  row("precision", "%.4f", drawn.neighbours.precision, real.neighbours.precision);
  row("recall", "%.4f", drawn.neighbours.recall, real.neighbours.recall);
  row("density", "%.4f", drawn.balls.density, real.balls.density);
  row("coverage", "%.4f", drawn.balls.coverage, real.balls.coverage);
  row("mean confidence", "%.4f", drawn.confidence, real.confidence);
  row("above 0.9", "%.4f", drawn.confident, real.confident);
  if (labelled) row("label agreement", "%.4f", drawn.agreement, real.agreement);
  for (std::size_t digit = 0; digit < drawn.histogram.size(); ++digit)
    row((digit == 0 ? "classified as " : "              ") + std::to_string(digit), "%d",
        drawn.histogram[digit], real.histogram[digit]);
}

/// Prints the variational bound of digits of the test set.
void run_bound(eval_settings s, const console& to) {
  model m = prepare(s);
  const std::filesystem::path data = s.data;
  const auto test = read_idx_pair(data / "t10k-images-idx3-ubyte.gz", data / "t10k-labels-idx1-ubyte.gz");
  const auto images = pick(test, {}, static_cast<std::size_t>(s.count));
  if (images.images.count < static_cast<std::size_t>(s.count))
    throw std::invalid_argument("n = " + std::to_string(s.count) + ", allowed with --elbo: up to the " +
                                std::to_string(test.images.count) + " images of the test set");
  run_elbo(m, images, s.elbo, s.options.seed, to);
}

/// Draws digits, as many of each class, and prints their scores beside those of as many real digits.
void run_eval(eval_settings s, const console& to) {
  model m = prepare(s);
  const lenet classifier(s.classifier);
  const auto folder = std::filesystem::path(s.classifier).parent_path();
  references reference{.test = read_feature_statistics(folder / "stats_test.safetensors"),
                       .train = read_feature_statistics(folder / "stats_train.safetensors"),
                       .features = {}};
  const std::filesystem::path data = s.data;
  const auto train = read_idx_pair(data / "train-images-idx3-ubyte.gz", data / "train-labels-idx1-ubyte.gz");
  const auto test = read_idx_pair(data / "t10k-images-idx3-ubyte.gz", data / "t10k-labels-idx1-ubyte.gz");
  const auto count = static_cast<std::size_t>(s.count);
  const auto labels = labels_for(m, s.count, {});
  const auto looks = evaluations(m, s.options);
  const auto picked = pick(train, labels, count), compared = pick(test, labels, count);
  constexpr std::size_t fewest = 20;  // two in each block of the kernel distance
  if (picked.labels.size() < std::max(count, fewest) || compared.labels.size() < fewest)
    throw std::invalid_argument("n = " + std::to_string(s.count) + ", allowed: " + std::to_string(fewest) +
                                " up to what " + s.data + " has real digits for");
  std::optional<csv_file> csv;
  if (!s.csv.empty()) csv.emplace(s.csv, csv_columns);

  progress report(to);
  const auto images = generate(m, s.options, count, labels, [&](const auto& run) {
    show_step(report, run.stage_index() + 1, run.stages());
  });
  const double drawing = report.seconds();
  if (to.live) report.show("scoring");
  const auto look = [&](std::span<const std::uint8_t> pixels) { return classifier(pixels, s.threads); };
  reference.features = look(compared.images.pixels).features.cast<double>();
  const auto drawn = score_digits(look(to_bytes(images)), labels, reference);
  const auto real = score_digits(look(picked.images.pixels), picked.labels, reference);
  const double seconds = report.seconds();
  report.clear();

  if (csv) csv->append(csv_line(s, looks, drawn, real, drawing));
  print_table(to.out, s.count, drawn, real, !labels.empty());
  char text[96];
  to.out << "sampler      " << describe(s.options) << '\n';
  std::snprintf(text, sizeof text, "evaluations  %zu for each digit\nseconds      %.2f, and %.2f to score\n",
                looks, drawing, seconds - drawing);
  to.out << text << std::flush;
}

/// --elbo, and what goes with it alone.
void add_bound_options(CLI::App& app, eval_settings& s) {
  auto* const bounds = app.add_flag(
      "--elbo", s.bounds,
      "Instead, estimate the variational bound of n images of the test set in bits per dimension: "
      "-log2 p(x) of the 8-bit pixels is at most that. A minute on two cores with the default "
      "network, n and draws");
  for (const char* other : {"--sampler", "--steps", "--eta", "--order", "--churn", "--spacing", "--schedule",
                            "--guidance", "--classifier", "--csv"})
    bounds->excludes(app.get_option(other));
  const auto own = [&](CLI::Option* option) { option->needs(bounds)->group("With --elbo"); };
  own(app.add_option("--draws", s.elbo.draws, "Times for each image, drawn where the terms are large")
          ->check(CLI::Range(1, 100000)));
  own(app.add_flag("--labels", s.elbo.labels,
                   "Tell the network the label of each image: the bound of p(x | label) instead of p(x)"));
  own(app.add_option("--variance", s.elbo.variance, "Variance of the steps: " + elbo_variances()));
  own(app.add_option("--plot", s.elbo.plot, "File for a picture of the terms over time (PNG)"));
}

}  // namespace

void add_eval(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<eval_settings>();
  s->count = 2000;
  auto* eval = app.add_subcommand("eval", "Score drawn digits, beside real ones, with a classifier");
  add_draw_options(*eval, *s);
  eval->add_option("--classifier", s->classifier,
                   "Weights of the classifier; stats_test.safetensors and stats_train.safetensors, the "
                   "features of real digits, lie beside it");
  eval->add_option("--data", s->data, "Folder of the MNIST files");
  eval->add_option("--csv", s->csv, "Append the scores to this file, as a line below column names");
  add_bound_options(*eval, *s);
  add_quiet(*eval, to);
  choose_if_given(*eval, chosen, [s, &to] { s->bounds ? run_bound(*s, to) : run_eval(*s, to); });
}

}  // namespace mnist
