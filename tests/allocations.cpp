// No step of a run allocates: operator new of this program counts.
#include "support/allocations.hpp"

#include <vector>

#include "diffusion/diffusion.hpp"
#include "support/check.hpp"
#include "support/oracle.hpp"
#include "support/run.hpp"

using support::allocations;

using namespace diffusion;

namespace {

/// Allocations of all steps of a run, without those of its preparation.
template <class S, class P>
std::size_t allocations_of(S sampler, P network, x0_transform transform) {
  const auto schedule = linear_schedule(100);
  const auto grid = trailing_grid(100, 10);
  const philox_normal noise{1};
  auto values = support::normals<float>(4 * 37);
  const rows<float> x(std::span<float>(values), 4);
  workspace<float> work;
  std::vector<float> x0(values.size());
  stepper run(schedule, grid, sampler, x, work, {.x0 = transform});
  const std::size_t before = allocations;
  while (!run.done()) {
    run.predict(network);
    run.preview(rows<float>(std::span<float>(x0), 4));
    run.advance(noise);
  }
  return allocations - before;
}

}  // namespace

TEST_CASE("The count of allocations counts") {
  const std::size_t before = allocations.load();
  ::operator delete(::operator new(100));  // a compiler may drop a new-expression, but not this call
  const std::size_t after = allocations.load();
  CHECK(after == before + 1);
}

TEST_CASE("No step of a run allocates") {
  const support::perfect_network network{support::gaussian{0.4, 0.3}, prediction::v};
  std::vector<float> scratch(4 * 37);
  const auto both = guided(network, network, 3, std::span<float>(scratch));
  const auto learned = [](rows<const float> x, const auto&, rows<float> out) {
    std::copy_n(x.data().begin(), x.data().size(), out.data().begin());
  };
  for (const x0_transform& transform : {x0_transform{x0_keep{}}, x0_transform{x0_clip{}},
                                        x0_transform{dynamic_threshold{.ratio = 0.9, .max = 2}}}) {
    CHECK(allocations_of(ddpm{}, network, transform) == 0);
    CHECK(allocations_of(ddim{}, network, transform) == 0);
    CHECK(allocations_of(ddim{.eta = 0.5, .rederive_epsilon = false}, network, transform) == 0);
    CHECK(allocations_of(ddim{}, both, transform) == 0);
    CHECK(allocations_of(ddpm_learned{}, learned, transform) == 0);
  }
}
