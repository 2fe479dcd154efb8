#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "diffusion/detail/error.hpp"
#include "diffusion/float16.hpp"

namespace diffusion {

/// What kernels compute in. Levels and coefficients are always double.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

/// Element types of arrays. The 16-bit ones are storage: kernels compute on them in float.
template <class T>
concept Element = Scalar<T> || std::same_as<T, float16> || std::same_as<T, bfloat16>;

/// What kernels compute in on arrays of T.
template <Element T>
using arithmetic = std::conditional_t<Scalar<T>, T, float>;

/// A batch: `count` samples of equal size, contiguous, one row each. Refers to memory of the caller.
template <class T>
requires Element<std::remove_const_t<T>>
class rows {
 public:
  /// Throws unless count ≥ 1 divides a size ≥ 1.
  rows(std::span<T> data, std::size_t count) : data_(data), count_(count) {
    if (data.empty()) detail::invalid("size of rows", data.size(), "at least 1");
    if (count == 0 || data.size() % count != 0)
      detail::invalid("count of rows", count, detail::text("a divisor of the size ", data.size()));
  }

  operator rows<const T>() const noexcept requires(!std::is_const_v<T>) {
    return {std::span<const T>(data_), count_};
  }

  [[nodiscard]] std::span<T> data() const noexcept { return data_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t row_size() const noexcept { return data_.size() / count_; }
  [[nodiscard]] std::span<T> operator[](std::size_t i) const noexcept {
    return data_.subspan(i * row_size(), row_size());
  }

 private:
  std::span<T> data_;
  std::size_t count_;
};

template <class T>
rows(std::span<T>, std::size_t) -> rows<T>;

namespace detail {

/// A stored element as the double that sums are made of.
template <Element T>
[[nodiscard]] double widened(T value) noexcept {
  return static_cast<double>(static_cast<arithmetic<T>>(value));
}

/// Throws unless both have the same number of rows and `columns` values in each row of `values`.
template <class T, class U>
void require_rows(std::string_view symbol, const rows<T>& values, const rows<U>& like, std::size_t columns) {
  if (values.count() != like.count())
    invalid(text("number of rows of ", symbol), values.count(), text(like.count()));
  if (values.row_size() != columns)
    invalid(text("size of a row of ", symbol), values.row_size(), text(columns));
}

}  // namespace detail
}  // namespace diffusion
