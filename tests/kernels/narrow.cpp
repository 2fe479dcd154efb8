#include "diffusion/kernels/narrow.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include "support/check.hpp"

using namespace diffusion;

namespace {

/// The conversions of one architecture.
template <class ArchOf>
struct path {
  using arch = ArchOf;
  static constexpr std::size_t size = detail::pack_of<float, arch>::size;
  template <class Narrow>
  static auto widen(const Narrow* from) {
    return detail::widen<arch>(from);
  }
  template <class Narrow>
  static void narrow(const detail::pack<float, arch>& value, Narrow* to) {
    detail::narrow(value, to);
  }
};

/// Calls check with every path that this file is compiled for: an unsupported architecture has no batches.
/// Those below AVX2 convert by integer arithmetic.
template <class Check>
void for_each_path(Check check) {
  const auto check_if_supported = [&](auto arch) {
    using Arch = decltype(arch);
    if constexpr (Arch::supported()) check(path<Arch>{});
  };
  check(path<scalar_arch>{});
  check_if_supported(xsimd::default_arch{});
  check_if_supported(xsimd::sse2{});
  check_if_supported(xsimd::avx{});
  check_if_supported(xsimd::avx2{});
  check_if_supported(xsimd::avx512f{});
  check_if_supported(xsimd::neon{});
}

/// Converts packs of the floats with the given bits; counts the elements that are not those of the scalar
/// conversion.
template <class Path, class Narrow>
class narrowing_check {
 public:
  void add(std::uint32_t bits) {
    values_[filled_++] = std::bit_cast<float>(bits);
    if (filled_ == Path::size) convert();
  }
  std::size_t wrong() {
    while (filled_ > 0) add(0);
    return wrong_;
  }

 private:
  void convert() {
    Path::narrow(detail::pack_of<float, typename Path::arch>::load(values_.data()), results_.data());
    for (std::size_t i = 0; i < Path::size; ++i) wrong_ += results_[i].bits != Narrow(values_[i]).bits;
    filled_ = 0;
  }

  std::array<float, Path::size> values_;
  std::array<Narrow, Path::size> results_;
  std::size_t filled_ = 0;
  std::size_t wrong_ = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("Widening packs is the scalar conversion, bit by bit, for every 16-bit number", "",
                   float16, bfloat16) {
  std::vector<TestType> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<std::uint16_t>(i);
  for_each_path([&](auto path) {
    std::vector<float> out(all.size());
    for (std::size_t i = 0; i < all.size(); i += path.size)
      detail::pack_of<float, typename decltype(path)::arch>::store(out.data() + i,
                                                                   path.widen(all.data() + i));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      wrong +=
          std::bit_cast<std::uint32_t>(out[i]) != std::bit_cast<std::uint32_t>(static_cast<float>(all[i]));
    CAPTURE(path.size);
    CHECK(wrong == 0);
  });
}

TEMPLATE_TEST_CASE("Narrowing packs is the scalar conversion, bit by bit, for floats of every kind", "",
                   float16, bfloat16) {
  for_each_path([](auto path) {
    narrowing_check<decltype(path), TestType> check;
    // Steps of a prime reach every exponent and each pattern of the bits that are rounded away.
    for (std::uint64_t bits = 0; bits >> 32 == 0; bits += 1031) check.add(static_cast<std::uint32_t>(bits));
    // Every number of both formats, every middle between two neighbours, and the floats beside them: these
    // are the places where the result changes. The subnormal numbers of float16 follow other patterns.
    for (std::uint32_t bits = 0; bits < 1 << 20; ++bits)
      for (const std::uint32_t beside : {0u, 1u, 0xfffu}) check.add(bits << 12 | beside);
    for (int i = 0; i <= 4096; ++i) {
      const auto middle = std::bit_cast<std::uint32_t>(static_cast<float>(i) * 0x1p-25F);
      for (const std::uint32_t bits : {middle - 1, middle, middle + 1}) {
        check.add(bits);
        check.add(bits ^ 0x80000000);
      }
    }
    CAPTURE(path.size);
    CHECK(check.wrong() == 0);
  });
}

TEMPLATE_TEST_CASE("Packs are read and written anywhere, and nothing beside them", "", float16, bfloat16) {
  for_each_path([](auto path) {
    constexpr std::size_t size = path.size;
    std::array<TestType, 2 * size + 2> from, to;
    for (std::size_t offset = 0; offset <= size; ++offset) {
      for (std::size_t i = 0; i < from.size(); ++i) {
        from[i] = TestType(static_cast<float>(i));
        to[i] = TestType(-1.0F);
      }
      path.narrow(path.widen(from.data() + offset), to.data() + offset + 1);
      for (std::size_t i = 0; i < to.size(); ++i) {
        const bool inside = i > offset && i <= offset + size;
        CHECK(static_cast<float>(to[i]) == (inside ? static_cast<float>(i - 1) : -1.0F));
      }
    }
  });
}
