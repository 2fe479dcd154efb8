// `mnist train`.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
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
#include "names.hpp"
#include "nn/parallel.hpp"
#include "training.hpp"

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
};

/// Declares the options, which are parsed into `s`.
void add_options(CLI::App* train, train_settings& s) {
  train->add_option("--out", s.out, "File for the trained weights; the checkpoint lies beside it");
  auto* resume =
      train->add_option("--resume", s.resume, "Continue from this checkpoint, with the options it holds");
  train->add_option("--data", s.data, "Folder of the MNIST files");
  add_threads(*train, s.threads);

  std::vector<CLI::Option*> fresh;  // what a checkpoint decides
  const auto option = [&](const char* name, auto& value, const std::string& text) {
    return fresh.emplace_back(train->add_option(name, value, text));
  };
  const auto flag = [&](const char* name, bool& value, const char* text) {
    fresh.push_back(train->add_flag(name, value, text));
  };
  training_options& o = s.options;
  option("--epochs", o.epochs, "Passes over the images");
  option("--batch", o.batch, "Images in a step");
  option("--lr", o.lr, "Peak of the learning rate");
  option("--warmup", o.warmup, "Steps of its rise; half a cosine down to 0 follows");
  option("--clip", o.clip, "Largest norm of a gradient");
  option("--ema", o.ema, "Decay of the average of the weights");
  option("--drop-labels", o.drop_labels, "Share of images shown without their label");
  fresh.push_back(add_unsigned(*train, "--seed", o.seed, "Seed of everything random"));
  fresh.push_back(add_unsigned(*train, "--limit", o.limit, "Use the first so many images only; 0: all"));
  option("--schedule", o.process.schedule, "Noise schedule: " + names_of(schedules));
  option("--prediction", o.process.prediction, "What the network predicts: " + names_of(predictions));
  option("--steps", o.process.steps, "Number T of noise levels");
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
  train->callback([resume, fresh] {
    for (const CLI::Option* given : fresh)
      if (resume->count() > 0 && given->count() > 0) throw CLI::ExcludesError("--resume", given->get_name());
  });
}

/// Reports the steps of a run: mean loss since the last report, speed, time left.
class training_report {
 public:
  training_report(const trainer& run, const console& to) : run_(run), progress_(to), first_(run.step()) {}

  void step(double loss) {
    loss_ += loss;
    ++steps_;
    if (run_.step() % run_.steps_per_epoch() == 0)
      progress_.keep(line());
    else if (progress_.due())
      progress_.show(line());
  }

 private:
  std::string line() {
    const double pace = static_cast<double>(run_.step() - first_) / progress_.seconds();
    const double left = static_cast<double>(run_.total_steps() - run_.step()) / pace;
    char text[160];
    std::snprintf(text, sizeof text, "epoch %lld/%d  step %lld/%lld  loss %.4f  %.0f images/s  %s left",
                  static_cast<long long>((run_.step() - 1) / run_.steps_per_epoch() + 1),
                  run_.options().epochs, static_cast<long long>(run_.step()),
                  static_cast<long long>(run_.total_steps()), loss_ / static_cast<double>(steps_),
                  pace * run_.options().batch, clock_text(left).c_str());
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

/// Trains and writes the weights. Returns the exit status: 0, or 130 when a signal ended it, after a
/// checkpoint was saved. Throws what the readers, the options and the training throw.
int run_train(train_settings s, const console& to) {
  const std::filesystem::path weights = s.out;
  const auto checkpoint = std::filesystem::path(weights).replace_extension(".checkpoint");
  if (weights == checkpoint)
    throw std::invalid_argument("out = " + s.out + " is the name of its own checkpoint");
  require_writable(weights);
  require_writable(checkpoint);

  s.options.network.classes = s.unconditional ? 0 : 10;
  s.options.network.mid_attn = !s.no_middle_attention;
  const std::filesystem::path data = s.data;
  auto images = read_idx_pair(data / "train-images-idx3-ubyte.gz", data / "train-labels-idx1-ubyte.gz");
  auto run =
      s.resume.empty() ? trainer(s.options, std::move(images)) : trainer::resume(s.resume, std::move(images));
  run.net().set_threads(s.threads);
  to.out << "network of " << run.net().values().size() << " parameters, steps " << run.step() << " to "
         << run.total_steps() << " with " << run.options().batch << " images each" << std::endl;

  const interrupt stop;
  training_report report(run, to);
  while (!run.done()) {
    report.step(run.advance());
    if (stop.requested() || run.step() % run.steps_per_epoch() == 0) run.save(checkpoint);
    if (stop.requested() && !run.done()) {
      if (to.live && !to.quiet) to.out << '\n';
      to.out << "interrupted after step " << run.step() << "; to continue:\n  mnist train --resume "
             << checkpoint.string() << " --out " << weights.string() << std::endl;
      return 130;
    }
  }
  run.save_average(weights);
  to.out << "weights: " << weights.string() << std::endl;
  return 0;
}

}  // namespace

void add_train(CLI::App& app, console& to, action& chosen) {
  const auto s = std::make_shared<train_settings>();
  auto* train = app.add_subcommand("train", "Train a network on the MNIST images");
  add_options(train, *s);
  add_quiet(*train, to);
  train->final_callback([s, &to, &chosen] { chosen = [s, &to] { return run_train(*s, to); }; });
}

}  // namespace mnist
