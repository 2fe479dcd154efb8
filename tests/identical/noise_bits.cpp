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
     {0xbf9f0fcc, 0x3f916230, 0xbe4e88cb, 0xbf31f396},
     {0xbff3e1f99c21c6c5, 0x3ff22c45fb0086df, 0xbfc9d119467ac5ba, 0xbfe63e72d8cf6f26},
     0x405bd4f51ecbef91,
     0x7c94d751ed350ef2},
    {0x2a,
     0x1,
     0x0,
     {0x3e78aefa, 0x3f3c952d, 0x3e6d04f5, 0x3ee78d3e},
     {0x3fcf15df56a04fce, 0x3fe792a5829f00a3, 0x3fcda09e48e73a93, 0x3fdcf1a7d0267322},
     0x0193f74a55739917,
     0xe9e5e30cd477a47f},
    {0x2a,
     0x0,
     0x1,
     {0x3ec2d1b0, 0x3fa4ae2d, 0xbf8cb9a0, 0x3f04aa83},
     {0x3fd85a35ec93805e, 0x3ff495c5a5e9576b, 0xbff1973412c8c251, 0x3fe09550496f0452},
     0x5d55289838ddcac4,
     0xbe7a5bf292579be3},
    {0xffffffffffffffff,
     0xffffffffffffffff,
     0xffffffff,
     {0xbf57be44, 0xbe2d4d89, 0xbf9724a4, 0xbf7034d5},
     {0xbfeaf7c877fd081e, 0xbfc5a9b131867462, 0xbff2e49495598ea7, 0xbfee069a89655020},
     0x1eab3a13bd4ae262,
     0xc3f3e89aca5d3eec},
    {0x123456789abcdef0,
     0xfedcba9876543210,
     0x3e8,
     {0x3fcf4b6f, 0xbfb0c212, 0xc003c24a, 0x3f5cbcb9},
     {0x3ff9e96de7edafd8, 0xbff618425a6c9d33, 0xc00078493a1a4d1f, 0x3feb97974c3df0ad},
     0x53cee402ea4c51bc,
     0x0077dc9b0b538f1a},
};
constexpr row_bits philox10[] = {
    {0x0,
     0x0,
     0x0,
     {0x3f9ec3ee, 0xbe960306, 0x3cba8b16, 0x3fccd6f1},
     {0x3ff3d87dbfd8264e, 0xbfd2c060a97bd5f3, 0x3f97516302782150, 0x3ff99ade3f627c1d},
     0xac689a0dec9e2f19,
     0xbd39b85383643c2b},
    {0x2a,
     0x1,
     0x0,
     {0x40355a3e, 0xbf63f171, 0xbed121dd, 0x3efd08a8},
     {0x4006ab47ba5788ec, 0xbfec7e2e2660b52b, 0xbfda243bc5978fc4, 0x3fdfa114c2987ca3},
     0xb5af942a43a9aa15,
     0x17dce31c68ad36e2},
    {0x2a,
     0x0,
     0x1,
     {0x3fc8bb22, 0xbf722769, 0x3e83eff9, 0xbe9078ec},
     {0x3ff917642c5f100c, 0xbfee44ed0e8aa3ff, 0x3fd07dff2641f383, 0xbfd20f1d5afd8651},
     0x63fc8d7b6880d78b,
     0xaceb2bb746ffe2ee},
    {0xffffffffffffffff,
     0xffffffffffffffff,
     0xffffffff,
     {0xbe9dd9ed, 0x3e91d839, 0x3fef040b, 0xbf9e2620},
     {0xbfd3bb3dc0a017af, 0x3fd23b07238adcba, 0x3ffde08176c6de6f, 0xbff3c4c403a2e95a},
     0x1ea09f9bf6631b12,
     0x9b2ef7ffe90593ad},
    {0x123456789abcdef0,
     0xfedcba9876543210,
     0x3e8,
     {0x3f130b97, 0x3f2bc49b, 0x3ee7357f, 0xbf92ff2e},
     {0x3fe26172fac7c8fe, 0x3fe57893645704c1, 0x3fdce6b008d314f8, 0xbff25fe5b640aea2},
     0xb597bb45e64b6475,
     0x37b7d06b8feed508},
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
