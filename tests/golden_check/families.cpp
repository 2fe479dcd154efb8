#include "families.hpp"

namespace golden {

precision read_header(const record& file) {
  file.inform({"family", "name", "kind", "peer", "tables_peer", "peer_class", "peer_function"});
  const std::string type = file.text("dtype");
  if (type == "f64") return precision::f64;
  if (type == "f32") return precision::f32;
  throw unsupported("dtype \"" + type + '"');
}

shape read_shape(const record& file) {
  constexpr int max_size = 1 << 24;
  std::size_t size = 1;
  const std::vector<int> extents = file.integers("shape", 1, max_size);
  for (const int extent : extents) {
    size *= static_cast<std::size_t>(extent);
    if (size > max_size) file.fail("shape", "more than " + std::to_string(max_size) + " elements");
  }
  if (extents.size() < 2) file.fail("shape", "expected a batch and at least one extent of a sample");
  const auto count = static_cast<std::size_t>(extents.front());
  return {count, size / count};
}

}  // namespace golden
