// Outputs and gradients of every layer against reference vectors.
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/activation.hpp"
#include "nn/attention.hpp"
#include "nn/convolution.hpp"
#include "nn/embedding.hpp"
#include "nn/group_norm.hpp"
#include "nn/linear.hpp"
#include "nn/res_block.hpp"
#include "nn/resample.hpp"
#include "nn_golden.hpp"
#include "support/catch.hpp"

using golden::number;
using mnist::buffer_pool;
using mnist::parameter_layout;
using mnist::tensor;

namespace {

/// What a test of one case needs.
template <class T>
struct fixture {
  golden::layer_case<T> file;
  buffer_pool<T> pool;
  parameter_layout layout;
  std::vector<T> values, grads;

  fixture(const mnist::safetensors_file& f, const std::string& name) : file(f, name) {}
  /// Reads the parameters, after the layers were constructed with `layout`.
  void load() {
    values = file.parameters(layout);
    grads.assign(layout.size(), T(0));
  }
  tensor<T> read(const std::string& name) { return file.tensor(pool, name); }
  tensor<T> zeros(const tensor<T>& x) {
    tensor<T> y = like(x);
    y.array().setZero();
    return y;
  }
  void check(const tensor<T>& found, const std::string& name, double tolerance = golden::layer_tolerance<T>) {
    file.check(found, name, tolerance);
  }
  void check_grads(double tolerance = golden::layer_tolerance<T>) { file.check(layout, grads, tolerance); }
};

/// Checks a layer without activations to keep in every case of a file. make(layout, case name) constructs it.
template <class T, class Make>
void check_layer(const std::string& file_name, Make make) {
  const auto file = golden::read(file_name);
  for (const std::string& name : golden::cases(file)) {
    fixture<T> f(file, name);
    const auto layer = make(f.layout, name);
    f.load();
    const tensor<T> x = f.read("x");
    f.check(layer.forward(f.values.data(), x), "y");
    f.check(layer.backward(f.values.data(), x, f.read("grad_y"), f.grads.data()), "grad_x");
    f.check_grads();
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A linear layer agrees with the reference", "", float, double) {
  check_layer<TestType>("linear", [](parameter_layout& layout, const std::string& name) {
    return mnist::linear(layout, "layer", number(name, "i"), number(name, "o"), false);
  });
}

TEMPLATE_TEST_CASE("A 1x1 convolution agrees with the reference", "", float, double) {
  check_layer<TestType>("conv1x1", [](parameter_layout& layout, const std::string& name) {
    return mnist::linear(layout, "layer", number(name, "i"), number(name, "o"), true);
  });
}

TEMPLATE_TEST_CASE("A 3x3 convolution agrees with the reference", "", float, double) {
  check_layer<TestType>("conv3x3", [](parameter_layout& layout, const std::string& name) {
    return mnist::conv2d(layout, "layer", number(name, "i"), number(name, "o"));
  });
}

TEMPLATE_TEST_CASE("A strided convolution agrees with the reference", "", float, double) {
  check_layer<TestType>("conv3x3_stride2", [](parameter_layout& layout, const std::string& name) {
    return mnist::conv2d(layout, "layer", number(name, "i"), number(name, "o"), {3, 2, 1});
  });
}

TEMPLATE_TEST_CASE("A transposed convolution agrees with the reference", "", float, double) {
  check_layer<TestType>("conv_transpose4x4_stride2", [](parameter_layout& layout, const std::string& name) {
    return mnist::conv_transpose2d(layout, "layer", number(name, "i"), number(name, "o"));
  });
}

TEMPLATE_TEST_CASE("Nearest-neighbour upsampling agrees with the reference", "", float, double) {
  const auto file = golden::read("upsample_nearest2x");
  fixture<TestType> f(file, "n2_c3_h3_w4");
  f.check(upsample_nearest(f.read("x")), "y");
  f.check(upsample_nearest_backward(f.read("grad_y")), "grad_x");
}

TEMPLATE_TEST_CASE("Group normalisation agrees with the reference", "", float, double) {
  const auto file = golden::read("group_norm");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    // The mean of this input is far larger than its deviation, so a float has lost two digits before it
    // starts.
    const bool cancels = name.rfind("small_variance", 0) == 0;
    const double tolerance =
        cancels && std::is_same_v<TestType, float> ? 1e-4 : golden::layer_tolerance<TestType>;
    tensor<TestType> x = f.read("x"), stats;
    const mnist::group_norm norm(f.layout, "layer", x.channels, number(name, "g"), mnist::activation::none);
    f.load();
    f.check(norm.forward(f.values.data(), x, stats), "y", tolerance);
    f.check(norm.backward(f.values.data(), x, stats, f.read("grad_y"), f.grads.data()), "grad_x", tolerance);
    f.check_grads(tolerance);
  }
}

TEMPLATE_TEST_CASE("SiLU agrees with the reference", "", float, double) {
  const auto file = golden::read("silu");
  fixture<TestType> f(file, "n64");
  const auto values = f.file.values("x"), dy = f.file.values("grad_y");
  tensor<TestType> x(f.pool, 1, 1, 1, 64), g = like(x);
  for (int i = 0; i < 64; ++i) {
    x.array()[i] = static_cast<TestType>(values[static_cast<std::size_t>(i)]);
    g.array()[i] = static_cast<TestType>(dy[static_cast<std::size_t>(i)]);
  }
  f.check(silu(x), "y");
  f.check(silu_backward(x, g), "grad_x");
}

TEMPLATE_TEST_CASE("A group norm fused with SiLU equals the two in a row", "", float, double) {
  const auto file = golden::read("group_norm");
  fixture<TestType> f(file, "n2_c8_h4_w3_g4");
  const tensor<TestType> x = f.read("x"), dy = f.read("grad_y");
  const mnist::group_norm plain(f.layout, "layer", x.channels, 4, mnist::activation::none);
  f.load();
  mnist::group_norm fused = plain;
  fused.then = mnist::activation::silu;
  tensor<TestType> stats;
  const auto close = [&](const auto& found, const auto& expected) {
    CHECK(golden::error(std::span(found.data(), static_cast<std::size_t>(found.size())),
                        std::span(expected.data(), static_cast<std::size_t>(expected.size()))) <=
          golden::layer_tolerance<TestType>);
  };
  const tensor<TestType> z = plain.forward(f.values.data(), x, stats);
  close(fused.forward(f.values.data(), x, stats), silu(z));
  std::vector<TestType> grads(f.grads.size());
  close(fused.backward(f.values.data(), x, stats, dy, grads.data()),
        plain.backward(f.values.data(), x, stats, silu_backward(z, dy), f.grads.data()));
  close(grads, f.grads);
}

TEMPLATE_TEST_CASE("Attention agrees with the reference", "", float, double) {
  const auto file = golden::read("attention");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    const int heads = number(name, "heads"), c = number(name, "c");
    if (name.rfind("core", 0) == 0) {
      const tensor<TestType> qkv = concatenate(concatenate(f.read("q"), f.read("k")), f.read("v"));
      tensor<TestType> weights;
      f.check(attend(qkv, heads, weights), "y");
      const tensor<TestType> d = attend_backward(qkv, heads, weights, f.read("grad_y"));
      f.check(channel_range(d, 0, c), "grad_q");
      f.check(channel_range(d, c, c), "grad_k");
      f.check(channel_range(d, 2 * c, c), "grad_v");
    } else {
      const mnist::attention_block block(f.layout, "layer", c, number(name, "g"), heads);
      f.load();
      mnist::attention_cache<TestType> cache;
      f.check(block.forward(f.values.data(), f.read("x"), cache), "y");
      f.check(block.backward(f.values.data(), cache, f.read("grad_y"), f.grads.data()), "grad_x");
      f.check_grads();
    }
  }
}

TEMPLATE_TEST_CASE("Attention to logits far apart stays finite", "", float, double) {
  buffer_pool<TestType> pool;
  tensor<TestType> qkv(pool, 1, 1, 2, 3), weights;
  qkv.array() << 100, 100, 1, -100, -100, 2;
  CHECK(attend(qkv, 1, weights).array()[0] == TestType(1));
  CHECK(attend(qkv, 1, weights).array()[1] == TestType(2));
}

TEMPLATE_TEST_CASE("The time embedding agrees with the reference", "", float, double) {
  const auto file = golden::read("timestep_embedding");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    std::vector<TestType> t;
    for (const double value : f.file.values("t")) t.push_back(static_cast<TestType>(value));
    const int n = static_cast<int>(t.size()), dim = number(name, "dim");
    if (name.find("mlp") == std::string::npos) {
      f.check(mnist::timestep_embedding(f.pool, dim, n, t.data()), "y");
      continue;
    }
    const mnist::time_embedding layer(f.layout, "layer.", dim, 3 * dim);
    f.load();
    mnist::time_embedding_cache<TestType> cache;
    f.check(layer.forward(f.values.data(), f.pool, n, t.data(), cache), "y");
    layer.backward(f.values.data(), cache, f.read("grad_y"), f.grads.data());
    f.check_grads();
  }
}

TEMPLATE_TEST_CASE("A residual block agrees with the reference", "", float, double) {
  const auto file = golden::read("res_block");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    const mnist::res_block block(f.layout, "layer", number(name, "i"), number(name, "o"), number(name, "e"),
                                 number(name, "g"));
    f.load();
    mnist::res_block_cache<TestType> cache;
    const tensor<TestType> emb = f.read("emb"), e = silu(emb);
    tensor<TestType> de = f.zeros(e);
    f.check(block.forward(f.values.data(), f.read("x"), e, cache), "y");
    f.check(block.backward(f.values.data(), cache, e, f.read("grad_y"), f.grads.data(), de), "grad_x");
    f.check(silu_backward(emb, de), "grad_emb");
    f.check_grads();
  }
}

TEMPLATE_TEST_CASE("A stage on the way down agrees with the reference", "", float, double) {
  const auto file = golden::read("down_block");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    const int out = number(name, "o"), groups = number(name, "g");
    const bool has_attention = number(name, "attn") == 1;
    const mnist::res_block res(f.layout, "layer.res", number(name, "i"), out, number(name, "e"), groups);
    std::optional<mnist::attention_block> attn;
    if (has_attention) attn.emplace(f.layout, "layer.attn", out, groups, number(name, "heads"));
    const mnist::resample down(f.layout, "layer.down", out, mnist::resample::halve);
    f.load();

    mnist::res_block_cache<TestType> res_cache;
    mnist::attention_cache<TestType> attn_cache;
    const tensor<TestType> emb = f.read("emb"), e = silu(emb);
    tensor<TestType> h = res.forward(f.values.data(), f.read("x"), e, res_cache), resampled, de = f.zeros(e);
    if (attn) h = attn->forward(f.values.data(), std::move(h), attn_cache);
    f.check(h, "skip");
    f.check(down.forward(f.values.data(), std::move(h), resampled), "y");

    tensor<TestType> d = down.backward(f.values.data(), resampled, f.read("grad_y"), f.grads.data());
    d.array() += f.read("grad_skip").array();
    if (attn) d = attn->backward(f.values.data(), attn_cache, d, f.grads.data());
    f.check(res.backward(f.values.data(), res_cache, e, d, f.grads.data(), de), "grad_x");
    f.check(silu_backward(emb, de), "grad_emb");
    f.check_grads();
  }
}

TEMPLATE_TEST_CASE("A stage on the way up agrees with the reference", "", float, double) {
  const auto file = golden::read("up_block");
  for (const std::string& name : golden::cases(file)) {
    fixture<TestType> f(file, name);
    const int below = number(name, "i"), skip = number(name, "s"), out = number(name, "o");
    const int groups = number(name, "g");
    const mnist::res_block res(f.layout, "layer.res", below + skip, out, number(name, "e"), groups);
    std::optional<mnist::attention_block> attn;
    if (number(name, "attn") == 1) attn.emplace(f.layout, "layer.attn", out, groups, number(name, "heads"));
    const mnist::resample up(f.layout, "layer.up", out, mnist::resample::transpose);
    f.load();

    mnist::res_block_cache<TestType> res_cache;
    mnist::attention_cache<TestType> attn_cache;
    const tensor<TestType> emb = f.read("emb"), e = silu(emb);
    tensor<TestType> resampled, de = f.zeros(e);
    tensor<TestType> h = res.forward(f.values.data(), concatenate(f.read("x"), f.read("skip")), e, res_cache);
    if (attn) h = attn->forward(f.values.data(), std::move(h), attn_cache);
    f.check(up.forward(f.values.data(), std::move(h), resampled), "y");

    tensor<TestType> d = up.backward(f.values.data(), resampled, f.read("grad_y"), f.grads.data());
    if (attn) d = attn->backward(f.values.data(), attn_cache, d, f.grads.data());
    d = res.backward(f.values.data(), res_cache, e, d, f.grads.data(), de);
    f.check(channel_range(d, 0, below), "grad_x");
    f.check(channel_range(d, below, skip), "grad_skip");
    f.check(silu_backward(emb, de), "grad_emb");
    f.check_grads();
  }
}
