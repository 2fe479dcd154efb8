// Family elbo: terms of the variational bound and training losses, in bits per dimension as the peer has
// them.

#include <algorithm>
#include <cmath>

#include "batch.hpp"
#include "diffusion/forward.hpp"
#include "diffusion/hybrid_loss.hpp"
#include "grids.hpp"

namespace golden {

namespace {

namespace d = diffusion;
using d::prediction;
using schedule = d::discrete_schedule<>;

/// The peer's likelihoods come from the tanh approximation of the normal distribution.
constexpr d::discretized_gaussian decoder{d::normal_cdf::tanh};

/// The logarithm of a difference of two such probabilities, each rounded: off by the rounding over the
/// difference.
tolerance of_log_likelihood(precision p, double log_likelihood) {
  return at_least({base_tolerance(p), 1}, 4 * unit_rounding(p) / std::exp(log_likelihood));
}

void check_normal_kl(const record& file, report& result) {
  const precision p = read_header(file);
  const std::size_t n = file.size("mean1");
  const array mean1 = file.numbers("mean1", n), log_var1 = file.numbers("log_var1", n);
  const array mean2 = file.numbers("mean2", n), log_var2 = file.numbers("log_var2", n);
  const array kl = file.numbers("kl", n);
  file.refuse_unknown_keys();
  array found;
  for (std::size_t i = 0; i < n; ++i)
    found.push_back(d::normal_kl(mean1[i], log_var1[i], mean2[i], log_var2[i]));
  result.compare("kl", kl, found, {base_tolerance(p), 1, true});
}

/// The library has the approximation inside its decoder: over a first bin that ends at z deviations from the
/// mean, the likelihood is Φ(z).
void check_normal_cdf(const record& file, report& result) {
  const precision p = read_header(file);
  const std::size_t n = file.size("x");
  const array x = file.numbers("x", n), cdf = file.numbers("cdf", n);
  file.refuse_unknown_keys();
  constexpr double end = -1 + d::discretized_gaussian::bin_width / 2;
  array found;
  for (const double z : x) found.push_back(std::exp(decoder.log_likelihood(-1, end - z, 0)));
  result.compare("cdf", cdf, found, {base_tolerance(p), 1});
}

void check_decoder(const record& file, report& result) {
  const precision p = read_header(file);
  const std::size_t n = file.size("x");
  const array x = file.numbers("x", n), mean = file.numbers("mean", n);
  const array log_scale = file.numbers("log_scale", n), log_likelihood = file.numbers("log_likelihood", n);
  file.inform({"pixel"});
  file.refuse_unknown_keys();
  for (std::size_t i = 0; i < n; ++i)
    result.compare("log_likelihood[" + std::to_string(i) + "]", log_likelihood[i],
                   decoder.log_likelihood(x[i], mean[i], 2 * log_scale[i]),
                   of_log_likelihood(p, log_likelihood[i]));
}

/// Which variance p has, and the network that predicts it.
struct variance_of_file {
  std::string name;

  [[nodiscard]] bool learned() const { return name == "learned_range"; }
  /// guided-diffusion's terms: at the step to clean data it takes β̃ of the step before for fixed_large, too.
  [[nodiscard]] d::bound_term term(prediction kind, d::noise_level from, d::noise_level to,
                                   double clean_variance) const {
    const auto choice = learned() ? d::reverse_variance(d::learned_variance::log_range)
                        : name == "fixed_small" || to.sigma == 0
                            ? d::reverse_variance(d::fixed_variance::posterior)
                            : d::reverse_variance(d::fixed_variance::transition);
    return d::make_bound_term(kind, from, to, choice, clean_variance);
  }
};

variance_of_file read_variance(const record& file) {
  return {file.choice("variance", {"fixed_small", "fixed_large", "learned_range"})};
}

prediction read_kind(const std::string& name) {
  return name == "epsilon" ? prediction::epsilon : prediction::x0;
}

/// The terms of a respaced process from its recorded outputs.
void check_bpd_loop(const record& file, report& result) {
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const schedule trained = read_schedule(file.object("schedule"));
  const d::time_grid grid = d::respaced_grid(trained.steps(), file.text("respacing"));
  const variance_of_file variance = read_variance(file);
  const std::string predicts = file.choice("prediction", {"epsilon", "sample"});
  const d::x0_clamp clamp = file.flag("clip_denoised") ? d::x0_clamp{.limit = 1} : d::x0_clamp{};
  const array pixel = file.numbers("pixel", dims.size());
  const array x0 = file.numbers("x0", dims.size());
  const array prior = file.numbers("prior_bpd", dims.count), total = file.numbers("total_bpd", dims.count);
  const std::vector<record> terms = file.objects("terms");
  file.inform({"predictor"});
  if (terms.size() != grid.size()) file.fail("terms", "expected one for each step of the respacing");
  if (grid.size() < 2) throw unsupported("a bound of one step");

  array scaled;
  for (const double value : pixel) scaled.push_back(value / 127.5 - 1);
  result.compare("x0", x0, scaled, of_state(p));

  const auto level = [&](int t) { return trained.level(t); };
  const auto bits = [&](double nats) { return d::bits_per_dimension(nats, dims.row_size); };
  array sums(dims.count), priors(dims.count);
  const auto& before = grid[grid.size() - 2];
  double rounding = 0;
  for (std::size_t k = 0; k < grid.size(); ++k) {
    const record& step = terms[k];
    const auto& [from, to, eval] = grid[k];
    const std::string where = "terms[" + std::to_string(k) + "].";
    result.compare(where + "t", step.integer("t", 0, trained.steps() - 1), index_of_time(from), {});
    result.compare(where + "index", step.integer("index", 0, trained.steps() - 1),
                   static_cast<double>(grid.size() - 1 - k), {});
    const array noise = step.numbers("noise", dims.size());
    const array output = step.numbers("model_output", dims.size() * (variance.learned() ? 2 : 1));
    const array vb = step.numbers("vb", dims.count), x0_mse = step.numbers("x0_mse", dims.count);
    const array eps_mse = step.numbers("eps_mse", dims.count);
    step.refuse_unknown_keys();

    const std::vector<d::noise_level> levels(dims.count, level(from));
    const array x_t = noised(levels, x0, noise);
    const d::bound_term term = variance.term(read_kind(predicts), level(from), level(to),
                                             d::posterior_variance(level(before.from), level(before.to)));
    array found, found_x0, found_eps;
    for (std::size_t i = 0; i < dims.count; ++i) {
      found.push_back(bits(d::term_loss(term, decoder, clamp, as_rows(x0, dims.count)[i],
                                        as_rows(x_t, dims.count)[i], as_rows(output, dims.count)[i])));
      sums[i] += found.back();
      // Errors of x̂0 after clipping, and of the ε̂ that belongs to it.
      double x0_squares = 0;
      double eps_squares = 0;
      for (std::size_t j = 0; j < dims.row_size; ++j) {
        const double x = as_rows(x_t, dims.count)[i][j];
        const double x0_hat = clamp(term.x0(x, as_rows(output, dims.count)[i][j]));
        const double eps_hat = d::epsilon_map(prediction::x0, level(from))(x, x0_hat);
        const auto squared = [](double value) { return value * value; };
        x0_squares += squared(x0_hat - as_rows(x0, dims.count)[i][j]);
        eps_squares += squared(eps_hat - as_rows(noise, dims.count)[i][j]);
      }
      found_x0.push_back(x0_squares / static_cast<double>(dims.row_size));
      found_eps.push_back(eps_squares / static_cast<double>(dims.row_size));
    }
    rounding = std::max({rounding, x0_rounding(p, read_kind(predicts), level(from)),
                         respacing_rounding(level(from), level(to))});
    const tolerance of_term = at_least({base_tolerance(p), 1}, rounding);
    result.compare(where + "vb", vb, found, of_term);
    result.compare(where + "x0_mse", x0_mse, found_x0, of_term);
    result.compare(where + "eps_mse", eps_mse, found_eps, of_term);
  }
  for (std::size_t i = 0; i < dims.count; ++i) {
    priors[i] = bits(d::prior_kl(level(grid[0].from), as_rows(x0, dims.count)[i]));
    sums[i] += priors[i];
  }
  file.refuse_unknown_keys();
  result.compare("prior_bpd", prior, priors, {base_tolerance(p), 1});
  result.compare("total_bpd", total, sums, at_least({base_tolerance(p), 1}, rounding));
}

/// Losses of every row at a time of its own.
void check_training_loss(const record& file, report& result) {
  const precision p = read_header(file);
  const shape dims = read_shape(file);
  const schedule trained = read_schedule(file.object("schedule"));
  const std::vector<int> times = read_times(file, dims.count, trained.steps());
  const variance_of_file variance = read_variance(file);
  const std::string predicts = file.choice("prediction", {"epsilon", "sample", "previous_x"});
  const array x0 = file.numbers("x0", dims.size()), noise = file.numbers("noise", dims.size());
  const array output = file.numbers("model_output", dims.size() * (variance.learned() ? 2 : 1));
  const array loss = file.numbers("loss", dims.count);
  const bool has_mse = file.has("mse"), has_vb = file.has("vb");
  const array mse = has_mse ? file.numbers("mse", dims.count) : array();
  const array vb = has_vb ? file.numbers("vb", dims.count) : array();
  // The files name no kind of loss: those with a squared error are (rescaled) mse, the others (rescaled) kl.
  const bool rescaled = file.text("name").find("rescaled") != std::string::npos;
  file.refuse_unknown_keys();

  const std::vector<d::noise_level> levels = levels_at(trained, times);
  const array x_t = noised(levels, x0, noise);
  const prediction kind = read_kind(predicts);
  array found_loss, found_mse, found_vb;
  double rounding = 0;
  for (std::size_t i = 0; i < dims.count; ++i) {
    const auto row = [&](const array& values) { return as_rows(values, dims.count)[i]; };
    const d::noise_level to = trained.level(times[i] - 1);
    const d::bound_term term =
        variance.term(kind, levels[i], to, std::exp(d::posterior_log_variance(trained, times[i])));
    array target(dims.row_size);
    if (predicts == "previous_x") {
      const d::step_coefficients mean = d::posterior(levels[i], to);
      d::linear_combination(mean.x, row(x_t), mean.x0, row(x0), std::span<double>(target));
    } else {
      d::training_target(kind, levels[i], row(x0), row(noise), std::span<double>(target));
    }
    if (has_mse && variance.learned()) {
      const double weight = rescaled ? trained.steps() / 1000.0 : 1;
      const d::hybrid_loss found =
          d::hybrid_loss_of(term, weight, decoder, row(x0), row(x_t), target, row(output));
      found_loss.push_back(found.total);
      found_mse.push_back(found.simple);
      found_vb.push_back(weight * found.bound);
    } else if (has_mse) {
      double squares = 0;
      for (std::size_t j = 0; j < dims.row_size; ++j)
        squares += (row(output)[j] - target[j]) * (row(output)[j] - target[j]);
      found_mse.push_back(squares / static_cast<double>(dims.row_size));
      found_loss.push_back(found_mse.back());
    } else {
      const double nats = d::term_loss(term, decoder, {}, row(x0), row(x_t), row(output));
      found_loss.push_back(d::bits_per_dimension(nats, dims.row_size) * (rescaled ? trained.steps() : 1));
    }
    rounding = std::max(rounding, x0_rounding(p, kind, levels[i]));
  }
  const tolerance allowed = at_least({base_tolerance(p), 1}, rounding);
  result.compare("loss", loss, found_loss, allowed);
  if (has_mse) result.compare("mse", mse, found_mse, allowed);
  if (has_vb) result.compare("vb", vb, found_vb, allowed);
}

}  // namespace

void check_elbo(const record& file, report& result) {
  const std::string kind =
      file.choice("kind", {"normal_kl", "approx_standard_normal_cdf", "discretized_gaussian_log_likelihood",
                           "bpd_loop", "training_loss"});
  if (kind == "normal_kl") return check_normal_kl(file, result);
  if (kind == "approx_standard_normal_cdf") return check_normal_cdf(file, result);
  if (kind == "discretized_gaussian_log_likelihood") return check_decoder(file, result);
  if (kind == "bpd_loop") return check_bpd_loop(file, result);
  check_training_loss(file, result);
}

}  // namespace golden
