#include "diffusion/guidance.hpp"

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

namespace {

auto constant_output(float value) {
  return [=](rows<const float>, const auto&, rows<float> out) {
    for (float& x : out.data()) x = value;
  };
}

}  // namespace

TEST_CASE("Guidance extrapolates from unconditional to conditional") {
  std::vector<float> x(6), out(6), scratch(6);
  for (const double scale : {0.0, 1.0, 7.5, -1.0}) {
    auto network = guided(constant_output(3), constant_output(1), scale, std::span<float>(scratch));
    network(rows<const float>(std::span<const float>(x), 2), time_point<int>{}, rows<float>(out, 2));
    // Exact in float.
    support::check_identical(out, std::vector<float>(6, static_cast<float>(1 + scale * (3 - 1))));
  }
}

TEST_CASE("A guided network predicts what its parts predict, which must agree") {
  std::vector<float> scratch(6);
  const auto v = predicts<prediction::v>(constant_output(1));
  const auto epsilon = constant_output(1);
  CHECK(kind_of(guided(v, v, 2, std::span<float>(scratch))) == prediction::v);
  CHECK(kind_of(guided(epsilon, epsilon, 2, std::span<float>(scratch))) == prediction::epsilon);
  check_refused([&] { return guided(v, epsilon, 2, std::span<float>(scratch)); },
                {"unconditional kind = \"epsilon\"", "allowed: \"v\""});
}

TEST_CASE("Guidance refuses a scratch of another size than the output") {
  std::vector<float> x(6), scratch(5);
  auto network = guided(constant_output(1), constant_output(1), 2, std::span<float>(scratch));
  check_refused(
      [&] {
        network(rows<const float>(std::span<const float>(x), 2), time_point<int>{}, rows<float>(x, 2));
        return 0;
      },
      {"guidance scratch = 5", "6"});
}
