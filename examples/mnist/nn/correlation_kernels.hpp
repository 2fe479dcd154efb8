#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <xsimd/xsimd.hpp>

#include "diffusion/kernels/pack.hpp"
#include "nn/pixel_grid.hpp"
#include "nn/tensor.hpp"

/// The inner loops of the convolutions. Both are made of tiles of sums that stay in registers: `tile`
/// scalars, each multiplied by the same row of channels.
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

/// Scalars of a tile. With rows of two registers its sums fill the 16 registers of AVX, but for the operands.
constexpr std::size_t tile = 6;
constexpr std::size_t packs = 2;
/// Channels of a row.
template <class T>
constexpr int row = static_cast<int>(packs* lanes<T>::size);

/// One sum for each of `tile` scalars and each channel of a row.
template <class T, std::size_t Packs>
using sums = std::array<std::array<typename lanes<T>::type, Packs>, tile>;

/// sum[i] += a[i][k * a_step] * (row k of b) for k < count; the rows of b are b_step apart.
template <class T, std::size_t Packs>
void add_products(const std::array<const T*, tile>& a, Index a_step, const T* b, Index b_step, Index count,
                  sums<T, Packs>& sum) {
  using pack = typename lanes<T>::type;
  for (Index k = 0; k < count; ++k) {
    std::array<pack, Packs> r;
    for (std::size_t p = 0; p < Packs; ++p) r[p] = lanes<T>::load(b + k * b_step + p * lanes<T>::size);
    for (std::size_t i = 0; i < tile; ++i) {
      const pack s(a[i][k * a_step]);
      for (std::size_t p = 0; p < Packs; ++p) sum[i][p] = multiply_add(s, r[p], sum[i][p]);
    }
  }
}

/// `tile` sums of a row of channels, all equal to `start`, which holds a whole row.
template <class T, std::size_t Packs>
sums<T, Packs> start_sums(const T* start) {
  sums<T, Packs> sum;
  for (auto& s : sum) {
    for (std::size_t p = 0; p < Packs; ++p) s[p] = lanes<T>::load(start + p * lanes<T>::size);
  }
  return sum;
}

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

  /// For the n * rows * columns pixels p of both grids.
  void run(int n, int rows, int columns) const {
    std::array<const T*, tile> from;
    std::array<T*, tile> to;
    std::size_t filled = 0;
    for (int image = 0; image < n; ++image) {
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
          from[filled] = x.at(image, i, j);
          to[filled] = y.at(image, i, j);
          if (++filled == tile) {
            run_tile(from, to);
            filled = 0;
          }
        }
      }
    }
    if (filled == 0) return;
    for (; filled < tile; ++filled) {  // the rest of the last tile computes a pixel again
      from[filled] = from[0];
      to[filled] = to[0];
    }
    run_tile(from, to);
  }

  void run_tile(const std::array<const T*, tile>& from, const std::array<T*, tile>& to) const {
    for (int o = 0; o < outs; o += row<T>) {
      if (outs - o > static_cast<int>(lanes<T>::size)) {
        run_row<packs>(from, to, o);
      } else {
        run_row<1>(from, to, o);
      }
    }
  }

  /// Channels [first, first + row) of y, for a tile of pixels.
  template <std::size_t Packs>
  void run_row(const std::array<const T*, tile>& from, const std::array<T*, tile>& to, int first) const {
    const T* weights = filter.image(first / row<T>).data();
    auto sum = start_sums<T, Packs>(weights);
    weights += row<T>;
    const Index length = Index{taps.per_line} * ins;
    for (int t = 0; t < taps.count; t += taps.per_line, weights += length * row<T>) {
      std::array<const T*, tile> a;
      for (std::size_t i = 0; i < tile; ++i) a[i] = from[i] + taps[t].offset;
      add_products<T, Packs>(a, 1, weights, row<T>, length, sum);
    }
    const int count = std::min(outs - first, row<T>);
    for (std::size_t i = 0; i < tile; ++i) store<T>(sum[i], to[i] + first, count);
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

  /// For the pixels of rows [top, bottom) of one image.
  void run(int image, int top, int bottom, int columns) const {
    T* sum = total;
    for (int o = 0; o < outs; o += row<T>) {
      std::array<const T*, tile> from;
      std::size_t filled = 0;
      const auto flush = [&] {
        for (std::size_t i = filled; i < tile; ++i) from[i] = from[0];
        if (outs - o > static_cast<int>(lanes<T>::size)) {
          run_tile<packs>(from, dy.at(image, top, 0) + o, bottom - top, columns, sum, filled);
        } else {
          run_tile<1>(from, dy.at(image, top, 0) + o, bottom - top, columns, sum, filled);
        }
        sum += static_cast<Index>(filled) * row<T>;
        filled = 0;
      };
      for (int t = 0; t < taps.count; ++t) {
        for (int i = 0; i < ins; ++i) {
          from[filled] = x.at(image, top, 0) + taps[t].offset + i;
          if (++filled == tile) flush();
        }
      }
      if (filled > 0) flush();
    }
  }

  template <std::size_t Packs>
  void run_tile(std::array<const T*, tile> from, const T* gradient, int rows, int columns, T* to,
                std::size_t filled) const {
    const std::array<T, row<T>> zero{};
    auto sum = start_sums<T, Packs>(zero.data());
    for (int i = 0; i < rows; ++i, gradient += dy.row_step) {
      add_products<T, Packs>(from, x.column_step, gradient, dy.column_step, columns, sum);
      for (const T*& f : from) f += x.row_step;
    }
    for (std::size_t i = 0; i < filled; ++i, to += row<T>) {
      for (std::size_t p = 0; p < Packs; ++p) {
        T* t = to + p * lanes<T>::size;
        lanes<T>::store(t, lanes<T>::load(t) + sum[i][p]);
      }
    }
  }
};

}  // namespace mnist::kernels
