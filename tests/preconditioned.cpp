#include "diffusion/preconditioned.hpp"

#include "diffusion/sample.hpp"
#include "diffusion/samplers/euler.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::roundoff;

namespace {

/// The exact F of Gaussian data under EDM's preconditioning, of what F is given: c_in y and c_noise = ln σ
/// / 4.
struct edm_network {
  support::gaussian data;
  double sigma_data;
  void operator()(rows<const double> x, time_point<double> at, rows<double> out) const {
    const double sigma = std::exp(4 * at.t);
    const preconditioning c = edm_preconditioning{sigma_data}(sigma);
    for (std::size_t i = 0; i < x.data().size(); ++i) {
      const double y = x.data()[i] / c.c_in;
      out.data()[i] = (data(y, {1, sigma}).x0 - c.c_skip * y) / c.c_out;
    }
  }
};

const support::gaussian data{0.4, 0.7};

}  // namespace

TEST_CASE("A preconditioned network predicts x0 at levels of every process") {
  const auto x = support::normals(6);
  std::vector<double> out(6), scratch(6), want(6);
  auto network = preconditioned(edm_preconditioning{}, edm_network{data, 0.5}, std::span<double>(scratch));
  static_assert(Predictor<decltype(network), double, double>);
  CHECK(kind_of(network) == prediction::x0);
  for (const double sigma : {0.1, 1.0, 20.0})
    for (const double alpha : {1.0, 1 / std::hypot(1, sigma), 1 / (1 + sigma)}) {
      CAPTURE(sigma, alpha);
      const noise_level level{alpha, alpha * sigma};
      network(rows(std::span(x), 2), time_point<double>{0, level}, rows(std::span(out), 2));
      for (std::size_t i = 0; i < 6; ++i) want[i] = data(x[i], level).x0;
      // y is up to 7 (1 + σ); what F divides by c_out is multiplied by it again. σ has a few roundings.
      support::check_close(out, want, 64 * roundoff<> * 7 * (1 + sigma));
    }
}

TEST_CASE("A run with a preconditioned network is that with the network it stands for") {
  std::vector<double> scratch(6);
  const auto start = support::normals(6);
  const auto run = [&](auto network) {
    const auto path = run_path(sigma_schedule{}, with_final(karras_sigmas(8)));
    std::vector<double> x(6);
    for (std::size_t i = 0; i < 6; ++i) x[i] = 80 * start[i];
    workspace<double> work;
    sample(make_plan(path, euler{}), network, support::no_noise{}, rows(std::span(x), 2), work);
    return x;
  };
  const auto found =
      run(preconditioned(edm_preconditioning{}, edm_network{data, 0.5}, std::span<double>(scratch)));
  const auto want = run(support::perfect_network{data, prediction::x0});
  // Eight steps that shrink a state of size 500.
  support::check_close(found, want, 8 * 64 * roundoff<> * 500);
}

TEST_CASE("A preconditioned network refuses pure noise, clean data and a scratch of another size") {
  std::vector<double> x(6), out(6), scratch(6);
  const auto ask = [&](noise_level level, std::size_t size) {
    auto network =
        preconditioned(edm_preconditioning{}, edm_network{data, 0.5}, std::span<double>(scratch).first(size));
    network(rows<const double>(std::span<const double>(x), 2), time_point<double>{0, level},
            rows(std::span(out), 2));
    return 0;
  };
  check_refused([&] { return ask({0, 1}, 6); }, {"sigma = inf", "(0, inf)"});
  check_refused([&] { return ask({1, 0}, 6); }, {"sigma = 0", "(0, inf)"});
  check_refused([&] { return ask({1, 1}, 5); }, {"preconditioning scratch = 5", "6"});
}
