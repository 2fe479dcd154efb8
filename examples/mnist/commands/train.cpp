// `mnist train`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "commands/interrupt.hpp"
#include "commands/progress.hpp"
#include "commands/shared_options.hpp"
#include "io/atomic_file.hpp"
#include "io/idx.hpp"
#include "io/plot.hpp"
#include "loss_curve.hpp"
#include "names.hpp"
#include "nn/parallel.hpp"
#include "training.hpp"
#include "training_log.hpp"

namespace mnist {
namespace {

struct train_settings {
  training_options options;
  bool unconditional = false;
  bool no_middle_attention = false;
  int threads = available_threads();
  std::string data = MNIST_DIR "/data";
  std::string out = "mnist_weights.safetensors";
  std::string resume;
  std::string log;
  std::optional<std::string> loss_curve;
  std::int64_t checkpoint_every = 0;
  bool half = false;
};

/// Declares the options, which are parsed into `s`.
void add_options(CLI::App* train, train_settings& s) {
  train->add_option("--out", s.out, "File for the trained weights; the checkpoint lies beside it");
  auto* resume =
      train->add_option("--resume", s.resume, "Continue from this checkpoint, with the options it holds");
  train->add_option("--data", s.data, "Folder of the MNIST files");
  add_threads(*train, s.threads);
  train
      ->add_option("--checkpoint-every", s.checkpoint_every,
                   "Save a checkpoint every so many steps; 0: every minute and after an epoch")
      ->check(CLI::NonNegativeNumber);
  train->add_option("--log", s.log, "File for a table of all steps (CSV); continued by --resume");
  train->add_option("--loss-curve", s.loss_curve, "File for a picture of the loss (PNG); \"\": none")
      ->default_str("as --out, but _loss.png");
  train->add_flag("--half", s.half, "Store the trained weights in 16 bits");

  std::vector<CLI::Option*> fresh;  // what a checkpoint decides
  const auto option = [&](const char* name, auto& value, const std::string& text) {
    return fresh.emplace_back(train->add_option(name, value, text));
  };
  const auto flag = [&](const char* name, bool& value, const char* text) {
    fresh.push_back(train->add_flag(name, value, text));
  };
  training_options& o = s.options;
  option("--epochs", o.epochs, "Passes over the images");
  option("--images", o.images, "Images to show in all, instead of --epochs; 0: --epochs decides")
      ->excludes("--epochs");
  option("--batch", o.batch, "Images in a step");
  option("--lr", o.lr, "Peak of the learning rate");
  option("--warmup", o.warmup, "Steps of its rise");
  option("--lr-decay", o.decay, "What follows: half a cosine down to 0, or none");
  option("--weight-decay", o.weight_decay, "Weights shrink by this times the learning rate in every step");
  option("--clip", o.clip, "Largest norm of a gradient");
  option("--ema", o.ema,
         "Decay of the average of the weights; (1 + n)/(10 + n) in step n where that is less");
  option("--dropout", o.dropout, "Share of elements that residual blocks drop");
  option("--weighting", o.weighting, "Weights of the loss by noise level: " + names_of(weightings));
  auto* gamma = option("--min-snr-gamma", o.min_snr_gamma, "Limit of the signal-to-noise ratio in min-snr");
  option("--drop-labels", o.drop_labels, "Share of images shown without their label");
  fresh.push_back(add_unsigned(*train, "--seed", o.seed, "Seed of everything random"));
  fresh.push_back(add_unsigned(*train, "--limit", o.limit, "Use the first so many images only; 0: all"));
  option("--schedule", o.process.schedule, "Noise schedule: " + names_of(schedules));
  option("--prediction", o.process.prediction, "What the network predicts: " + names_of(predictions));
  option("--steps", o.process.steps, "Number T of noise levels");
  auto* noisy =
      option("--noisy-data", o.process.noisy_data,
             "Learn from noisy images only: standard deviation of their noise where black is -1 and "
             "white 1");
  auto* objective = option(
      "--noisy-objective", o.noisy_objective,
      "What to learn from them: " + names_of(noisy_objectives) + ", the clean images or the noisy ones");
  option("--base", o.network.base, "Network: channels of the first layer");
  option("--mults", o.network.mults, "Network: widths of the levels in units of --base")->delimiter(',');
  option("--nres", o.network.nres, "Network: residual blocks of a level");
  option("--emb", o.network.emb, "Network: length of the time embedding; 0: 4 x base");
  option("--attn", o.network.attn, "Network: levels with attention")->delimiter(',');
  option("--heads", o.network.heads, "Network: attention heads");
  option("--groups", o.network.groups, "Network: groups of a normalisation");
  option("--up", o.network.up, "Network: way to grow, convt or nearest");
  option("--skips", o.network.skips, "Network: skip connections, res or ddpm");
  flag("--no-mid-attn", s.no_middle_attention, "Network: no attention in the middle");
  flag("--unconditional", s.unconditional, "Do not show labels to the network");
  train->parse_complete_callback([resume, fresh, gamma, noisy, objective, &o] {
    for (const CLI::Option* given : fresh)
      if (resume->count() > 0 && given->count() > 0) throw CLI::ExcludesError("--resume", given->get_name());
    if (gamma->count() > 0 && o.weighting != "min-snr")
      throw std::invalid_argument("min-snr-gamma is an option of the weighting min-snr alone");
    if (objective->count() > 0 && noisy->count() == 0)
      throw std::invalid_argument("noisy-objective is an option of --noisy-data alone");
  });
}

/// Reports the steps of a run: mean loss since the last report, speed, time left.
class training_report {
 public:
  training_report(const trainer& run, const console& to) : run_(run), progress_(to), first_(run.step()) {}

  /// Seconds since the start.
  [[nodiscard]] double seconds() const { return progress_.seconds(); }

  void step(double loss) {
    loss_ += loss;
    ++steps_;
    if (run_.step() % run_.steps_per_epoch() == 0 || run_.done())
      progress_.keep(line());
    else if (progress_.due())
      progress_.show(line());
  }

 private:
  std::string line() {
    const std::int64_t per_epoch = run_.steps_per_epoch();
    const double pace = static_cast<double>(run_.step() - first_) / progress_.seconds();
    const double left = static_cast<double>(run_.total_steps() - run_.step()) / pace;
    char text[160];
    std::snprintf(text, sizeof text, "epoch %lld/%lld  step %lld/%lld  loss %.4f  %.0f images/s  %s left",
                  static_cast<long long>((run_.step() - 1) / per_epoch + 1),
                  static_cast<long long>((run_.total_steps() - 1) / per_epoch + 1),
                  static_cast<long long>(run_.step()), static_cast<long long>(run_.total_steps()),
                  loss_ / static_cast<double>(steps_), pace * run_.options().batch, clock_text(left).c_str());
    loss_ = 0;
    steps_ = 0;
    return text;
  }

  const trainer& run_;
  progress progress_;
  std::int64_t first_;
  double loss_ = 0;
  std::int64_t steps_ = 0;
};

/// Tells when a checkpoint is due.
class checkpoint_clock {
 public:
  /// Every so many steps; 0: every minute and after an epoch.
  checkpoint_clock(std::int64_t every, std::int64_t per_epoch) : every_(every), per_epoch_(per_epoch) {}

  [[nodiscard]] bool due(std::int64_t step, double seconds) {
    if (every_ > 0) return step % every_ == 0;
    if (step % per_epoch_ != 0 && seconds - last_ < 60) return false;
    last_ = seconds;
    return true;
  }

 private:
  std::int64_t every_, per_epoch_;
  double last_ = 0;
};

/// Trains and writes the weights. Returns the exit status: 0, or 130 when a signal ended it, after a
/// checkpoint was saved. Throws what the readers, the options and the training throw.
int run_train(train_settings s, const console& to) {
  const std::filesystem::path weights = s.out;
  const auto checkpoint = std::filesystem::path(weights).replace_extension(".checkpoint");
  if (weights == checkpoint)
    throw std::invalid_argument("out = " + s.out + " is the name of its own checkpoint");
  const std::string curve =
      s.loss_curve.value_or(std::filesystem::path(weights).replace_extension("").string() + "_loss.png");
  std::vector<std::filesystem::path> files{weights, checkpoint};
  for (const std::string& name : {s.log, curve}) {
    if (name.empty()) continue;
    if (std::find(files.begin(), files.end(), name) != files.end())
      throw std::invalid_argument("two files of the name " + name);
    files.emplace_back(name);
  }
  for (const auto& file : files) require_writable(file);

  s.options.network.classes = s.unconditional ? 0 : 10;
  s.options.network.mid_attn = !s.no_middle_attention;
  const std::filesystem::path data = s.data;
  auto images = read_idx_pair(data / "train-images-idx3-ubyte.gz", data / "train-labels-idx1-ubyte.gz");
  auto run =
      s.resume.empty() ? trainer(s.options, std::move(images)) : trainer::resume(s.resume, std::move(images));
  run.net().set_threads(s.threads);
  to.out << "network of " << run.net().values().size() << " parameters, steps " << run.step() << " to "
         << run.total_steps() << " with " << run.options().batch << " images each" << std::endl;

  std::optional<training_log> log;
  if (!s.log.empty()) log.emplace(s.log, run.step());
  const double logged = log ? log->seconds() : 0;
  const interrupt stop;
  training_report report(run, to);
  checkpoint_clock clock(s.checkpoint_every, run.steps_per_epoch());
  while (!run.done()) {
    const double before = report.seconds();
    const step_result result = run.advance();
    const double after = report.seconds();
    if (log) {
      const int batch = run.options().batch;
      log->add({run.step(), run.step() * batch, result.loss, result.grad_norm, result.lr, logged + after,
                batch / (after - before)});
    }
    report.step(result.loss);
    if (clock.due(run.step(), after) || stop.requested() || run.done()) run.save(checkpoint);
    if (stop.requested() && !run.done()) {
      if (to.live && !to.quiet) to.out << '\n';
      to.out << "interrupted after step " << run.step() << "; to continue:\n  mnist train --resume "
             << checkpoint.string() << " --out " << weights.string();
      if (!s.log.empty()) to.out << " --log " << s.log;
      if (s.loss_curve) to.out << " --loss-curve " << (curve.empty() ? "\"\"" : curve);
      to.out << (s.half ? " --half" : "") << std::endl;
      return 130;
    }
  }
  run.save_average(weights, s.half);
  to.out << "weights: " << weights.string() << std::endl;
  if (!curve.empty()) {
    plot::write_png(curve, loss_curve(run));
    to.out << "loss curve: " << curve << std::endl;
  }
  return 0;
}

}  // namespace

void add_train(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<train_settings>();
  auto* train = app.add_subcommand("train", "Train a network on the MNIST images");
  add_options(train, *s);
  add_quiet(*train, to);
  choose_if_given(*train, chosen, [s, &to] { return run_train(*s, to); });
}

}  // namespace mnist
