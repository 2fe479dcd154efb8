#pragma once

#include <Eigen/Core>
#include <span>

namespace diffusion {

/// The contiguous elements of a dense Eigen object, in its storage order. std::span(Eigen::VectorXf) does not
/// compile.
template <class Derived>
[[nodiscard]] auto as_span(Eigen::PlainObjectBase<Derived>& dense) noexcept {
  return std::span(dense.data(), static_cast<std::size_t>(dense.size()));
}
template <class Derived>
[[nodiscard]] auto as_span(const Eigen::PlainObjectBase<Derived>& dense) noexcept {
  return std::span(dense.data(), static_cast<std::size_t>(dense.size()));
}

}  // namespace diffusion
