#include "diffusion/kernels/for_each_pack.hpp"

#include <numeric>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;

namespace {

template <class Arch, class T, class F>
std::vector<T> mapped(const std::vector<T>& a, F f) {
  std::vector<T> out(a.size());
  detail::for_each_pack<Arch, arithmetic<T>>(0, a.size(),
                                             [&](auto at) { at.store(f(at.load(a.data())), out.data()); });
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("Packs cover a range once and nothing beyond it, on every architecture", "", float,
                   double) {
  const auto check = [](auto arch) {
    using Arch = decltype(arch);
    for (std::size_t begin = 0; begin <= 9; ++begin)
      for (std::size_t end = begin; end <= 70; ++end) {
        std::vector<TestType> a(71), out(71, TestType(-1)), want(71, TestType(-1));
        std::iota(a.begin(), a.end(), TestType(1));
        for (std::size_t i = begin; i < end; ++i) want[i] = a[i] * a[i] - a[i];  // exact in float
        detail::for_each_pack<Arch, TestType>(begin, end, [&](auto at) {
          const auto x = at.load(a.data());
          at.store(x * x - x, out.data());
        });
        support::check_identical(out, want);
      }
  };
  check(default_arch{});
  check(scalar_arch{});
}

TEMPLATE_TEST_CASE("16-bit arrays are computed on in float and rounded once, also in the tail", "", float16,
                   bfloat16) {
  const auto check = [](auto arch) {
    for (std::size_t size = 0; size <= 70; ++size) {
      std::vector<TestType> a(size);
      for (std::size_t i = 0; i < size; ++i) a[i] = TestType(1.0F + 0.37F * static_cast<float>(i));
      const auto out = mapped<decltype(arch)>(a, [](const auto& x) { return x * 0.3F; });
      for (std::size_t i = 0; i < size; ++i)
        CHECK(out[i].bits == TestType(static_cast<float>(a[i]) * 0.3F).bits);
    }
  };
  check(default_arch{});
  check(scalar_arch{});
}

TEST_CASE("The padding of a tail is zero") {
  // Anything else would cost time (denormal numbers) or raise floating-point exceptions of its own.
  const std::vector<float> a(3, 5.0F);
  bool padding_is_zero = true;
  const auto out = mapped<default_arch>(a, [&](const auto& x) {
    using pack = std::remove_cvref_t<decltype(x)>;
    if constexpr (!std::floating_point<pack>) {
      std::array<float, pack::size> values;
      x.store_unaligned(values.data());
      for (std::size_t i = 3; i < values.size(); ++i) padding_is_zero = padding_is_zero && values[i] == 0;
    }
    return x;
  });
  CHECK(padding_is_zero);
  support::check_identical(out, a);
}

TEST_CASE("Clamping keeps a NaN and limits everything else") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x{nan, inf, -inf, 0.5, -0.5, 2, -2, nan, -0.0};
  const std::vector<double> want{nan, 1, -1, 0.5, -0.5, 1, -1, nan, -0.0};
  const auto limited = [](const auto& v) {
    using pack = std::remove_cvref_t<decltype(v)>;
    return detail::clamp(v, pack(-1), pack(1));
  };
  support::check_identical(mapped<default_arch>(x, limited), want);
  support::check_identical(mapped<scalar_arch>(x, limited), want);
}

TEST_CASE("Blocks cover every row once, however the executor cuts them") {
  // Cuts into single blocks, from the last to the first.
  const auto backwards = [](std::size_t count, const auto& f) {
    for (std::size_t i = count; i-- > 0;) f(i, i + 1);
  };
  const auto check = [](const auto& executor) {
    for (const std::size_t size : {1u, 500u, 2048u, 2049u, 4095u, 4096u, 4097u, 10000u})
      for (const std::size_t count : {1u, 3u, 30u}) {
        std::vector<int> visits(size * count);
        bool starts_at_a_tile = true;
        detail::for_each_block(executor, count, size,
                               [&](std::size_t row, std::size_t begin, std::size_t end) {
                                 starts_at_a_tile = starts_at_a_tile && begin % detail::tile_size == 0;
                                 for (std::size_t i = begin; i < end; ++i) ++visits[row * size + i];
                               });
        CHECK(starts_at_a_tile);
        CHECK(std::count(visits.begin(), visits.end(), 1) == std::ptrdiff_t(visits.size()));
      }
  };
  check(serial{});
  check(backwards);
}
