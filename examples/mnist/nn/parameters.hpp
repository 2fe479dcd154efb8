#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mnist {

/// How a parameter starts: all equal to `scale`, uniform in [-scale, scale), or normal with deviation
/// `scale`.
struct initial_value {
  enum kind { constant, uniform, normal } distribution = constant;
  double scale = 0;
};

/// Name, shape and place of one parameter in the flat vector of all of them.
struct parameter_info {
  std::string name;
  std::vector<int> shape;
  std::size_t offset = 0, size = 0;
  initial_value initial;
};

/// Order of the parameters in flat vectors. Values, gradients, moments and averages all share it, so an
/// optimiser is one loop over plain memory.
class parameter_layout {
 public:
  /// Appends a parameter and returns its offset.
  std::size_t add(std::string name, std::vector<int> shape, initial_value initial) {
    const std::size_t offset = size_;
    std::size_t size = 1;
    for (const int extent : shape) size *= static_cast<std::size_t>(extent);
    size_ += size;
    entries_.push_back({std::move(name), std::move(shape), offset, size, initial});
    return offset;
  }

  [[nodiscard]] const std::vector<parameter_info>& entries() const { return entries_; }
  /// Number of scalars of all parameters.
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::vector<parameter_info> entries_;
  std::size_t size_ = 0;
};

/// Fills `values` as the layout prescribes. Only the raw output of the engine is used, since the
/// distributions of the standard library differ between implementations.
template <class T>
void initialize(const parameter_layout& layout, std::uint64_t seed, std::span<T> values) {
  std::mt19937_64 engine(seed);
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };  // [0, 1)
  const auto normal = [&] {
    const double radius = std::sqrt(-2 * std::log1p(-uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  };
  for (const parameter_info& p : layout.entries()) {
    for (T& value : values.subspan(p.offset, p.size)) {
      double draw = 1;
      if (p.initial.distribution == initial_value::uniform) draw = 2 * uniform() - 1;
      if (p.initial.distribution == initial_value::normal) draw = normal();
      value = static_cast<T>(p.initial.scale * draw);
    }
  }
}

}  // namespace mnist
