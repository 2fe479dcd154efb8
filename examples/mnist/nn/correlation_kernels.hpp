#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "diffusion/kernels/pack.hpp"
#include "nn/pixel_grid.hpp"
#include "nn/tensor.hpp"

/// The inner loops of the convolutions. Both are made of tiles of sums that stay in registers: some scalars,
/// each multiplied by the same row of channels.
namespace mnist::kernels {

template <class T>
using lanes = diffusion::detail::pack_of<T, diffusion::default_arch>;

template <class Pack>
Pack multiply_add(const Pack& a, const Pack& b, const Pack& c) {
  if constexpr (std::floating_point<Pack>) {
    return a * b + c;
  } else {
    return xsimd::fma(a, b, c);
  }
}

/// SIMD registers of a row: with eight scalars as many sums as the 16 or 32 registers hold with the operands.
constexpr std::size_t packs = lanes<float>::size < 16 ? 1 : 2;
/// Channels of a row.
template <class T>
constexpr int row = static_cast<int>(packs* lanes<T>::size);

/// f(0), f(1), ... f(Count - 1), as constants: indices into arrays of registers must be known to the
/// compiler.
template <std::size_t Count, class F>
void unrolled(F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (f(std::integral_constant<std::size_t, I>{}), ...); }
  (std::make_index_sequence<Count>{});
}

/// One sum for each of `Scalars` scalars and each channel of a row.
template <class T, std::size_t Scalars, std::size_t Packs>
struct sums {
  using pack = typename lanes<T>::type;
  std::array<std::array<pack, Packs>, Scalars> of;

  /// All equal to `start`, which holds a whole row, or to zero where it is null.
  explicit sums(const T* start) {
    unrolled<Packs>([&](auto p) {
      const pack first = start ? lanes<T>::load(start + p * lanes<T>::size) : pack(T(0));
      unrolled<Scalars>([&](auto i) { of[i][p] = first; });
    });
  }

  /// Adds the products of scalars[i * step] and the row at `from`.
  void add(const T* scalars, Index step, const T* from) {
    std::array<pack, Packs> r;
    unrolled<Packs>([&](auto p) { r[p] = lanes<T>::load(from + p * lanes<T>::size); });
    unrolled<Scalars>([&](auto i) {
      const pack s(scalars[static_cast<Index>(i()) * step]);
      unrolled<Packs>([&](auto p) { of[i][p] = multiply_add(s, r[p], of[i][p]); });
    });
  }
};

/// Copies the first `count` channels of a row of sums.
template <class T, std::size_t Packs>
void store(const std::array<typename lanes<T>::type, Packs>& sum, T* to, int count) {
  if (count >= static_cast<int>(Packs * lanes<T>::size)) {
    for (std::size_t p = 0; p < Packs; ++p) lanes<T>::store(to + p * lanes<T>::size, sum[p]);
  } else {
    std::array<T, Packs * lanes<T>::size> whole;
    store<T>(sum, whole.data(), static_cast<int>(whole.size()));
    std::copy_n(whole.data(), count, to);
  }
}

/// An element of the filter, and where the pixel that it multiplies lies relative to the first of the window.
struct tap {
  int element;
  Index offset;
};

/// Taps in the order of their offsets: lines of `per_line` taps for pixels side by side.
struct tap_list {
  std::array<tap, 16> items;
  int count = 0, per_line = 0;

  void add(int element, Index offset) { items[static_cast<std::size_t>(count++)] = {element, offset}; }
  [[nodiscard]] const tap& operator[](int i) const { return items[static_cast<std::size_t>(i)]; }
};

/// A filter in the order of use, [outs / row][1 + taps * ins][row]: bias (zero where null), then the element
/// for channels (i, o), filter[i * in_step + o * out_step + tap.element]; filled up with zeros.
template <class T>
tensor<T> arrange(buffer_pool<T>& pool, const T* filter, const T* bias, const tap_list& taps, int ins,
                  Index in_step, int outs, Index out_step) {
  const int blocks = (outs + row<T> - 1) / row<T>;
  tensor<T> result(pool, blocks, 1, 1 + taps.count * ins, row<T>);
  T* to = result.data();
  for (int first = 0; first < outs; first += row<T>) {
    const int count = std::min(outs - first, row<T>);
    const auto fill = [&](const T* from, Index step) {
      for (int o = 0; o < row<T>; ++o) to[o] = from && o < count ? from[(first + o) * step] : T(0);
      to += row<T>;
    };
    fill(bias, 1);
    for (int t = 0; t < taps.count; ++t) {
      for (int i = 0; i < ins; ++i) fill(filter + i * in_step + taps[t].element, out_step);
    }
  }
  return result;
}

/// y[p][o] = bias[o] + sum over taps t and channels i of filter[t, i, o] * x[p][taps[t].offset + i].
template <class T>
struct correlation {
  pixel_grid<const T> x;
  int ins;
  const tap_list& taps;
  const tensor<T>& filter;  ///< arranged
  pixel_grid<T> y;
  int outs;

  /// Pixels of a tile, side by side: the images of this program are 28, 14 and 7 pixels wide.
  static constexpr int tile = 7;

  /// For the n * rows * columns pixels p of both grids.
  void run(int n, int rows, int columns) const {
    for (int image = 0; image < n; ++image) {
      for (int i = 0; i < rows; ++i) {
        const T* const from = x.at(image, i, 0);
        T* const to = y.at(image, i, 0);
        const auto at = [&](auto width, int j) {
          run_tile<width()>(from + j * x.column_step, to + j * y.column_step);
        };
        int j = 0;
        for (; j + tile <= columns; j += tile) at(std::integral_constant<int, tile>{}, j);
        if (j < columns && columns > tile) {
          at(std::integral_constant<int, tile>{}, columns - tile);  // computes some pixels again
        } else {
          for (; j < columns; ++j) at(std::integral_constant<int, 1>{}, j);
        }
      }
    }
  }

  template <std::size_t Pixels>
  void run_tile(const T* from, T* to) const {
    for (int o = 0; o < outs; o += row<T>) {
      if (outs - o > static_cast<int>(lanes<T>::size)) {
        run_row<Pixels, packs>(from, to, o);
      } else {
        run_row<Pixels, 1>(from, to, o);
      }
    }
  }

  /// Channels [first, first + row) of y, for a tile of pixels.
  template <std::size_t Pixels, std::size_t Packs>
  void run_row(const T* from, T* to, int first) const {
    const T* weights = filter.image(first / row<T>).data();
    sums<T, Pixels, Packs> sum(weights);
    weights += row<T>;
    const Index length = Index{taps.per_line} * ins;
    for (int t = 0; t < taps.count; t += taps.per_line) {
      const T* const line = from + taps[t].offset;
      for (Index k = 0; k < length; ++k, weights += row<T>) sum.add(line + k, x.column_step, weights);
    }
    const int count = std::min(outs - first, row<T>);
    unrolled<Pixels>(
        [&](auto i) { store<T>(sum.of[i], to + static_cast<Index>(i()) * y.column_step + first, count); });
  }
};

/// total[o / row, t, i, o % row] += sum over pixels p of x[p][taps[t].offset + i] * dy[p][o].
template <class T>
struct filter_correlation {
  pixel_grid<const T> x;
  int ins;
  const tap_list& taps;
  pixel_grid<const T> dy;
  int outs;
  T* total;

  /// Input channels of a tile.
  static constexpr int tile = 8;

  /// For the pixels of rows [top, bottom) of one image.
  void run(int image, int top, int bottom, int columns) const {
    const pixels all{x.at(image, top, 0), dy.at(image, top, 0), bottom - top, columns};
    T* sum = total;
    for (int o = 0; o < outs; o += row<T>) {
      for (int t = 0; t < taps.count; ++t) {
        for (int i = 0; i < ins;) {
          const pixels part{all.x + taps[t].offset + i, all.dy + o, all.rows, all.columns};
          const int count = i + tile <= ins ? tile : 1;
          if (outs - o > static_cast<int>(lanes<T>::size)) {
            count == tile ? run_tile<tile, packs>(part, sum) : run_tile<1, packs>(part, sum);
          } else {
            count == tile ? run_tile<tile, 1>(part, sum) : run_tile<1, 1>(part, sum);
          }
          sum += count * row<T>;
          i += count;
        }
      }
    }
  }

  struct pixels {
    const T *x, *dy;
    int rows, columns;
  };

  template <std::size_t Channels, std::size_t Packs>
  void run_tile(const pixels& part, T* to) const {
    sums<T, Channels, Packs> sum(nullptr);
    for (int i = 0; i < part.rows; ++i) {
      const T *from = part.x + i * x.row_step, *gradient = part.dy + i * dy.row_step;
      for (int j = 0; j < part.columns; ++j, from += x.column_step, gradient += dy.column_step)
        sum.add(from, 1, gradient);
    }
    unrolled<Channels>([&](auto i) {
      unrolled<Packs>([&](auto p) {
        T* const t = to + i * static_cast<std::size_t>(row<T>) + p * lanes<T>::size;
        lanes<T>::store(t, lanes<T>::load(t) + sum.of[i][p]);
      });
    });
  }
};

}  // namespace mnist::kernels
