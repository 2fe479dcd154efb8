#include "diffusion/kernels/transform.hpp"

#include <numeric>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;

TEMPLATE_TEST_CASE("A transform touches every element once and none beyond, on every architecture", "", float,
                   double) {
  const auto check = [](auto arch) {
    using Arch = decltype(arch);
    for (std::size_t size = 0; size <= 70; ++size) {
      std::vector<TestType> a(size), b(size), out(size + 1, TestType(-1)), want(size + 1, TestType(-1));
      std::iota(a.begin(), a.end(), TestType(1));
      std::iota(b.begin(), b.end(), TestType(100));
      for (std::size_t i = 0; i < size; ++i) want[i] = a[i] * b[i] - a[i];  // exact in float
      detail::transform<Arch>([](const auto& x, const auto& y) { return x * y - x; },
                              std::span<TestType>(out).first(size), a.data(), b.data());
      support::check_identical(out, want);
    }
  };
  check(default_arch{});
  check(scalar_arch{});
}

TEST_CASE("The padding of a tail is zero") {
  // Anything else would cost time (denormal numbers) or raise floating-point exceptions of its own.
  const std::vector<float> a(3, 5.0F);
  std::vector<float> out(3);
  bool padding_is_zero = true;
  detail::transform<default_arch>(
      [&](const auto& x) {
        using pack = std::remove_cvref_t<decltype(x)>;
        if constexpr (!std::floating_point<pack>) {
          std::array<float, pack::size> values;
          x.store_unaligned(values.data());
          for (std::size_t i = 3; i < values.size(); ++i) padding_is_zero = padding_is_zero && values[i] == 0;
        }
        return x;
      },
      std::span<float>(out), a.data());
  CHECK(padding_is_zero);
  support::check_identical(out, a);
}

TEST_CASE("Clamping keeps a NaN and limits everything else") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x{nan, inf, -inf, 0.5, -0.5, 2, -2, nan, -0.0};
  const std::vector<double> want{nan, 1, -1, 0.5, -0.5, 1, -1, nan, -0.0};
  const auto check = [&](auto arch) {
    std::vector<double> out(x.size());
    detail::transform<decltype(arch)>(
        [](const auto& v) {
          using pack = std::remove_cvref_t<decltype(v)>;
          return detail::clamp(v, pack(-1), pack(1));
        },
        std::span<double>(out), x.data());
    support::check_identical(out, want);
  };
  check(default_arch{});
  check(scalar_arch{});
}
