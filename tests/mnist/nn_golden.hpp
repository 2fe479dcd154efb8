// Access to the reference vectors in tests/golden_nn, whose README.md states the conventions.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "io/safetensors.hpp"
#include "nn/parameters.hpp"
#include "nn/tensor.hpp"
#include "support/catch.hpp"

namespace golden {

inline mnist::safetensors_file read(const std::string& name) {
  return mnist::read_safetensors(std::filesystem::path(GOLDEN_NN_DIR) / (name + ".safetensors"));
}

/// The names before the first slash: the cases of a file of single layers.
inline std::set<std::string> cases(const mnist::safetensors_file& file) {
  std::set<std::string> names;
  for (const auto& [name, entry] : file.tensors) names.insert(name.substr(0, name.find('/')));
  return names;
}

/// The number behind a letter or word in a case's name such as n2_i3_o4_heads2.
inline int number(const std::string& name, const std::string& key) {
  std::size_t at = 0;
  while (at != std::string::npos) {
    if (name.compare(at, key.size(), key) == 0 &&
        std::isdigit(static_cast<unsigned char>(name[at + key.size()]))) {
      return std::stoi(name.substr(at + key.size()));
    }
    at = name.find('_', at);
    if (at != std::string::npos) ++at;
  }
  throw std::runtime_error("no " + key + " in " + name);
}

/// Single layers agree to this relative error: the rounding of sums of at most a few hundred products of
/// numbers of order one (about 100 units of the last place), which the README of the vectors states as 1e-11
/// and 1e-5.
template <class T>
constexpr double layer_tolerance = std::is_same_v<T, double> ? 1e-11 : 1e-5;
/// Whole networks: the same through some twenty layers.
template <class T>
constexpr double network_tolerance = std::is_same_v<T, double> ? 1e-11 : 1e-4;

/// max |found - expected| / max(max |expected|, 0.01). The floor is 1 where the reference is rounding noise
/// around zero: such a gradient, as that of a bias in front of a norm with one channel a group, is a sum of
/// terms of order one that cancel, so its error has the size of their rounding.
template <class Found, class Expected>
double error(const Found& found, const Expected& expected) {
  if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
    if (!(d <= difference)) difference = d;  // keeps NaN
    size = std::max(size, std::abs(static_cast<double>(expected[i])));
  }
  return difference / (size < 1e-13 ? 1 : std::max(size, 0.01));
}

/// One case of a file: its tensors in our layout, and comparisons of ours with them.
template <class T>
class layer_case {
 public:
  layer_case(const mnist::safetensors_file& file, std::string name) : file_(file), prefix_(std::move(name)) {}

  std::vector<double> values(const std::string& name) const { return entry(name).template as<double>(); }

  /// [n, c] or [n, c, h, w] as n x h x w x channels.
  mnist::tensor<T> tensor(mnist::buffer_pool<T>& pool, const std::string& name) const {
    const auto& e = entry(name);
    const auto extent = [&](std::size_t i) { return i < e.shape.size() ? static_cast<int>(e.shape[i]) : 1; };
    mnist::tensor<T> x(pool, extent(0), extent(2), extent(3), extent(1));
    const std::vector<double> source = values(name);
    std::size_t next = 0;
    for (int image = 0; image < x.n; ++image) {
      for (int c = 0; c < x.channels; ++c) {
        for (mnist::Index i = 0; i < x.area(); ++i) x.image(image)(i, c) = static_cast<T>(source[next++]);
      }
    }
    return x;
  }

  /// The parameters of a layer that was constructed with `layout` under the name "layer".
  std::vector<T> parameters(const mnist::parameter_layout& layout) const {
    std::vector<T> result;
    for (const auto& p : layout.entries()) {
      const auto& e = entry(local(p));
      REQUIRE(std::vector<std::size_t>(p.shape.begin(), p.shape.end()) == e.shape);
      for (const double value : values(local(p))) result.push_back(static_cast<T>(value));
    }
    return result;
  }

  void check(const mnist::tensor<T>& found, const std::string& name, double tolerance) const {
    std::vector<T> planes;
    for (int image = 0; image < found.n; ++image) {
      for (int c = 0; c < found.channels; ++c) {
        for (mnist::Index i = 0; i < found.area(); ++i) planes.push_back(found.image(image)(i, c));
      }
    }
    INFO(prefix_ << "/" << name);
    CHECK(error(planes, values(name)) <= tolerance);
  }

  /// Compares the gradients of the parameters.
  void check(const mnist::parameter_layout& layout, std::span<const T> grads, double tolerance) const {
    for (const auto& p : layout.entries()) {
      INFO(prefix_ << "/grad_" << local(p));
      CHECK(error(grads.subspan(p.offset, p.size), values("grad_" + local(p))) <= tolerance);
    }
  }

 private:
  /// "layer.norm.weight" is called "norm.weight" in the file.
  static std::string local(const mnist::parameter_info& p) { return p.name.substr(p.name.find('.') + 1); }
  const mnist::tensor_entry& entry(const std::string& name) const {
    return file_.tensors.at(prefix_ + "/" + name);
  }

  const mnist::safetensors_file& file_;
  std::string prefix_;
};

}  // namespace golden
