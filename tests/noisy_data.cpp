#include "diffusion/noisy_data.hpp"

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;
using support::roundoff;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double data_sigma = 0.3;
/// Above the data's level, of any power, the last one without signal.
const std::vector<noise_level> levels{{0.8, 0.6}, {1, 0.31}, {0.6, 0.4}, {1, 80}, {0, 1}};

template <class T>
rows<T> in_rows(std::vector<T>& values, std::size_t count) {
  return {std::span<T>(values), count};
}

/// Mean and standard error of term(i) of i in [0, count).
struct estimate {
  double mean = 0, error = 0;

  [[nodiscard]] double errors_from(double expected) const { return std::abs(mean - expected) / error; }
};
template <class Term>
estimate estimate_mean(std::size_t count, Term term) {
  const double n = static_cast<double>(count);
  const double mean = diffusion::detail::ordered_sum(count, term) / n;
  const double square = diffusion::detail::ordered_sum(count, [&](std::size_t i) {
    const double distance = term(i) - mean;
    return distance * distance;
  });
  return {mean, std::sqrt(square) / n};
}

/// Five standard errors, one false alarm in 1.7 million; the seeds are fixed.
constexpr double most_errors = 5;

const support::gaussian data{.mean = 0.4, .deviation = 0.7};

/// Gaussian data, their noisy observation and a recorrupted pair of it at a level.
struct observed {
  std::vector<double> x0, y, z, x_t, second;

  observed(std::size_t count, noise_level level)
      : x0(normals(count, 1)), y(normals(count, 2)), z(normals(count, 3)), x_t(count), second(count) {
    for (double& x : x0) x = data.mean + data.deviation * x;
    linear_combination(1, x0, data_sigma, y, std::span<double>(y));
    recorrupt(level, data_sigma, y, z, std::span<double>(x_t), std::span<double>(second));
  }
};

/// The gradient of the mean squared error of a network p x_t + q by p and q.
template <class Target>
std::array<estimate, 2> gradient_of(const std::vector<double>& x_t, double p, double q, Target target) {
  const auto error = [&](std::size_t i) { return 2 * (p * x_t[i] + q - target(i)); };
  return {estimate_mean(x_t.size(), [&](std::size_t i) { return error(i) * x_t[i]; }),
          estimate_mean(x_t.size(), error)};
}

/// Its expectation, where the target is w.x0 x_0 + w.epsilon ε of Gaussian data.
std::array<double, 2> expected_gradient(const support::gaussian& of, noise_level level, target_weights w,
                                        double p, double q) {
  const double mean = of.mean_at(level), variance = of.variance_at(level);
  const double target = w.x0 * of.mean;
  const double covariance = w.x0 * level.alpha * of.deviation * of.deviation + w.epsilon * level.sigma;
  return {2 * (p * (variance + mean * mean) + q * mean - (covariance + target * mean)),
          2 * (p * mean + q - target)};
}

}  // namespace

TEST_CASE("With the clean data as second copy, a Noise2Noise target is the training target") {
  const double x0 = 0.7, epsilon = -1.3;
  for (const noise_level level : levels)
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(level.alpha, level.sigma, std::string(name));
      const target_weights w = training_target(kind, level);
      const noise2noise_weights n = noise2noise_target(kind, level);
      const double x_t = level.alpha * x0 + level.sigma * epsilon;
      // Each of the two terms and x_t have a few roundings.
      const double size = std::abs(n.second * x0) + std::abs(n.x_t) * (level.alpha + 2 * level.sigma);
      CHECK(std::abs(n.second * x0 + n.x_t * x_t - (w.x0 * x0 + w.epsilon * epsilon)) <=
            8 * roundoff<> * size);
    }
}

TEST_CASE("A recorrupted pair has the noise of its level and independent noises") {
  for (const noise_level level : levels) {
    CAPTURE(level.alpha, level.sigma);
    const recorruption r = recorrupt(level, data_sigma);
    CHECK(r.added.alpha == level.alpha);
    // Noise of x_t: α σ_d n + added z, of y2: σ_d n - second z.
    const double of_data = level.alpha * data_sigma;
    CHECK(std::abs(of_data * of_data + r.added.sigma * r.added.sigma - level.sigma * level.sigma) <=
          8 * roundoff<> * level.sigma * level.sigma);
    CHECK(std::abs(of_data * data_sigma - r.added.sigma * r.second) <= 8 * roundoff<> * of_data * data_sigma);
  }
  CHECK(recorrupt({0, 1}, data_sigma).weight == 1);
  const recorruption clean = recorrupt({0.8, 0.6}, 0);
  CHECK(clean.added.alpha == 0.8);
  CHECK(std::abs(clean.added.sigma - 0.6) <= 2 * roundoff<>);
  CHECK(clean.second == 0);
  CHECK(std::abs(clean.weight - 1) <= 8 * roundoff<>);
}

TEST_CASE("The weighted loss of a recorrupted pair is that of Ambient Tweedie") {
  const double y = 0.9, z = -0.8, x0_hat = 0.2;
  for (const noise_level level : {noise_level{0.8, 0.6}, {1, 0.31}, {0.6, 0.4}, {1, 80}}) {
    CAPTURE(level.alpha, level.sigma);
    const recorruption r = recorrupt(level, data_sigma);
    const double x_t = r.added.alpha * y + r.added.sigma * z;
    const double second = y - r.second * z;
    // The paper: level t of total deviation σ_t, data at σ_n, c = (σ_t² - σ_n²)/σ_t².
    const double total = noise_to_signal(level) * noise_to_signal(level);
    const double c = (total - data_sigma * data_sigma) / total;
    const double ambient = c * x0_hat + (1 - c) * x_t / level.alpha - y;
    const double ours = std::sqrt(r.weight) * (x0_hat - second);
    // Numbers of size 1 (the largest, (1 - c) x_t/α, is below 1), c from a difference of numbers of size
    // `total`.
    CHECK(std::abs(std::abs(ours) - std::abs(ambient)) <=
          32 * roundoff<> * (1 + data_sigma * data_sigma / (c * total)));
  }
}

TEST_CASE("The gradient from noisy data is that from clean data in expectation, but not the naive one") {
  const noise_level level{0.8, 0.6};
  const double p = 0.5, q = -0.2;  // a network that has not learnt yet
  const support::gaussian noisy{data.mean, std::hypot(data.deviation, data_sigma)};
  std::vector<double> errors;
  for (const std::size_t count : {4'000u, 400'000u}) {
    observed some(count, level);
    const auto eps = normals(count, 4);
    std::vector<double> naive_x_t(count), target(count), naive_target(count);
    q_sample(level, some.y, eps, std::span<double>(naive_x_t));
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(count, std::string(name));
      const auto clean = expected_gradient(data, level, training_target(kind, level), p, q);
      noise2noise_target(kind, level, some.x_t, some.second, std::span<double>(target));
      training_target(kind, level, some.y, eps, std::span<double>(naive_target));
      const auto found = gradient_of(some.x_t, p, q, [&](std::size_t i) { return target[i]; });
      const auto naive = gradient_of(naive_x_t, p, q, [&](std::size_t i) { return naive_target[i]; });
      const auto wrong = expected_gradient(noisy, level, training_target(kind, level), p, q);
      for (const std::size_t k : {0u, 1u}) {
        CHECK(found[k].errors_from(clean[k]) <= most_errors);
        CHECK(naive[k].errors_from(wrong[k]) <= most_errors);
      }
      // A bias that more data do not take away: of E[x_t (x_t - target)], which the variance enters.
      CHECK(std::abs(wrong[0] - clean[0]) >= 0.03);
      if (count > 4'000) CHECK(naive[0].errors_from(clean[0]) >= most_errors);
      if (kind == prediction::v) errors.push_back(found[0].error);
    }
  }
  // What is left of the error falls with 1/√n: tenfold here, to the precision of a deviation from 4000.
  CHECK(std::abs(errors[0] / errors[1] - 10) <= 2);
}

TEST_CASE("Least squares on noisy data find the perfect network for the clean ones, for every kind") {
  constexpr std::size_t count = 400'000;
  for (const noise_level level : {noise_level{0.8, 0.6}, {1, 2}, {0.9, 0.3}}) {
    observed some(count, level);
    std::vector<double> target(count);
    for (const auto& [name, kind] : prediction_names) {
      CAPTURE(level.alpha, level.sigma, std::string(name));
      noise2noise_target(kind, level, some.x_t, some.second, std::span<double>(target));
      const double mean = estimate_mean(count, [&](std::size_t i) { return some.x_t[i]; }).mean;
      const auto centred = [&](std::size_t i) { return some.x_t[i] - mean; };
      const double variance =
          estimate_mean(count, [&](std::size_t i) { return centred(i) * centred(i); }).mean;
      const double slope =
          estimate_mean(count, [&](std::size_t i) { return centred(i) * target[i]; }).mean / variance;
      const double middle = estimate_mean(count, [&](std::size_t i) { return target[i]; }).mean;
      const double residue = estimate_mean(count, [&](std::size_t i) {
                               const double r = target[i] - middle - slope * centred(i);
                               return r * r;
                             }).mean;
      // What the perfect network answers at two points.
      const target_weights w = training_target(kind, level);
      const auto perfect = [&](double x_t) {
        const support::expectation e = data(x_t, level);
        return w.x0 * e.x0 + w.epsilon * e.epsilon;
      };
      CHECK(std::abs(slope - (perfect(1) - perfect(0))) <=
            most_errors * std::sqrt(residue / variance / count));
      CHECK(std::abs(middle - perfect(mean)) <= most_errors * std::sqrt(residue / count));
    }
  }
}

TEMPLATE_TEST_CASE("Pairs and targets with a level per row are those of the rows", "", float, double) {
  auto y = normals<TestType>(5 * 13, 1), z = normals<TestType>(5 * 13, 2);
  std::vector<TestType> x_t(5 * 13), second(5 * 13), target(5 * 13), x_t_alone(13), second_alone(13);
  recorrupt(levels, data_sigma, in_rows(y, 5), in_rows(z, 5), in_rows(x_t, 5), in_rows(second, 5));
  noise2noise_target(prediction::v, levels, in_rows(x_t, 5), in_rows(second, 5), in_rows(target, 5));
  for (std::size_t i = 0; i < 5; ++i) {
    const auto row = [&](std::vector<TestType>& values) { return in_rows(values, 5)[i]; };
    recorrupt(levels[i], data_sigma, row(y), row(z), std::span<TestType>(x_t_alone),
              std::span<TestType>(second_alone));
    support::check_identical(row(x_t), x_t_alone);
    support::check_identical(row(second), second_alone);
    const recorruption r = recorrupt(levels[i], data_sigma);
    std::vector<double> want(13);
    for (std::size_t j = 0; j < 13; ++j)
      want[j] = static_cast<double>(row(y)[j]) - r.second * static_cast<double>(row(z)[j]);
    support::check_close(second_alone, want, 4 * roundoff<TestType> * 6.77 * (1 + r.second));
    noise2noise_target(prediction::v, levels[i], x_t_alone, second_alone, std::span<TestType>(second_alone));
    support::check_identical(row(target), second_alone);  // in place, too
  }
  recorrupt(levels, data_sigma, in_rows(y, 5), in_rows(z, 5), in_rows(x_t, 5), in_rows(z, 5));
  support::check_identical(z, second);
}

namespace {

/// SURE of a denoiser x̂0(y), given as a network of a kind.
template <class Denoiser>
double sure_of(prediction kind, noise_level level, double h, const std::vector<double>& y,
               const std::vector<double>& b, Denoiser x0_hat,
               std::array<std::vector<double>, 3>* gradients = nullptr) {
  const std::size_t d = y.size();
  std::vector<double> x_t(d);
  std::array<std::vector<double>, 3> outputs;
  for (const std::size_t k : {0u, 1u, 2u}) {
    std::vector<double> at(d);
    const double step = k == 0 ? 0 : k == 1 ? h : -h;
    for (std::size_t i = 0; i < d; ++i) at[i] = y[i] + step * b[i];
    outputs[k] = x0_hat(at);
    for (std::size_t i = 0; i < d; ++i)
      outputs[k][i] = convert(prediction::x0, kind, level, level.alpha * at[i], outputs[k][i]);
  }
  for (std::size_t i = 0; i < d; ++i) x_t[i] = level.alpha * y[i];
  // In place: the gradients replace the outputs.
  auto& [at, plus, minus] = outputs;
  const double loss =
      sure_loss(kind, level, h, x_t, b, {at, plus, minus}, sure_outputs<double>{at, plus, minus});
  if (gradients) *gradients = outputs;
  return loss;
}

}  // namespace

TEST_CASE("SURE with all signs is exact for a matrix, for every kind") {
  // bᵀA b over all sign vectors has the mean trace of A.
  const std::array<std::array<double, 3>, 3> a{{{0.7, -0.4, 0.2}, {0.3, 0.5, -0.6}, {-0.1, 0.8, 0.9}}};
  const std::vector<double> y{0.4, -1.1, 0.3};
  const auto product = [&](const std::vector<double>& at) {
    std::vector<double> result(3);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) result[i] += a[i][j] * at[j];
    return result;
  };
  for (const noise_level level : {noise_level{0.8, 0.6}, {1, 0.3}, {1, 0}})
    for (const auto& [name, kind] : prediction_names) {
      if (level.sigma == 0 && kind != prediction::x0) continue;
      CAPTURE(level.alpha, level.sigma, std::string(name));
      const double variance = std::pow(noise_to_signal(level), 2);
      double expected = -3 * variance + 2 * variance * (0.7 + 0.5 + 0.9), mean = 0;
      for (std::size_t i = 0; i < 3; ++i) expected += std::pow(product(y)[i] - y[i], 2);
      const double h = 0.25;
      for (int signs = 0; signs < 8; ++signs) {
        const auto sign = [&](int bit) { return (signs >> bit & 1) != 0 ? 1.0 : -1.0; };
        mean += sure_of(kind, level, h, y, {sign(0), sign(1), sign(2)}, product) / 8;
      }
      // A few roundings of each of nine numbers of size 3, divided by h.
      CHECK(std::abs(mean - expected) <= 9 * 16 * 3 * roundoff<> / h);
    }
}

TEST_CASE("SURE and its gradient are those of the error against the clean data in expectation") {
  constexpr std::size_t count = 200'000;
  const noise_level level{0.8, 0.8 * data_sigma};
  observed some(count, {0.8, 0.6});
  std::vector<double> b = normals(count, 5);
  for (double& element : b) element = element < 0 ? -1 : 1;
  const double wiener =
      data.deviation * data.deviation / (data.deviation * data.deviation + data_sigma * data_sigma);
  const double h = 0x1p-10;
  const auto elementwise = [](auto f) {
    return [f](std::vector<double> values) {
      for (double& value : values) value = f(value);
      return values;
    };
  };
  const auto check = [&](auto denoise, auto slope) {
    for (const auto kind : {prediction::epsilon, prediction::x0, prediction::v}) {
      CAPTURE(std::string(name(kind)));
      std::array<std::vector<double>, 3> gradients;
      const double loss = sure_of(kind, level, h, some.y, b, elementwise(denoise), &gradients) / count;
      // By element: signs make its divergence the slope. Its central difference is off by f‴h²/6 < h².
      const auto difference = estimate_mean(count, [&](std::size_t i) {
        const double y = some.y[i], x0_hat = denoise(y), x0 = some.x0[i];
        return (x0_hat - y) * (x0_hat - y) - data_sigma * data_sigma +
               2 * data_sigma * data_sigma * slope(y) - (x0_hat - x0) * (x0_hat - x0);
      });
      const double truth = estimate_mean(count, [&](std::size_t i) {
                             return std::pow(denoise(some.y[i]) - some.x0[i], 2);
                           }).mean;
      CHECK(std::abs(loss - truth) <= most_errors * difference.error + h * h);

      // By a parameter that scales x̂0: the gradient by each output times how that output moves, against
      // the error's 2 x̂0 (x̂0 - x0).
      const double by_output = x0_map(kind, level).scale * x0_map(kind, level).model;
      const auto moved = estimate_mean(count, [&](std::size_t i) {
        const double y = some.y[i], sum = gradients[0][i] * denoise(y) +
                                          gradients[1][i] * denoise(y + h * b[i]) +
                                          gradients[2][i] * denoise(y - h * b[i]);
        return sum / by_output - 2 * denoise(y) * (denoise(y) - some.x0[i]);
      });
      CHECK(std::abs(moved.mean) <= most_errors * moved.error + h * h);
    }
  };
  const auto perfect = [&](double y) { return data.mean + wiener * (y - data.mean); };
  check(perfect, [&](double) { return wiener; });
  check([](double y) { return std::tanh(2 * y); },
        [](double y) { return 2 / (std::cosh(2 * y) * std::cosh(2 * y)); });

  // The error of the perfect denoiser is the variance of x0 given y.
  const auto posterior =
      estimate_mean(count, [&](std::size_t i) { return std::pow(perfect(some.y[i]) - some.x0[i], 2); });
  CHECK(posterior.errors_from(wiener * data_sigma * data_sigma) <= most_errors);
}

TEST_CASE("The gradients of SURE are its derivatives by the outputs") {
  const noise_level level{0.7, 0.5};
  const std::size_t d = 5;
  const auto x_t = normals(d, 1), b = normals(d, 2);
  for (const auto& [name, kind] : prediction_names) {
    CAPTURE(std::string(name));
    std::array<std::vector<double>, 3> outputs{normals(d, 3), normals(d, 4), normals(d, 5)};
    std::array<std::vector<double>, 3> gradients{outputs}, unused{outputs};
    const auto loss = [&, kind = kind](std::array<std::vector<double>, 3>& to) {
      return sure_loss(kind, level, 0.5, x_t, b, {outputs[0], outputs[1], outputs[2]},
                       sure_outputs<double>{to[0], to[1], to[2]});
    };
    (void)loss(gradients);
    for (const std::size_t k : {0u, 1u, 2u})
      for (std::size_t i = 0; i < d; ++i) {
        // Quadratic in an output: central differences of any width are exact.
        const double kept = outputs[k][i];
        outputs[k][i] = kept + 1;
        const double above = loss(unused);
        outputs[k][i] = kept - 1;
        const double below = loss(unused);
        outputs[k][i] = kept;
        CAPTURE(k, i);
        // Losses below 1000, summed with a few roundings.
        CHECK(std::abs((above - below) / 2 - gradients[k][i]) <= 1000 * 16 * roundoff<>);
      }
  }
}

TEST_CASE("The difference in SURE has an error of second order") {
  const noise_level level{1, 0.5};
  const std::vector<double> y{0.3, -0.8, 1.2}, b{1, -1, 1};
  const auto tanh = [](std::vector<double> values) {
    for (double& value : values) value = std::tanh(value);
    return values;
  };
  double exact = 0;
  for (const double v : y)
    exact += std::pow(std::tanh(v) - v, 2) - 0.25 + 0.5 / (std::cosh(v) * std::cosh(v));
  const auto error = [&](double h) {
    return std::abs(sure_of(prediction::x0, level, h, y, b, tanh) - exact);
  };
  // The next term is of fourth order: at h = 1/16 a share of about h² = 0.004.
  CHECK(std::abs(support::order_of(error(1.0 / 16), error(1.0 / 32)) - 2) <= 0.02);
}

TEST_CASE("Training from noisy data refuses levels, noise and sizes that do not fit by name") {
  for (const double sigma : {-0.1, 0.75, 1.0, std::nan(""), inf})
    check_refused([&] { return recorrupt({0.8, 0.6}, sigma); }, {"data_sigma = ", "[0, sigma/alpha = 0.7"});
  check_refused([] { return recorrupt({1, 0}, 0); }, {"data_sigma = 0"});
  check_refused([] { return recorrupt({-1, 1}, 0.1); }, {"level.alpha = -1"});
  check_refused([] { return noise2noise_target(prediction::x0, {1, 0}); }, {"sigma = 0", "(0, inf)"});
  check_refused([] { return noise2noise_target(prediction::x0, {1, -1}); }, {"level.sigma = -1"});

  std::vector<float> ten(10), eight(8), other(10);
  const std::span<float> out(ten);
  const noise_level level{0.8, 0.6};
  const auto refused = [](auto f, std::initializer_list<std::string_view> parts) {
    check_refused([&] { return f(), 0; }, parts);
  };
  refused([&] { noise2noise_target(prediction::v, level, eight, ten, out); }, {"size of x_t = 8", "10"});
  refused([&] { noise2noise_target(prediction::v, level, ten, eight, out); }, {"size of second = 8", "10"});
  refused([&] { recorrupt(level, 0.1, ten, ten, std::span<float>(other), std::span<float>(eight)); },
          {"size of second = 8", "10"});
  refused(
      [&] { recorrupt(levels, 0.1, in_rows(ten, 5), in_rows(ten, 5), in_rows(other, 5), in_rows(eight, 4)); },
      {"number of rows of second = 4", "5"});
  refused(
      [&] { recorrupt(levels, 0.4, in_rows(ten, 5), in_rows(ten, 5), in_rows(other, 5), in_rows(other, 5)); },
      {"data_sigma = 0.4", "sigma/alpha = 0.31"});
  refused(
      [&] {
        noise2noise_target(prediction::v, levels, in_rows(eight, 4), in_rows(ten, 5), in_rows(other, 5));
      },
      {"number of rows of x_t = 4", "5"});
  refused(
      [&] {
        noise2noise_target(prediction::v, levels, in_rows(ten, 5), in_rows(eight, 4), in_rows(other, 5));
      },
      {"number of rows of second = 4", "5"});
  refused(
      [&] {
        noise2noise_target(prediction::v, std::span(levels).first(2), in_rows(ten, 5), in_rows(ten, 5),
                           in_rows(other, 5));
      },
      {"size of levels = 2", "5"});

  const auto sure = [&](noise_level at, double h, std::span<const float> b, std::span<float> plus,
                        std::span<float> minus) {
    (void)sure_loss(prediction::v, at, h, ten, b, {ten, plus, ten}, sure_outputs<float>{out, out, minus});
  };
  refused([&] { sure(level, 0, ten, out, out); }, {"h = 0", "(0, inf)"});
  refused([&] { sure(level, inf, ten, out, out); }, {"h = inf"});
  refused([&] { sure({0, 1}, 0.1, ten, out, out); }, {"alpha = 0", "(0, inf)"});
  refused([&] { sure(level, 0.1, eight, out, out); }, {"size of b = 8", "10"});
  refused([&] { sure(level, 0.1, ten, eight, out); }, {"size of output.plus = 8", "10"});
  refused([&] { sure(level, 0.1, ten, out, eight); }, {"size of gradient.minus = 8", "10"});
}
