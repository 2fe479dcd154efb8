// The whole networks in tests/golden_nn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/unet.hpp"
#include "nn_golden.hpp"
#include "support/catch.hpp"

namespace golden {

/// A network of the reference with its input.
template <class T>
struct reference {
  mnist::safetensors_file file;
  mnist::unet<T> net;
  int n = 0;
  std::vector<T> t;
  std::vector<int> labels;

  explicit reference(const std::string& name) : file(read(name)), net(config(file), 1) {
    for (const auto& p : net.layout().entries()) {
      const auto& e = file.tensors.at("w/" + p.name);
      REQUIRE(std::vector<std::size_t>(p.shape.begin(), p.shape.end()) == e.shape);
      const auto source = e.template as<T>();
      std::copy(source.begin(), source.end(), net.values().begin() + static_cast<std::ptrdiff_t>(p.offset));
    }
    t = floats("t");
    n = static_cast<int>(t.size());
    if (file.tensors.count("class") == 1) {
      for (const std::int64_t label : file.tensors.at("class").template as<std::int64_t>()) {
        labels.push_back(static_cast<int>(label));
      }
    }
  }

  static mnist::unet_config config(const mnist::safetensors_file& f) {
    auto c = nlohmann::json::parse(f.metadata.at("config")).get<mnist::unet_config>();
    c.image = static_cast<int>(f.tensors.at("x").shape.back());
    return c;
  }
  std::vector<T> floats(const std::string& name) const { return file.tensors.at(name).template as<T>(); }
  std::vector<double> doubles(const std::string& name) const {
    return file.tensors.at(name).template as<double>();
  }
  const int* classes() const { return labels.empty() ? nullptr : labels.data(); }
};

inline const std::string networks[] = {"micro_unet", "micro_unet_ddpm_skips"};

}  // namespace golden
