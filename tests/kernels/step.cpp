#include "diffusion/kernels/step.hpp"

#include <vector>

#include "support/check.hpp"
#include "support/methods.hpp"
#include "support/run.hpp"

using namespace diffusion;
using support::check_refused;
using support::normals;
using support::roundoff;

namespace {

/// The same step in long double, as the documentation has it.
template <class T>
std::vector<double> plain_step(const step_plan& plan, const std::vector<T>& x, const std::vector<T>& output,
                               const std::vector<T>& z) {
  std::vector<double> result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double vx = x[i];
    const long double vm = output[i];
    const long double raw = plan.x0.scale * (plan.x0.x * vx + plan.x0.model * vm);
    const long double limit = plan.clamp.limit;
    const long double x0 = std::clamp(raw, -limit, limit) * plan.clamp.scale;
    const long double epsilon = plan.epsilon.scale * (plan.epsilon.x * vx + plan.epsilon.model * vm);
    const step_coefficients& c = plan.step;
    result.push_back(static_cast<double>(c.x * vx + c.x0 * x0 + c.epsilon * epsilon + c.noise * z[i]));
  }
  return result;
}

std::vector<step_plan> typical_plans() {
  const noise_level from{0.6, 0.8};
  const noise_level to{0.8, 0.6};
  std::vector<step_plan> plans;
  for (const auto& [sampler_name, sampler] : support::all_samplers())
    for (const auto& [kind_name, kind] : prediction_names)
      for (const x0_clamp clamp : {x0_clamp{}, x0_clamp{1, 1}, x0_clamp{1.5, 1 / 1.5}})
        plans.push_back({x0_map(kind, from), epsilon_map(kind, from), clamp, sampler(from, to)});
  return plans;
}

template <class Arch = default_arch, class T>
std::vector<T> stepped(const step_plan& plan, std::vector<T> x, const std::vector<T>& output,
                       const std::vector<T>& z) {
  apply_step<Arch>(plan, output, z, std::span<T>(x));
  return x;
}

/// Every coefficient of the plans is at most 2, every input below 6.77, an element has at most 16 roundings.
template <class T>
constexpr double step_tolerance = 16 * roundoff<T> * 4 * 2 * 6.77;

template <class T>
std::vector<T> part(const std::vector<T>& values, std::size_t from, std::size_t count) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEMPLATE_TEST_CASE("A step is its formula, with and without SIMD, for every size", "", float, double) {
  const auto plans = typical_plans();
  for (std::size_t size = 1; size <= 70; ++size) {
    const auto x = normals<TestType>(size, 1);
    const auto output = normals<TestType>(size, 2);
    const auto z = normals<TestType>(size, 3);
    for (std::size_t i = size % 5; i < plans.size(); i += 5) {
      CAPTURE(size, i);
      const auto want = plain_step(plans[i], x, output, z);
      support::check_close(stepped(plans[i], x, output, z), want, step_tolerance<TestType>);
      support::check_close(stepped<scalar_arch>(plans[i], x, output, z), want, step_tolerance<TestType>);
    }
  }
}

TEMPLATE_TEST_CASE("The value of an element does not depend on its place or on the size", "", float, double) {
  const std::size_t size = 67;
  const auto x = normals<TestType>(size, 1);
  const auto output = normals<TestType>(size, 2);
  const auto z = normals<TestType>(size, 3);
  for (const step_plan& plan : typical_plans()) {
    const auto whole = stepped(plan, x, output, z);
    for (const std::size_t from : {0u, 1u, 3u, 8u, 41u, 66u})
      for (const std::size_t count : {1u, 5u, 16u, 26u}) {
        if (from + count > size) continue;
        CAPTURE(from, count);
        const auto some =
            stepped(plan, part(x, from, count), part(output, from, count), part(z, from, count));
        support::check_identical(some, part(whole, from, count));
      }
  }
}

TEMPLATE_TEST_CASE("A step without noise does not read z", "", float, double) {
  const step_plan plan{{0, 1, 1}, {}, {}, {.x = 0.5, .x0 = 2}};
  const std::vector<TestType> x{1, 2, 3};
  support::check_identical(stepped(plan, x, {1, 1, 1}, {}), std::vector<TestType>{2.5, 3, 3.5});
}

TEMPLATE_TEST_CASE("A NaN in the state or in the output reaches the result, clipped or not", "", float,
                   double) {
  const auto nan = std::numeric_limits<TestType>::quiet_NaN();
  const noise_level from{0.6, 0.8};
  for (const double limit : {1.0, HUGE_VAL})
    for (std::size_t place = 0; place < 19; ++place) {
      const step_plan plan{x0_map(prediction::epsilon, from), {}, {limit, 1}, {.x = 0, .x0 = 1}};
      std::vector<TestType> bad(19, TestType(1));
      bad[place] = nan;
      const std::vector<TestType> good(19, TestType(1));
      for (const auto& result : {stepped(plan, bad, good, {}), stepped(plan, good, bad, {}),
                                 stepped<scalar_arch>(plan, bad, good, {})})
        for (std::size_t i = 0; i < 19; ++i) CHECK(std::isnan(result[i]) == (i == place));
    }
}

TEST_CASE("x0 in single precision is as accurate near zero SNR as its inputs") {
  const noise_level level{5e-5, std::sqrt(1 - 25e-10)};  // the end of a cosine schedule
  const auto x0 = normals<float>(1000, 1);
  const auto epsilon = normals<float>(1000, 2);
  std::vector<float> x_t(1000);
  std::vector<float> want(1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    const double a = level.alpha;
    const double s = level.sigma;
    x_t[i] = static_cast<float>(a * static_cast<double>(x0[i]) + s * static_cast<double>(epsilon[i]));
    // What the rounded state means.
    want[i] = static_cast<float>((static_cast<double>(x_t[i]) - s * static_cast<double>(epsilon[i])) / a);
  }
  std::vector<float> found(1000);
  predict_x0(x0_map(prediction::epsilon, level), x0_clamp{}, x_t, epsilon, std::span<float>(found));
  // σ and σε round before the difference, with |ε| < 5 here, and α divides.
  support::check_close(found, want, 2 * roundoff<float> * 5 / level.alpha, 4 * roundoff<float>);
}

TEMPLATE_TEST_CASE("Predicting x0 is its formula with and without SIMD, and may overwrite its input", "",
                   float, double) {
  const prediction_map map = x0_map(prediction::v, {0.6, 0.8});
  const x0_clamp clamp{1.25, 0.8};
  for (std::size_t size = 1; size <= 70; ++size) {
    CAPTURE(size);
    auto x = normals<TestType>(size, 1);
    const auto output = normals<TestType>(size, 2);
    const step_plan only_x0{map, {}, clamp, {.x0 = 1}};
    const auto want = plain_step(only_x0, x, output, std::vector<TestType>(size));
    std::vector<TestType> out(size);
    predict_x0(map, clamp, x, output, std::span<TestType>(out));
    support::check_close(out, want, step_tolerance<TestType>);
    std::vector<TestType> plain(size);
    predict_x0<scalar_arch>(map, clamp, x, output, std::span<TestType>(plain));
    support::check_close(plain, want, step_tolerance<TestType>);
    predict_x0(map, clamp, x, output, std::span<TestType>(x));
    support::check_identical(x, out);
  }
}

TEMPLATE_TEST_CASE("Learned noise has the deviation that the map gives for each element", "", float, double) {
  for (const variance_map map : {variance_map{}, {-2, 1.5, true}, {.is_log = false}})
    for (std::size_t size = 1; size <= 70; ++size) {
      CAPTURE(map.offset, map.is_log, size);
      const auto x = normals<TestType>(size, 1);
      auto v = normals<TestType>(size, 2);
      const auto z = normals<TestType>(size, 3);
      std::vector<double> want(size);
      for (std::size_t i = 0; i < size; ++i) {
        if (!map.is_log) v[i] = v[i] * v[i];
        const auto value = static_cast<double>(v[i]);
        const double variance = map.is_log ? std::exp(map.offset + map.slope * value) : value;
        want[i] = static_cast<double>(x[i]) + std::sqrt(variance) * static_cast<double>(z[i]);
      }
      auto simd = x;
      auto plain = x;
      add_learned_noise(map, v, z, std::span<TestType>(simd));
      add_learned_noise<scalar_arch>(map, v, z, std::span<TestType>(plain));
      // The exponent, at most 4, rounds thrice; xsimd's exp has 2 ulp; then a product and a sum.
      const double relative = (3 * 4 + 4 + 3) * roundoff<TestType>;
      support::check_close(simd, want, relative * 6.77 * std::exp(4.0) / 4, relative);
      support::check_close(plain, want, relative * 6.77 * std::exp(4.0) / 4, relative);
    }
}

TEST_CASE("Kernels refuse different sizes and name both") {
  const std::vector<float> four(4);
  std::vector<float> five(5);
  const std::span<float> x(five);
  const step_plan noisy{{}, {}, {}, {.noise = 1}};
  const auto calls = [&](std::span<const float> output, std::span<const float> z) {
    return [&noisy, output, z, x] {
      apply_step(noisy, output, z, x);
      return 0;
    };
  };
  check_refused(calls(four, five), {"size of output = 4", "5"});
  check_refused(calls(five, four), {"size of z = 4", "5"});
  check_refused(calls(five, {}), {"size of z = 0", "5"});
  check_refused([&] { return predict_x0({}, {}, four, five, x), 0; }, {"size of x_t = 4", "5"});
  check_refused([&] { return predict_x0({}, {}, five, four, x), 0; }, {"size of output = 4", "5"});
  check_refused([&] { return add_learned_noise({}, four, five, x), 0; }, {"size of v = 4", "5"});
  check_refused([&] { return add_learned_noise({}, five, four, x), 0; }, {"size of z = 4", "5"});
}

TEMPLATE_TEST_CASE("Noise made in registers gives the step that the filled buffer gives", "", float, double) {
  const noise_level from{0.6, 0.8};
  const noise_level to{0.8, 0.6};
  const auto row = philox_normal{7}.row(5, 9);
  for (const x0_clamp clamp : {x0_clamp{}, x0_clamp{1, 1}}) {
    const step_plan plan{x0_map(prediction::v, from), {}, clamp, ddpm{}(from, to)};
    for (const std::size_t size : {1u, 31u, 32u, 63u, 64u, 65u, 127u, 200u, 4096u, 4097u, 9001u}) {
      CAPTURE(size);
      const auto x = normals<TestType>(size, 1);
      const auto output = normals<TestType>(size, 2);
      std::vector<TestType> z(size);
      row.fill(std::span<TestType>(z));
      auto fused = x;
      apply_step(plan, output, row, std::span<TestType>(fused));
      support::check_identical(fused, stepped(plan, x, output, z));
    }
  }
}

TEMPLATE_TEST_CASE("Rows with plans of their own are stepped as each by itself, down to single elements", "",
                   float, double) {
  const auto all = typical_plans();
  for (const std::size_t row_size : {1u, 5u, 40u, 3000u}) {
    CAPTURE(row_size);
    const std::size_t count = row_size < 3000 ? 60 : 4;
    const std::span plans(all.data(), count);
    const std::size_t size = count * row_size;
    const auto x = normals<TestType>(size, 1);
    const auto output = normals<TestType>(size, 2);
    const auto z = normals<TestType>(size, 3);
    std::vector<TestType> want, want_with_row;
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = [&](const auto& values) { return part(values, i * row_size, row_size); };
      const auto given = stepped(plans[i], row(x), row(output), row(z));
      want.insert(want.end(), given.begin(), given.end());
      auto made = row(x);
      apply_step(plans[i], row(output), philox_normal{3}.row(7 + i, 2), std::span<TestType>(made));
      want_with_row.insert(want_with_row.end(), made.begin(), made.end());
    }
    const auto as_rows = [&](auto& values) {
      const std::span all_values(values);
      return rows(all_values, count);
    };
    auto found = x;
    apply_step(plans, as_rows(output), as_rows(z), as_rows(found));
    support::check_identical(found, want);
    found = x;
    apply_step(plans, as_rows(output), philox_normal{3}, 2, 7, as_rows(found));
    support::check_identical(found, want_with_row);
  }
}

TEST_CASE("Rows with too few plans, or of another shape, are refused") {
  const std::vector<step_plan> plans(3);
  std::vector<float> six(6), nine(9);
  const rows<float> x(std::span<float>(six), 3);
  const auto step = [&](std::size_t count, rows<const float> output, rows<const float> z) {
    return
        [&plans, count, output, z, x] { return apply_step(std::span(plans).first(count), output, z, x), 0; };
  };
  const rows<const float> longer(std::span<const float>(nine), 3);
  check_refused(step(2, x, x), {"size of plans = 2", "3"});
  check_refused(step(3, longer, x), {"row of output = 3", "2"});
  check_refused(step(3, x, longer), {"row of z = 3", "2"});
}

TEMPLATE_TEST_CASE("16-bit storage is stepped in float and rounded once", "", float16, bfloat16) {
  const noise_level from{0.6, 0.8};
  const step_plan plan{x0_map(prediction::epsilon, from), {}, {1, 1}, ddpm{}(from, {0.8, 0.6})};
  for (const std::size_t size : {1u, 7u, 8u, 70u, 100u}) {
    std::vector<float> x(size), output(size), z(size);
    std::vector<TestType> x16, output16, z16;
    for (std::size_t i = 0; i < size; ++i) {
      x16.push_back(TestType(normals<float>(size, 1)[i]));
      output16.push_back(TestType(normals<float>(size, 2)[i]));
      z16.push_back(TestType(normals<float>(size, 3)[i]));
      x[i] = static_cast<float>(x16[i]);
      output[i] = static_cast<float>(output16[i]);
      z[i] = static_cast<float>(z16[i]);
    }
    const auto want = stepped(plan, x, output, z);
    apply_step(plan, output16, z16, std::span<TestType>(x16));
    for (std::size_t i = 0; i < size; ++i) CHECK(x16[i].bits == TestType(want[i]).bits);
  }
}
