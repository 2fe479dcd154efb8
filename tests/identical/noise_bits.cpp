// Compares the noise with a table of expected bit patterns, for the plain path and every SIMD architecture
// that this program is compiled for. run.sh builds it with many compilers and flags: the bits are the same
// for all.
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "diffusion/random/normal.hpp"

namespace {

using namespace diffusion;

struct row_bits {
  std::uint64_t seed, sample;
  std::uint32_t step;
  std::array<std::uint32_t, 4> floats;   // elements 0, 33, 4096 and 9999
  std::array<std::uint64_t, 4> doubles;  // the same
  std::uint64_t float_sum, double_sum;   // over 10,000 elements
};

constexpr std::array<std::size_t, 4> places{0, 33, 4096, 9999};

constexpr row_bits philox7[] = {
    {0x0,
     0x0,
     0x0,
     {0x40091be7, 0x3f1cbbfc, 0xbd8ea961, 0xbfe09d6d},
     {0x4001237cd82fd224, 0x3fe3977f6a54fff8, 0xbfb1d52c1ff13f55, 0xbffc13ad92eaab4c},
     0x6f6c4033a98d08f1,
     0xe1a927c385892efa},
    {0x2a,
     0x1,
     0x0,
     {0xbef1418a, 0x3efc74a9, 0xbf44e461, 0xc001eda8},
     {0xbfde28310a1d39f7, 0x3fdf8e94e85ef094, 0xbfe89c8c2e96d18d, 0xc0003db4fd6e3613},
     0x459337bf2d211177,
     0x2578c0656e1776f3},
    {0x2a,
     0x0,
     0x1,
     {0xbf853eaf, 0xbe41a367, 0x3f2e98b8, 0xbe244a81},
     {0xbff0a7d5e841f607, 0xbfc8346cc7f5a200, 0x3fe5d316e0387799, 0xbfc4895026d6ba77},
     0x3526dd0d39a4b9f0,
     0x6f295d0d973b2087},
    {0xffffffffffffffff,
     0xffffffffffffffff,
     0xffffffff,
     {0x3f6a9246, 0xbeb88ea3, 0x3fc82e6a, 0x3aae9f03},
     {0x3fed5248b5f4c524, 0xbfd711d4711a47bd, 0x3ff905cd43e33924, 0x3f55d3e0666c4211},
     0x053f6713f2a01572,
     0x9cb83055da5a1e98},
    {0x123456789abcdef0,
     0xfedcba9876543210,
     0x3e8,
     {0x3f93c1b2, 0x3da0cfd1, 0xbe93071f, 0x3e1722c7},
     {0x3ff278364b055569, 0x3fb419fa0b948f45, 0xbfd260e3eda620a9, 0x3fc2e458d46732f8},
     0x45bf66f479ff4320,
     0x6ce9ae9b4e9cf0c6},
};
constexpr row_bits philox10[] = {
    {0x0,
     0x0,
     0x0,
     {0x3ed241e0, 0x3f84281d, 0x3f93f513, 0xbf63f409},
     {0x3fda483bc1231d6e, 0x3ff08503ac56f147, 0x3ff27ea257101e3a, 0xbfec7e810a071506},
     0x7abf3425f74e6291,
     0x83ebf6a8dd29ae7b},
    {0x2a,
     0x1,
     0x0,
     {0x3fea24fa, 0x3f9881e2, 0x3ea3d760, 0x3f9f3c41},
     {0x3ffd449f0f52c88e, 0x3ff3103c473a3396, 0x3fd47aebe4e4ee9e, 0x3ff3e7881c276810},
     0x47d72a9f30072ead,
     0x8fa225ae8d0722f2},
    {0x2a,
     0x0,
     0x1,
     {0x3f39d9f2, 0xbeac04e1, 0x3ef8ca08, 0x3ec06813},
     {0x3fe73b3e4d6e96d2, 0xbfd5809c134089c7, 0x3fdf19410ff6b3c0, 0x3fd80d029f9433e8},
     0x3f72cd68f58797bf,
     0xa5a78e93759ad532},
    {0xffffffffffffffff,
     0xffffffffffffffff,
     0xffffffff,
     {0xbf692b4b, 0xbfc01a3d, 0xbf8e5917, 0xbd2f15ab},
     {0xbfed256988dd8920, 0xbff803477df214c5, 0xbff1cb22ecb338b7, 0xbfa5e2b558df6e27},
     0x851c3adccfe40ada,
     0x1b02e48d7f0b8921},
    {0x123456789abcdef0,
     0xfedcba9876543210,
     0x3e8,
     {0xbe4cbc97, 0xbd94c64f, 0xbf7b1e5e, 0x3e950ed4},
     {0xbfc99793272d9bc0, 0xbfb298c9d6ede65f, 0xbfef63cbd49d780a, 0x3fd2a1da7100c01d},
     0xecf0dd42d90c7e15,
     0xa6594c44f38ff770},
};

/// FNV-1a over the bytes, lowest first.
template <class Word>
std::uint64_t checksum(const std::vector<Word>& words) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const Word word : words)
    for (std::size_t i = 0; i < sizeof(Word); ++i) hash = (hash ^ ((word >> (8 * i)) & 0xff)) * 0x100000001b3;
  return hash;
}

template <class T, class Arch, int Rounds>
auto bits_of(const row_bits& row) {
  std::vector<T> z(10000);
  normal_row<Rounds>(row.seed, row.sample, row.step).template fill<Arch>(std::span<T>(z));
  std::vector<detail::word_of<T>> bits;
  for (const T value : z) bits.push_back(std::bit_cast<detail::word_of<T>>(value));
  return bits;
}

template <int Rounds, class Arch>
row_bits computed(const row_bits& address) {
  row_bits row = address;
  const auto floats = bits_of<float, Arch, Rounds>(address);
  const auto doubles = bits_of<double, Arch, Rounds>(address);
  for (std::size_t i = 0; i < places.size(); ++i) {
    row.floats[i] = floats[places[i]];
    row.doubles[i] = doubles[places[i]];
  }
  row.float_sum = checksum(floats);
  row.double_sum = checksum(doubles);
  return row;
}

void print(const row_bits& r) {
  std::printf("{0x%llx, 0x%llx, 0x%x, {", static_cast<unsigned long long>(r.seed),
              static_cast<unsigned long long>(r.sample), r.step);
  for (std::size_t i = 0; i < 4; ++i) std::printf("%s0x%08x", i ? ", " : "", r.floats[i]);
  std::printf("}, {");
  for (std::size_t i = 0; i < 4; ++i)
    std::printf("%s0x%016llx", i ? ", " : "", static_cast<unsigned long long>(r.doubles[i]));
  std::printf("}, 0x%016llx, 0x%016llx},\n", static_cast<unsigned long long>(r.float_sum),
              static_cast<unsigned long long>(r.double_sum));
}

template <class Arch>
constexpr bool available = Arch::supported();
template <>
constexpr bool available<scalar_arch> = true;

int wrong = 0;

template <class Arch, int Rounds, std::size_t N>
void check_rows(const char* name, const row_bits (&rows)[N]) {
  for (const row_bits& want : rows) {
    const row_bits found = computed<Rounds, Arch>(want);
    if (found.floats == want.floats && found.doubles == want.doubles && found.float_sum == want.float_sum &&
        found.double_sum == want.double_sum)
      continue;
    std::printf("%s, %d rounds: found, expected:\n", name, Rounds);
    print(found);
    print(want);
    ++wrong;
  }
}

/// Nothing where this program is not compiled for Arch. Whether the processor has it is run.sh's business.
template <class Arch>
void check(const char* name) {
  if constexpr (available<Arch>) {
    check_rows<Arch, 7>(name, philox7);
    std::printf("%s ", name);
  }
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) {  // prints the tables, by the plain path
    for (const auto& row : philox7) print(computed<7, scalar_arch>(row));
    std::puts("");
    for (const auto& row : philox10) print(computed<10, scalar_arch>(row));
    return 0;
  }
  check_rows<default_arch, 10>("best", philox10);
  check<scalar_arch>("scalar");
  check<default_arch>("best");
  check<xsimd::sse2>("sse2");
  check<xsimd::avx>("avx");
  check<xsimd::avx2>("avx2");
  check<xsimd::avx512f>("avx512f");
  check<xsimd::neon64>("neon64");
  std::puts(wrong == 0 ? "ok" : "WRONG");
  return wrong != 0;
}
