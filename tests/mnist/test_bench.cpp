#include <string>

#include "nn/multiply_adds.hpp"
#include "nn/network.hpp"
#include "program_runs.hpp"
#include "support/catch.hpp"

namespace {

double cost(const mnist::unet_config& config) {
  mnist::parameter_layout layout;
  (void)mnist::network(config, layout);
  return mnist::multiply_adds(config, layout);
}

}  // namespace

TEST_CASE("the multiply-adds of a network are those of its layers", "[mnist][bench]") {
  // One level of 4 channels at 4 x 4 pixels, embedding 8: stem and out 2 * 9 * 4, blocks down and in the
  // middle 3 * (2 * 9 * 4 * 4), block up (8 channels in) 9 * 8 * 4 + 9 * 4 * 4 + skip 8 * 4, attention qkv,
  // proj 4 * 4 * 4; once: time 4 * 8 + 8 * 8, four shifts 8 * 4.
  const mnist::unet_config one{.image = 4, .base = 4, .mults = {1}, .emb = 8, .groups = 2};
  const double attention = 2 * 16 * 16 * 4;
  CHECK(cost(one) == 16 * (72 + 3 * 288 + 288 + 144 + 32 + 64) + attention + 96 + 4 * 32);

  // A second level adds convolutions that end at 2 x 2 pixels, 3 x 3 down and 4 x 4 up, besides its blocks.
  mnist::unet_config two = one;
  two.mults = {1, 1};
  two.mid_attn = false;
  mnist::unet_config flat = two;
  flat.mults = {1};
  const double blocks = 4 * (3 * 288 + 288 + 144 + 32) - 16 * 2 * 288 + 2 * 32;  // the middle moves down
  CHECK(cost(two) - cost(flat) == blocks + 4 * 144 + 4 * 256);
  two.up = "nearest";
  CHECK(cost(two) - cost(flat) == blocks + 4 * 144 + 16 * 144);
}

TEST_CASE("bench measures what was asked for", "[mnist][program][bench]") {
  const program_runs::workshop shop;
  const auto done = program_runs::run({"bench", "--network", "tiny", "--threads", "2,1", "--batch", "8",
                                       "--seconds", "0.01", "--data", shop.data});
  INFO(done.out << done.err);
  REQUIRE(done.status == 0);
  for (const auto* part :
       {"matrix product, 2 threads: ", "matrix product, 1 thread: ", "tiny         2  training ",
        "tiny         1  one image ", "tiny         1  64 images ", "29.8 M multiply-adds"})
    CHECK(contains(done.out, part));
  CHECK(!contains(done.out, "small"));

  const auto wrong = program_runs::run({"bench", "--network", "huge", "--data", shop.data});
  CHECK(wrong.status == 2);
  CHECK(wrong.err == "mnist: network = \"huge\", must be one of tiny, small\n");
}
