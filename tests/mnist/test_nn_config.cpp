// The configuration of the network: its limits and its JSON form.
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "nn/config.hpp"
#include "nn_golden.hpp"
#include "support/catch.hpp"

using mnist::unet_config;
using nlohmann::json;

namespace {

/// The message with which f refuses; empty if it does not.
template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("A configuration out of range is refused with its field and value") {
  const std::pair<unet_config, std::string> bad[] = {
      {{.image = 0}, "image = 0"},
      {{.image = 30}, "image = 30, must be a multiple of 4"},
      {{.base = 2}, "base = 2"},
      {{.base = 15}, "base = 15, must be even"},
      {{.mults = {}}, "mults = []"},
      {{.mults = {1, 0}}, "mults = 0"},
      {{.mults = {1, 1, 1, 1, 1, 1, 1, 1, 1}}, "mults = [1,"},
      {{.nres = 0}, "nres = 0"},
      {{.emb = -1}, "emb = -1"},
      {{.groups = 0}, "groups = 0"},
      {{.attn = {3}}, "attn = 3, must be 0..2"},
      {{.attn = {0}, .mid_attn = false, .heads = 3}, "heads = 3, must be a divisor of 16"},
      {{.heads = 5}, "heads = 5, must be a divisor of 32"},
      {{.classes = -1}, "classes = -1"},
      {{.up = "bilinear"}, "up = \"bilinear\""},
      {{.skips = "all"}, "skips = \"all\""},
  };
  for (const auto& [config, part] : bad) {
    INFO(part);
    CHECK(contains(refusal([&] { config.validate(); }), part));
  }
  CHECK(refusal([] { unet_config{}.validate(); }).empty());
  CHECK(refusal([] { unet_config{.mid_attn = false, .heads = 5}.validate(); }).empty());
}

TEST_CASE("A configuration survives the way through JSON") {
  const unet_config config{.image = 24,
                           .base = 12,
                           .mults = {1, 3},
                           .nres = 2,
                           .emb = 20,
                           .groups = 4,
                           .attn = {1},
                           .mid_attn = false,
                           .heads = 2,
                           .classes = 7,
                           .up = "nearest",
                           .skips = "ddpm"};
  CHECK(json::parse(json(config).dump()).get<unet_config>() == config);
}

TEST_CASE("The configurations of the reference networks are understood") {
  const auto config = json::parse(golden::read("micro_unet").metadata.at("config")).get<unet_config>();
  CHECK(config ==
        unet_config{
            .base = 6, .mults = {1, 2}, .emb = 12, .groups = 3, .attn = {1}, .heads = 2, .classes = 10});
}

TEST_CASE("JSON that is no configuration is refused with its key and value") {
  const std::pair<const char*, const char*> bad[] = {
      {R"([1])", "configuration = [1]"},
      {R"({"bass": 6})", "bass = 6"},
      {R"({"base": "6"})", "base = \"6\""},
      {R"({"base": 6.5})", "base = 6.5"},
      {R"({"base": 99999999999})", "base = 99999999999"},
      {R"({"base": 18446744073709551615})", "base = 18446744073709551615"},
      {R"({"mults": 2})", "mults = 2"},
      {R"({"mults": [1, null]})", "mults = null"},
      {R"({"up": 1})", "up = 1"},
      {R"({"mid_attn": 1})", "mid_attn = 1"},
      {R"({"patch": 2})", "patch = 2, must be 1"},
      {R"({"channels": 3})", "channels = 3, must be 1"},
      {R"({"nres": 0})", "nres = 0"}};
  for (const auto& [text, part] : bad) {
    INFO(text);
    CHECK(contains(refusal([&] { static_cast<void>(json::parse(text).get<unet_config>()); }), part));
  }
}
