#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mnist {

/// Shape of the U-Net. Level i has `base * mults[i]` channels at the resolution `image / 2^i`.
struct unet_config {
  int image = 28;  ///< edge of the square images in pixels; divisible by 2^(levels - 1)
  int base = 16;   ///< channels of the first convolution; even, the time embedding is sin and cos
  std::vector<int> mults{1, 2, 2};  ///< width of each level in units of `base`
  int nres = 1;                     ///< residual blocks of each level on the way down
  int emb = 0;                      ///< length of the embedding of time and class; 0 means 4 * base
  int groups = 8;                   ///< a normalisation of c channels has gcd(groups, c) groups
  std::vector<int> attn{};          ///< levels whose residual blocks are followed by attention
  bool mid_attn = true;             ///< attention in the middle
  int heads = 1;                    ///< attention heads
  int classes = 0;            ///< number of classes; 0: unconditional. Label `classes` is the null class
  std::string up = "convt";   ///< "convt": transposed convolution, "nearest": repeat pixels, then convolve
  std::string skips = "res";  ///< "res": skips from residual blocks, "ddpm": from every layer of the way down

  [[nodiscard]] int levels() const { return static_cast<int>(mults.size()); }
  [[nodiscard]] int width(int level) const { return base * mults[static_cast<std::size_t>(level)]; }
  [[nodiscard]] int embedding() const { return emb == 0 ? 4 * base : emb; }
  [[nodiscard]] bool has_attention(int level) const {
    return std::find(attn.begin(), attn.end(), level) != attn.end();
  }

  /// Throws std::invalid_argument that names the first field out of range, its value and the range.
  void validate() const {
    const auto require = [](bool good, const std::string& field, const auto& value,
                            const std::string& allowed) {
      if (!good) {
        throw std::invalid_argument("unet_config: " + field + " = " + nlohmann::json(value).dump() +
                                    ", must be " + allowed);
      }
    };
    const auto within = [&](const std::string& field, int value, int low, int high) {
      require(value >= low && value <= high, field, value, std::to_string(low) + ".." + std::to_string(high));
    };
    within("base", base, 4, 1024);
    require(base % 2 == 0, "base", base, "even");
    require(!mults.empty() && mults.size() <= 8, "mults", mults, "a list of 1..8 widths");
    for (const int m : mults) within("mults", m, 1, 64);
    within("image", image, 1, 1024);
    require(image % (1 << (levels() - 1)) == 0, "image", image,
            "a multiple of " + std::to_string(1 << (levels() - 1)) + " for " + std::to_string(levels()) +
                " levels");
    within("nres", nres, 1, 16);
    within("emb", emb, 0, 65536);
    within("groups", groups, 1, 65536);
    within("classes", classes, 0, 65536);
    within("heads", heads, 1, 65536);
    for (const int level : attn) {
      within("attn", level, 0, levels() - 1);
      require(width(level) % heads == 0, "heads", heads,
              "a divisor of " + std::to_string(width(level)) + " channels");
    }
    require(!mid_attn || width(levels() - 1) % heads == 0, "heads", heads,
            "a divisor of " + std::to_string(width(levels() - 1)) + " channels");
    require(up == "convt" || up == "nearest", "up", up, "\"convt\" or \"nearest\"");
    require(skips == "res" || skips == "ddpm", "skips", skips, "\"res\" or \"ddpm\"");
  }

  bool operator==(const unet_config&) const = default;
};

/// Writes every field, with `emb` as the length in use, and the constants `channels` and `patch` (both 1).
inline void to_json(nlohmann::json& j, const unet_config& c) {
  j = {{"image", c.image}, {"base", c.base},   {"mults", c.mults},       {"nres", c.nres},
       {"attn", c.attn},   {"heads", c.heads}, {"groups", c.groups},     {"classes", c.classes},
       {"up", c.up},       {"skips", c.skips}, {"mid_attn", c.mid_attn}, {"emb", c.embedding()},
       {"channels", 1},    {"patch", 1}};
}

/// Reads what to_json writes. A field that is absent keeps its default; `channels` and `patch` must be 1;
/// `params`, a note on the number of parameters, is allowed and not used. Throws std::invalid_argument for
/// anything else.
inline void from_json(const nlohmann::json& j, unet_config& c) {
  const auto fail = [](const std::string& key, const nlohmann::json& value, const std::string& allowed) {
    throw std::invalid_argument("unet_config: " + key + " = " + value.dump() + ", must be " + allowed);
  };
  if (!j.is_object()) fail("configuration", j, "a JSON object");
  const auto integer = [&](const std::string& key, const nlohmann::json& value) {
    const bool fits = value.is_number_unsigned()
                          ? std::in_range<int>(value.get<std::uint64_t>())
                          : value.is_number_integer() && std::in_range<int>(value.get<std::int64_t>());
    if (!fits) fail(key, value, "an integer of 32 bits");
    return value.get<int>();
  };
  const auto integers = [&](const std::string& key, const nlohmann::json& value) {
    if (!value.is_array()) fail(key, value, "a list of integers");
    std::vector<int> result;
    for (const nlohmann::json& element : value) result.push_back(integer(key, element));
    return result;
  };
  const auto text = [&](const std::string& key, const nlohmann::json& value) {
    if (!value.is_string()) fail(key, value, "a string");
    return value.get<std::string>();
  };
  unet_config r;
  for (const auto& [key, value] : j.items()) {
    if (key == "image")
      r.image = integer(key, value);
    else if (key == "base")
      r.base = integer(key, value);
    else if (key == "mults")
      r.mults = integers(key, value);
    else if (key == "nres")
      r.nres = integer(key, value);
    else if (key == "emb")
      r.emb = integer(key, value);
    else if (key == "groups")
      r.groups = integer(key, value);
    else if (key == "attn")
      r.attn = integers(key, value);
    else if (key == "heads")
      r.heads = integer(key, value);
    else if (key == "classes")
      r.classes = integer(key, value);
    else if (key == "up")
      r.up = text(key, value);
    else if (key == "skips")
      r.skips = text(key, value);
    else if (key == "mid_attn") {
      if (!value.is_boolean()) fail(key, value, "true or false");
      r.mid_attn = value.get<bool>();
    } else if (key == "channels" || key == "patch") {
      if (integer(key, value) != 1) fail(key, value, "1");
    } else if (key != "params") {
      fail(key, value, "absent: there is no such field");
    }
  }
  r.validate();
  c = std::move(r);
}

}  // namespace mnist
