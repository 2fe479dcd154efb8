#include "diffusion/score_matching.hpp"

#include <array>
#include <vector>

#include "diffusion/forward.hpp"
#include "diffusion/loss_weight.hpp"
#include "support/allocations.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::in_rows;
using support::normals;
using support::roundoff;

namespace {

/// A network in two dimensions whose score is A x + b, as an output of its kind.
struct linear_network {
  std::array<double, 4> A;
  std::array<double, 2> b;
  prediction kind = prediction::score;

  void operator()(rows<const double> x, time_point<int> at, rows<double> out) const {
    for (std::size_t i = 0; i < x.count(); ++i)
      for (std::size_t j = 0; j < 2; ++j) {
        const double score = A[2 * j] * x[i][0] + A[2 * j + 1] * x[i][1] + b[j];
        out[i][j] = convert(prediction::score, kind, at.level, x[i][j], score);
      }
  }
  void vector_jacobian(rows<const double> x, time_point<int> at, rows<const double> v, rows<double> out,
                       rows<double> product) const {
    (*this)(x, at, out);
    for (std::size_t i = 0; i < x.count(); ++i)
      for (std::size_t j = 0; j < 2; ++j) {
        // out = of_x x + of_score s, both affine: two differences of convert.
        const double of_score = convert(prediction::score, kind, at.level, 0, 1);
        const double of_x = convert(prediction::score, kind, at.level, 1, 0);
        product[i][j] = of_score * (A[j] * v[i][0] + A[2 + j] * v[i][1]) + of_x * v[i][j];
      }
  }
};

/// Means over the states and directions that integrate a quadratic exactly: x = mean ± deviation in both
/// dimensions, with every v of signs.
struct states {
  std::vector<double> x, v;
  states(std::array<double, 2> mean, std::array<double, 2> deviation) {
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 2; ++j) {
        x.push_back(mean[std::size_t(j)] + (k >> j & 1 ? 1 : -1) * deviation[std::size_t(j)]);
        v.push_back(k >> (2 + j) & 1 ? 1 : -1);
      }
  }
};

const noise_level level{0.8, 0.6};

/// The score of a mixture in one dimension, as network of a kind, with its derivative by a difference.
struct mixture_network {
  prediction kind;
  double output(double x) const {
    const auto e = support::mixture{}(x, level);
    const target_weights w = training_target(kind, level);
    return w.x0 * e.x0 + w.epsilon * e.epsilon;
  }
  void operator()(rows<const double> x, time_point<int>, rows<double> out) const {
    for (std::size_t i = 0; i < x.data().size(); ++i) out.data()[i] = output(x.data()[i]);
  }
  void vector_jacobian(rows<const double> x, time_point<int> at, rows<const double> v, rows<double> out,
                       rows<double> product) const {
    (*this)(x, at, out);
    const double h = 1e-3;
    for (std::size_t i = 0; i < x.data().size(); ++i) {
      const double at_x = x.data()[i];
      // Fourth order: 1e-12 and a rounding of 1e-13.
      const double slope =
          (8 * (output(at_x + h) - output(at_x - h)) - (output(at_x + 2 * h) - output(at_x - 2 * h))) /
          (12 * h);
      product.data()[i] = slope * v.data()[i];
    }
  }
};

}  // namespace

TEST_CASE("Denoising score matching is the loss of epsilon") {
  // The score target with the weight σ² and the ε target with the weight 1: the same loss for every row.
  auto x0 = normals(20, 1), eps = normals(20, 2), eps_hat = normals(20, 3);
  const std::vector<noise_level> levels{{0.8, 0.6}, {1, 7}, {0.1, 0.9}, {0.99, 0.05}};
  std::vector<double> score(20), target(20), gradient(20), weights(4), of_score(4), of_epsilon(4);
  for (std::size_t i = 0; i < 4; ++i) {
    weights[i] = output_weight(prediction::score, levels[i], simple_weights(prediction::epsilon, levels[i]));
    CHECK(weights[i] == Approx(levels[i].sigma * levels[i].sigma).epsilon(4 * roundoff<>));
    for (std::size_t j = 5 * i; j < 5 * i + 5; ++j) score[j] = -eps_hat[j] / levels[i].sigma;
  }
  training_target(prediction::score, levels, in_rows(x0, 4), in_rows(eps, 4), in_rows(target, 4));
  (void)squared_error(in_rows(score, 4), in_rows(target, 4), weights, in_rows(gradient, 4), of_score);
  (void)squared_error(in_rows(eps_hat, 4), in_rows(eps, 4), std::vector<double>(4, 1), in_rows(gradient, 4),
                      of_epsilon);
  support::check_close(of_score, of_epsilon, 0, 1e-13);
}

TEST_CASE("Sliced score matching is the Fisher divergence up to a constant") {
  // Data N(μ, D²): score s* = -(x - μ)/D². ½ E‖s - s*‖² - ½ E‖s*‖² = E[tr ∂s/∂x + ½‖s‖²], here by sums that
  // are exact for polynomials of degree 2 over the states, and over the signs v.
  const std::array<double, 2> mean{0.4, -1}, deviation{0.7, 1.5};
  states data(mean, deviation);
  std::vector<double> output(32), product(32), losses(16);
  const std::array<double, 4> A{-1.3, 0.4, -0.2, -0.9};
  const std::array<double, 2> b{0.3, 0.1};
  double divergence = 0;
  for (std::size_t i = 0; i < 16; ++i)
    for (std::size_t j = 0; j < 2; ++j) {
      const double s = A[2 * j] * data.x[2 * i] + A[2 * j + 1] * data.x[2 * i + 1] + b[j];
      const double right = -(data.x[2 * i + j] - mean[j]) / (deviation[j] * deviation[j]);
      divergence += ((s - right) * (s - right) - right * right) / 2 / 16;
    }
  for (const auto& [name, kind] : prediction_names) {
    CAPTURE(std::string(name));
    auto network = predicts(kind, linear_network{A, b, kind});
    for (const auto square : {sliced_square::full, sliced_square::projected}) {
      const double loss =
          sliced_score_matching(network, in_rows(data.x, 16), time_point<int>{1, level}, in_rows(data.v, 16),
                                in_rows(output, 16), in_rows(product, 16), losses, square);
      // Averaged over signs, (vᵀs)² is ‖s‖²: all pairs of signs occur with every state.
      CHECK(loss == Approx(divergence).epsilon(1e-13));
    }
  }
}

TEST_CASE("Sliced score matching has its minimum at the score of the data") {
  const std::array<double, 2> mean{0.4, -1}, deviation{0.7, 1.5};
  states data(mean, deviation);
  std::vector<double> output(32), product(32), losses(16);
  const auto loss = [&](std::array<double, 4> A, std::array<double, 2> b) {
    auto network = predicts<prediction::score>(linear_network{A, b});
    return sliced_score_matching(network, in_rows(data.x, 16), time_point<int>{1, {1, 0}},
                                 in_rows(data.v, 16), in_rows(output, 16), in_rows(product, 16), losses);
  };
  const std::array<double, 4> A{-1 / 0.49, 0, 0, -1 / 2.25};
  const std::array<double, 2> b{0.4 / 0.49, -1 / 2.25};
  const double least = loss(A, b);
  CHECK(least == Approx(-(1 / 0.49 + 1 / 2.25) / 2).epsilon(1e-13));  // -½ E‖s*‖²
  for (std::size_t k = 0; k < 6; ++k) {
    CAPTURE(k);
    const auto changed = [&](double by) {
      auto A2 = A;
      auto b2 = b;
      (k < 4 ? A2[k] : b2[k - 4]) += by;
      return loss(A2, b2) - least;
    };
    // A parabola with its minimum here.
    CHECK(changed(0.01) > 1e-5);
    CHECK(changed(0.01) == Approx(changed(-0.01)).epsilon(1e-9));
  }
}

TEST_CASE("Finite differences are sliced score matching up to the square of their step") {
  std::vector<double> x{-1.4, -0.3, 0.2, 0.9, 2}, v{1, -1, 0.5, 2, -0.3}, output(5), product(5), exact(5);
  for (const auto& [name, kind] : prediction_names) {
    CAPTURE(std::string(name));
    auto network = predicts(kind, mixture_network{kind});
    (void)sliced_score_matching(network, in_rows(x, 5), time_point<int>{1, level}, in_rows(v, 5),
                                in_rows(output, 5), in_rows(product, 5), exact);
    const auto error = [&, kind = kind](double h) {
      std::vector<double> above(5), below(5), plus(5), minus(5), losses(5);
      linear_combination(1, x, h, v, std::span<double>(above));
      linear_combination(1, x, -h, v, std::span<double>(below));
      network(in_rows(above, 5), time_point<int>{1, level}, in_rows(plus, 5));
      network(in_rows(below, 5), time_point<int>{1, level}, in_rows(minus, 5));
      (void)finite_difference_score_matching(kind, level, h, in_rows(x, 5), in_rows(v, 5), in_rows(plus, 5),
                                             in_rows(minus, 5), in_rows(plus, 5), in_rows(minus, 5), losses);
      double sum = 0;
      for (std::size_t i = 0; i < 5; ++i) sum += std::abs(losses[i] - exact[i]);
      return sum;
    };
    CHECK(error(0.02) < 0.02);
    CHECK(std::abs(support::order_of(error(0.02), error(0.01)) - 2) < 0.1);
  }
}

TEMPLATE_TEST_CASE("The gradients of finite differences are the slopes of their loss", "", float, double) {
  using T = TestType;
  const std::size_t count = 3, size = 19;
  auto x = normals<T>(count * size, 1), v = normals<T>(count * size, 2), plus = normals<T>(count * size, 3),
       minus = normals<T>(count * size, 4);
  std::vector<T> to_plus(count * size), to_minus(count * size), unused(count * size);
  std::vector<double> losses(count);
  for (const auto& [name, kind] : prediction_names) {
    const auto loss = [&, kind = kind](std::vector<T>& g, std::vector<T>& h) {
      return finite_difference_score_matching(kind, level, 0.25, in_rows(x, count), in_rows(v, count),
                                              in_rows(plus, count), in_rows(minus, count), in_rows(g, count),
                                              in_rows(h, count), losses);
    };
    (void)loss(to_plus, to_minus);
    CAPTURE(std::string(name));
    for (auto* of : {&plus, &minus})
      for (std::size_t j = 0; j < count * size; j += 5) {
        const T at = (*of)[j];
        (*of)[j] = at + T(0.5);
        const double above = loss(unused, unused);
        const T above_at = (*of)[j];
        (*of)[j] = at - T(0.5);
        const double below = loss(unused, unused);
        const double h = static_cast<double>(above_at) - static_cast<double>((*of)[j]);
        (*of)[j] = at;
        const double found = static_cast<double>((of == &plus ? to_plus : to_minus)[j]);
        // A difference of a parabola is exact (about the middle of the two, which in float is off by a
        // rounding).
        CHECK(std::abs((above - below) / h - found) <= 64 * roundoff<> * 200 + 64 * roundoff<T>);
      }
  }
}

TEST_CASE("Losses of score matching do not depend on how an executor cuts them") {
  const auto backwards = [](std::size_t n, const auto& f) {
    for (std::size_t i = n; i-- > 0;) f(i, i + 1);
  };
  const std::size_t count = 40, size = 1001;
  auto x = normals<float>(count * size, 1), v = normals<float>(count * size, 2),
       plus = normals<float>(count * size, 3), minus = normals<float>(count * size, 4);
  std::vector<float> one(count * size), two(count * size), cut_one(count * size), cut_two(count * size);
  std::vector<double> losses(count), cut_losses(count);
  const double loss = finite_difference_score_matching(
      prediction::v, level, 0.1, in_rows(x, count), in_rows(v, count), in_rows(plus, count),
      in_rows(minus, count), in_rows(one, count), in_rows(two, count), losses);
  const std::size_t before = support::allocations;
  CHECK(finite_difference_score_matching(prediction::v, level, 0.1, in_rows(x, count), in_rows(v, count),
                                         in_rows(plus, count), in_rows(minus, count), in_rows(cut_one, count),
                                         in_rows(cut_two, count), cut_losses, backwards) == loss);
  CHECK(support::allocations == before);
  support::check_identical(cut_one, one);
  support::check_identical(cut_two, two);
  support::check_identical(cut_losses, losses);
}

TEST_CASE("Score matching refuses wrong sizes, steps and levels by name") {
  std::vector<double> six(6), four(4), losses(3);
  auto network = predicts<prediction::score>(linear_network{{}, {}});
  const auto x = [&] { return in_rows(six, 3); };
  const auto sliced = [&](rows<double> v, rows<double> output, rows<double> product, std::size_t count) {
    return sliced_score_matching(network, x(), time_point<int>{1, level}, v, output, product,
                                 std::span(losses).first(count));
  };
  check_refused([&] { return sliced(in_rows(four, 2), x(), x(), 3); }, {"rows of v = 2", "3"});
  check_refused([&] { return sliced(x(), in_rows(four, 2), x(), 3); }, {"rows of output = 2", "3"});
  check_refused([&] { return sliced(x(), x(), in_rows(four, 2), 3); }, {"rows of product = 2", "3"});
  check_refused([&] { return sliced(x(), x(), x(), 2); }, {"size of losses = 2", "3"});
  const auto difference = [&](double h, noise_level at) {
    return finite_difference_score_matching(prediction::epsilon, at, h, x(), x(), x(), x(), x(), x(), losses);
  };
  check_refused([&] { return difference(0, level); }, {"h = 0", "(0, inf)"});
  check_refused([&] { return difference(0.1, {1, 0}); }, {"sigma = 0", "epsilon"});
}
