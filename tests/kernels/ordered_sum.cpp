#include "diffusion/kernels/ordered_sum.hpp"

#include <vector>

#include "support/check.hpp"

TEST_CASE("A sum takes every term once, and is exact where its terms are") {
  for (std::size_t n = 0; n < 40; ++n) {
    std::vector<int> seen(n, 0);
    const double sum = diffusion::detail::ordered_sum(n, [&](std::size_t i) {
      ++seen[i];
      return static_cast<double>(i * i);
    });
    CHECK(seen == std::vector<int>(n, 1));
    double want = 0;
    for (std::size_t i = 0; i < n; ++i) want += static_cast<double>(i * i);
    CHECK(sum == want);
  }
}
