#include <cmath>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "ask_unet.hpp"
#include "diffusion/variational_bound.hpp"
#include "io/idx.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"

using namespace program_runs;

namespace {

/// A workshop with a test set of `count` images and a trained network.
struct bound_shop : workshop {
  std::string plot = (folder / "elbo.png").string();

  explicit bound_shop(int count) : workshop(count) {
    for (const std::string what : {"images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"})
      folder.write("t10k-" + what, read_bytes(folder / ("train-" + what)));
  }
  outcome evaluate(const std::vector<std::string>& more) const {
    return run(joined({"eval", "--elbo", "--weights", weights, "--data", data, "--plot", plot}, more));
  }
};

struct estimate {
  double value, error;
};
/// The numbers of the lines "name  value +- error".
std::map<std::string, estimate> estimates_of(const std::string& out) {
  std::map<std::string, estimate> found;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, sign;
    estimate e{};
    if (words >> name >> e.value >> sign >> e.error && sign == "+-") found[name] = e;
  }
  return found;
}

}  // namespace

TEST_CASE("eval --elbo prints the bound of the test set, in parts and with its error",
          "[mnist][program][elbo]") {
  const bound_shop shop(12);
  REQUIRE(shop.train().status == 0);
  const auto scored = shop.evaluate({"--n", "12", "--draws", "300", "--threads", "1"});
  INFO(scored.out << scored.err);
  REQUIRE(scored.status == 0);
  CHECK(contains(scored.out, "images       12 of the test set, bound of -log2 p(x)\n"));
  CHECK(contains(scored.out, "times        300 of 60 for each image\n"));
  CHECK(contains(scored.out, " evaluations\nplot         " + shop.plot + "\n"));
  CHECK(read_bytes(shop.plot).starts_with("\x89PNG"));
  auto found = estimates_of(scored.out);
  REQUIRE(found.size() == 4);
  CHECK(found["prior"].value + found["steps"].value + found["decoder"].value ==
        Approx(found["bound"].value).margin(3e-4));  // four decimals of each

  // All terms of the same images, with other noise.
  auto m = mnist::load_model(shop.weights, {});
  const auto images = mnist::read_idx_pair(shop.folder / "t10k-images-idx3-ubyte.gz",
                                           shop.folder / "t10k-labels-idx1-ubyte.gz");
  std::vector<float> x0;
  for (const std::uint8_t pixel : images.images.pixels) x0.push_back(static_cast<float>(pixel) / 127.5f - 1);
  const auto schedule = m.process.make_schedule();
  diffusion::workspace<float> work;
  diffusion::running_mean bits, steps;
  double spread = 0;
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    std::vector<diffusion::sample_bound> bounds(12);
    diffusion::variational_bound(diffusion::run_path(schedule, diffusion::full_grid(schedule.steps())),
                                 diffusion::discretized_gaussian{}, mnist::ask_unet(m, nullptr),
                                 diffusion::philox_normal{seed}, diffusion::rows<const float>(x0, 12), work,
                                 bounds, {.x0 = diffusion::x0_clip{1}});
    diffusion::running_mean total, of_steps;
    for (const auto& bound : bounds) {
      total.add(diffusion::bits_per_dimension(bound.total(), 784));
      of_steps.add(diffusion::bits_per_dimension(bound.steps, 784));
    }
    bits.add(total.mean());
    steps.add(of_steps.mean());
    spread = total.standard_error();
  }
  // The printed error is the spread of the images' bounds, to which 300 draws add little.
  CHECK(found["bound"].error == Approx(spread).epsilon(0.3));
  // The images are the same, so the means differ by less. Steps: 3,600 draws, each off by a third or less
  // where they are drawn in proportion: four times 0.5 %. The decoder has one draw of 12 times 784 elements,
  // each off by its own size or so: four times 1 %, of less than half of the bound.
  CHECK(found["steps"].value == Approx(steps.mean()).epsilon(0.02));
  CHECK(found["bound"].value == Approx(bits.mean()).epsilon(0.03));
}

TEST_CASE("The bound does not depend on threads, but on the labels and the variance",
          "[mnist][program][elbo]") {
  const bound_shop shop(12);
  REQUIRE(shop.train().status == 0);
  const auto bound = [&](const std::vector<std::string>& more) {
    const auto scored = shop.evaluate(joined({"--n", "9", "--draws", "3", "--seed", "4"}, more));
    INFO(scored.out << scored.err);
    REQUIRE(scored.status == 0);
    return scored.out.substr(0, scored.out.find("seconds"));
  };
  const auto plain = bound({"--threads", "1"});
  CHECK(bound({"--threads", "3"}) == plain);
  CHECK(estimates_of(bound({"--variance", "transition"}))["bound"].value !=
        estimates_of(plain)["bound"].value);
  const auto labelled = bound({"--labels"});
  CHECK(contains(labelled, "bound of -log2 p(x | label)\n"));
  CHECK(estimates_of(labelled)["steps"].value != estimates_of(plain)["steps"].value);
}

TEST_CASE("eval --elbo refuses what it cannot do", "[mnist][program][elbo]") {
  const bound_shop shop(12);
  REQUIRE(shop.train({"--unconditional"}).status == 0);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& reason) {
    const auto scored = shop.evaluate(more);
    INFO(scored.err);
    CHECK(scored.status == 2);
    CHECK(contains(scored.err, reason));
  };
  refused({"--n", "13"}, "n = 13, allowed with --elbo: up to the 12 images");
  refused({"--n", "4", "--variance", "none"}, "variance = \"none\", must be one of posterior, transition");
  refused({"--n", "4", "--labels"}, "labels, allowed: for networks that know ten classes");
  refused({"--n", "4", "--sampler", "ddim"}, "--sampler excludes --elbo");
  refused({"--n", "4", "--draws", "0"}, "--draws");
  const auto without = run({"eval", "--weights", shop.weights, "--draws", "3"});
  CHECK(without.status == 2);
  CHECK(contains(without.err, "--draws requires --elbo"));
}
