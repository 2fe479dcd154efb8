// A training run that can be saved after any step and resumed: it then does exactly what it would have done.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "checkpoint.hpp"
#include "loss_history.hpp"
#include "names.hpp"
#include "nn/optimizer.hpp"
#include "nn/unet.hpp"

namespace mnist {

/// How much the squared error counts at each noise level: always the same, or as Hang et al. 2023 have it.
enum class weighting { plain, min_snr };
inline constexpr std::array<std::pair<std::string_view, weighting>, 2> weightings{
    {{"plain", weighting::plain}, {"min-snr", weighting::min_snr}}};

/// What follows the rise of the learning rate: half a cosine down to 0, or nothing.
enum class lr_decay { cosine, none };
inline constexpr std::array<std::pair<std::string_view, lr_decay>, 2> lr_decays{
    {{"cosine", lr_decay::cosine}, {"none", lr_decay::none}}};

/// What is learnt from noisy images: the clean ones behind them (Ambient Tweedie, Daras et al. 2024), or the
/// images as they are.
enum class noisy_objective { ambient, naive };
inline constexpr std::array<std::pair<std::string_view, noisy_objective>, 2> noisy_objectives{
    {{"ambient", noisy_objective::ambient}, {"naive", noisy_objective::naive}}};

struct training_options {
  int epochs = 8;
  std::int64_t images = 0;  ///< show so many images in all, rounded up to whole steps; 0: `epochs` decides
  int batch = 64;
  double lr = 2e-3;  ///< peak of the learning rate
  int warmup = 200;  ///< steps of its linear rise
  std::string decay = "cosine";
  double weight_decay = 0;  ///< of AdamW, decoupled
  double clip = 1;          ///< largest norm of a gradient
  double ema = 0.999;       ///< decay of the average of the parameters
  double dropout = 0;       ///< share of elements that the residual blocks drop
  std::string weighting = "plain";
  double min_snr_gamma = 5;
  double drop_labels = 0.1;  ///< share of images that are shown without their label
  std::uint64_t seed = 1;
  std::size_t limit = 0;                    ///< use the first so many images only; 0: all
  std::string noisy_objective = "ambient";  ///< of images with noise, process.noisy_data
  process_config process;
  unet_config network;

  /// Throws std::invalid_argument naming the first option out of range.
  void validate() const {
    const auto require = [](bool good, const char* name, auto value, const char* allowed) {
      if (good) return;
      std::ostringstream message;
      message << name << " = " << value << ", must be " << allowed;
      throw std::invalid_argument(message.str());
    };
    require(epochs >= 1 && epochs <= 1000000, "epochs", epochs, "in 1..1000000");
    require(images >= 0 && images <= 1000000000000, "images", images, "in 0..1000000000000");
    require(batch >= 1, "batch", batch, "at least 1");
    require(lr > 0 && std::isfinite(lr), "lr", lr, "positive and finite");
    require(warmup >= 0, "warmup", warmup, "at least 0");
    (void)by_name("lr-decay", decay, lr_decays);
    require(weight_decay >= 0 && std::isfinite(weight_decay), "weight-decay", weight_decay,
            "at least 0 and finite");
    require(clip > 0 && std::isfinite(clip), "clip", clip, "positive and finite");
    require(ema >= 0 && ema < 1, "ema", ema, "in [0, 1)");
    require(dropout >= 0 && dropout < 1, "dropout", dropout, "in [0, 1)");
    (void)by_name("weighting", weighting, weightings);
    require(min_snr_gamma > 0 && std::isfinite(min_snr_gamma), "min-snr-gamma", min_snr_gamma,
            "positive and finite");
    require(drop_labels >= 0 && drop_labels <= 1, "drop-labels", drop_labels, "in [0, 1]");
    (void)by_name("noisy-objective", noisy_objective, noisy_objectives);
    (void)process.make_schedule();
    network.validate();
    require(network.image == 28, "image", network.image, "28");
  }
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(training_options, epochs, images, batch, lr, warmup, decay, weight_decay,
                                   clip, ema, dropout, weighting, min_snr_gamma, drop_labels, seed, limit,
                                   noisy_objective, process, network)

/// Learning rate of step 0 <= step < total as a share of its peak: linear warm-up, then the decay.
[[nodiscard]] inline double learning_rate_factor(std::int64_t step, std::int64_t total, std::int64_t warmup,
                                                 lr_decay decay = lr_decay::cosine) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (decay == lr_decay::none) return 1;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

/// What a step of training was like.
struct step_result {
  double loss;       ///< the mean over the batch of the squared errors, weighted as asked
  double grad_norm;  ///< before clipping
  double lr;
};

class trainer {
 public:
  /// A new run. Throws std::invalid_argument for options out of range, images of another size than 28 x 28 or
  /// fewer than a batch.
  trainer(const training_options& options, labelled_images data)
      : trainer(options, std::move(data), unet<float>((options.validate(), options.network), options.seed)) {}

  /// Continues the run that was saved to `path`, with the same images. Throws std::runtime_error naming the
  /// file.
  [[nodiscard]] static trainer resume(const std::filesystem::path& path, labelled_images data) {
    const auto file = read_safetensors(path);
    try {
      auto training = get_metadata(file, "training");
      training.emplace("noisy_objective", "ambient");  // older checkpoints do not have it
      const auto options = training.get<training_options>();
      options.validate();
      trainer run(options, std::move(data), get_network(file, "values/", options.network));
      const auto& layout = run.net_.layout();
      get_parameters(file, "ema/", layout, run.average_.shadow);
      get_parameters(file, "adam.m/", layout, run.adam_.m);
      get_parameters(file, "adam.v/", layout, run.adam_.v);
      if (get_metadata(file, "images_crc32").get<unsigned long>() != run.checksum())
        throw std::runtime_error("was trained on other images");
      run.step_ = get_metadata(file, "step").get<std::int64_t>();
      if (run.step_ < 0 || run.step_ > run.total_steps())
        throw std::runtime_error("step " + std::to_string(run.step_) + ", must be in 0.." +
                                 std::to_string(run.total_steps()));
      run.adam_.steps = run.average_.steps = run.step_;
      const auto history = file.tensors.find("loss_history");
      if (history == file.tensors.end()) throw std::runtime_error("no tensor \"loss_history\"");
      auto& sums = run.history_.sums() = history->second.as<double>();
      if (sums.size() != run.history_.points(run.step_) ||
          !std::all_of(sums.begin(), sums.end(), [](double x) { return std::isfinite(x); }))
        throw std::runtime_error("tensor \"loss_history\" does not hold " +
                                 std::to_string(run.history_.points(run.step_)) + " finite numbers");
      return run;
    } catch (const std::exception& error) {
      throw std::runtime_error(path.string() + ": " + error.what());
    }
  }

  [[nodiscard]] const training_options& options() const { return options_; }
  [[nodiscard]] unet<float>& net() { return net_; }
  /// Memory of the network, its gradients and the optimiser; without the images.
  [[nodiscard]] std::size_t bytes() const {
    const std::size_t vectors = adam_.m.size() + adam_.v.size() + average_.shadow.size() + gradient_.size();
    return net_.bytes() + vectors * sizeof(float);
  }
  /// Steps done.
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] std::int64_t steps_per_epoch() const {
    return static_cast<std::int64_t>(batches_.per_epoch());
  }
  [[nodiscard]] std::int64_t total_steps() const {
    return options_.images > 0 ? (options_.images + options_.batch - 1) / options_.batch
                               : options_.epochs * steps_per_epoch();
  }
  [[nodiscard]] bool done() const { return step_ == total_steps(); }

  /// The losses so far.
  [[nodiscard]] const loss_history& history() const { return history_; }
  /// Learning rate of step 0, 1, ...
  [[nodiscard]] double learning_rate(std::int64_t step) const {
    return options_.lr * learning_rate_factor(step, total_steps(), options_.warmup,
                                              by_name("lr-decay", options_.decay, lr_decays));
  }

  /// One step down the gradient of the loss over the next batch. Throws std::runtime_error when the loss or
  /// the gradient is no longer finite.
  step_result advance() {
    batches_.draw(static_cast<std::uint64_t>(step_));
    const int* labels = options_.network.classes > 0 ? batches_.labels() : nullptr;
    const double loss = net_.mse_gradient(options_.batch, batches_.x_t(), batches_.times(), labels,
                                          batches_.target(), gradient_, batches_.weights(),
                                          {.rate = options_.dropout,
                                           .seed = options_.seed,
                                           .image = batches_.first_sample(),
                                           .stream = detail::dropout_stream});
    const double norm = clip_grad_norm<float>(gradient_, options_.clip);
    if (!std::isfinite(loss + norm))
      throw std::runtime_error("training diverged in step " + std::to_string(step_ + 1) +
                               ": the loss is not finite; try a lower learning rate");
    adam_.options.lr = learning_rate(step_);
    adam_.step(net_.values(), gradient_);
    average_.update(net_.values());
    history_.add(step_, loss);
    ++step_;
    return {loss, norm, adam_.options.lr};
  }

  /// Writes all that the remaining steps depend on, besides the images.
  void save(const std::filesystem::path& path) const {
    safetensors_file file;
    put_parameters(file, "values/", net_.layout(), net_.values());
    put_parameters(file, "ema/", net_.layout(), average_.shadow);
    put_parameters(file, "adam.m/", net_.layout(), adam_.m);
    put_parameters(file, "adam.v/", net_.layout(), adam_.v);
    file.tensors["loss_history"] = make_tensor<double>({history_.sums().size()}, history_.sums());
    file.metadata = {{"training", nlohmann::json(options_).dump()},
                     {"step", std::to_string(step_)},
                     {"images_crc32", std::to_string(checksum())}};
    write_safetensors(path, file);
  }

  /// Writes the average of the parameters as a model, in F16 if `half`.
  void save_average(const std::filesystem::path& path, bool half = false) const {
    process_config process = options_.process;
    if (naive(options_)) process.noisy_data = 0;  // it was shown all levels
    save_model(path, options_.network, net_.layout(), average_.shadow, process, half);
  }

 private:
  trainer(const training_options& options, labelled_images data, unet<float> net)
      : options_(options),
        batches_(first(std::move(data), options.limit), options.process,
                 {.size = static_cast<std::size_t>(options.batch),
                  .seed = options.seed,
                  .drop_labels = options.drop_labels,
                  .null_label = options.network.classes,
                  .min_snr_gamma = by_name("weighting", options.weighting, weightings) == weighting::min_snr
                                       ? options.min_snr_gamma
                                       : 0,
                  .noisy_data = options.process.noisy_data,
                  .naive = naive(options)}),
        net_(std::move(net)),
        average_(net_.values(), options.ema),
        adam_(net_.values().size(), {.lr = options.lr, .weight_decay = options.weight_decay}),
        gradient_(net_.values().size()),
        history_(total_steps()) {}

  [[nodiscard]] static bool naive(const training_options& options) {
    return by_name("noisy-objective", options.noisy_objective, noisy_objectives) == noisy_objective::naive;
  }

  /// The first `limit` images; 0 means all.
  static labelled_images first(labelled_images data, std::size_t limit) {
    idx_images& images = data.images;
    if (images.rows != 28 || images.cols != 28)
      throw std::invalid_argument("images of " + std::to_string(images.rows) + " x " +
                                  std::to_string(images.cols) + " pixels, must be 28 x 28");
    if (limit > images.count)
      throw std::invalid_argument("limit = " + std::to_string(limit) + ", must be at most " +
                                  std::to_string(images.count));
    if (limit > 0) {
      images.count = limit;
      images.pixels.resize(limit * images.rows * images.cols);
      data.labels.resize(limit);
    }
    return data;
  }

  /// Tells sets of images apart.
  [[nodiscard]] unsigned long checksum() const {
    const auto& [images, labels] = batches_.data();
    const unsigned long sum = crc32_z(0, images.pixels.data(), images.pixels.size());
    return crc32_z(sum, labels.data(), labels.size());
  }

  training_options options_;
  batch_source batches_;
  unet<float> net_;
  ema<float> average_;
  adam<float> adam_;
  aligned_vector<float> gradient_;
  loss_history history_;
  std::int64_t step_ = 0;
};

}  // namespace mnist
