// Writes the random words of the noise to standard output, without end, in an order of their addresses:
//   words ROUNDS elements|samples|steps|seeds
// elements: one row from end to end; otherwise the first 64 words of each row in turn.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "diffusion/random/philox.hpp"

namespace {

using namespace diffusion;

constexpr std::uint32_t blocks_of_a_row = 16;

template <int Rounds>
int write_words(const char* order) {
  const bool elements = std::strcmp(order, "elements") == 0;
  const bool samples = std::strcmp(order, "samples") == 0;
  const bool steps = std::strcmp(order, "steps") == 0;
  if (!elements && !samples && !steps && std::strcmp(order, "seeds") != 0)
    return std::fprintf(stderr, "order = %s, must be elements, samples, steps or seeds\n", order), 2;
  std::vector<std::uint32_t> words;
  for (std::uint64_t i = 0;;) {
    words.clear();
    while (words.size() < 1 << 16) {
      const std::uint64_t row = i / blocks_of_a_row;
      // 2³² blocks make a row: a longer sequence goes on with the next step.
      const auto block = static_cast<std::uint32_t>(elements ? i : i % blocks_of_a_row);
      const auto step = static_cast<std::uint32_t>(elements ? i >> 32 : steps ? row : 0);
      const addressed_words<Rounds> source(samples || steps || elements ? 1 : row, samples ? row : 0, step);
      for (const std::uint32_t word : source[block]) words.push_back(word);
      ++i;
    }
    if (std::fwrite(words.data(), sizeof(std::uint32_t), words.size(), stdout) != words.size()) return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "7") == 0) return write_words<7>(argv[2]);
  if (argc == 3 && std::strcmp(argv[1], "10") == 0) return write_words<10>(argv[2]);
  std::fputs("usage: words 7|10 elements|samples|steps|seeds\n", stderr);
  return 2;
}
