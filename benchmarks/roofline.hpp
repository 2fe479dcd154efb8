#pragma once

#include <cstdint>
#include <utility>

#include "support.hpp"

namespace bench {

/// Which of the arrays a roofline reads, and which it writes.
template <std::size_t... i>
using streams = std::index_sequence<i...>;

/// Words of memory at once: combined in full registers and stored as usual.
struct cached_words {
  using batch = xsimd::batch<std::uint32_t>;
  static void store(std::uint32_t* words, const batch& value) { value.store_aligned(words); }
};

#if XSIMD_WITH_SSE2
/// Stored past the caches: faster for arrays that are written only and do not fit into them.
struct streamed_words {
  using batch = xsimd::batch<std::uint32_t, xsimd::sse2>;
  static void store(std::uint32_t* words, const batch& value) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(words), value);
  }
};
#endif

/// Reads and writes streams of words with nothing but an exclusive or of what is read. Four registers at a
/// time: measured faster than one, and than the loop that g++ -O3 makes. Less than a register is left out at
/// the end.
template <class Words, std::size_t... in, std::size_t... out>
void stream(std::array<std::uint32_t*, 4> words, streams<in...>, streams<out...>, std::size_t begin,
            std::size_t end) {
  using batch = typename Words::batch;
  const auto load = [&](std::size_t i) {
    return (batch(std::uint32_t{0}) ^ ... ^ batch::load_aligned(words[in] + i));
  };
  const auto store = [&](const batch& value, std::size_t i) { (Words::store(words[out] + i, value), ...); };
  constexpr std::size_t width = batch::size;
  std::size_t i = begin;
  for (; i + 4 * width <= end; i += 4 * width) {
    const batch a = load(i), b = load(i + width), c = load(i + 2 * width), d = load(i + 3 * width);
    store(a, i);
    store(b, i + width);
    store(c, i + 2 * width);
    store(d, i + 3 * width);
  }
  for (; i + width <= end; i += width) store(load(i), i);
}

template <class Words, class In, class Out>
bool add_stream(const std::string& name, In in, Out out) {
  return add_all(name, [=]<class T>(arrays<T> typed) {
    // Not the memory of the other cases: words combined so make any number, also NaN.
    const arrays<std::uint32_t> raw{typed.size * sizeof(T) / sizeof(std::uint32_t)};
    const std::array<std::uint32_t*, 4> words{raw[0].data(), raw[1].data(), raw[2].data(), raw[3].data()};
    return [=](const auto& executor) {
      diffusion::detail::for_each_block(executor, 1, raw.size,
                                        [&](std::size_t, std::size_t begin, std::size_t end) {
                                          stream<Words>(words, in, out, begin, end);
                                        });
    };
  });
}

/// The roofline of a group: the same streams, read and written by the best loop, nothing else. Where arrays
/// are written only, also with stores past the caches.
template <std::size_t... in, std::size_t... out>
bool add_roofline(const std::string& group, streams<in...> read, streams<out...> written) {
  add_stream<cached_words>(group + "/roofline", read, written);
#if XSIMD_WITH_SSE2
  const auto is_read = [](std::size_t i) { return ((i == in) || ...); };
  if (!(is_read(out) && ...))
    add_stream<streamed_words>(group + "/roofline, stores past the caches", read, written);
#endif
  return true;
}

}  // namespace bench
