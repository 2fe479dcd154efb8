// Sampler steps: x̂0 from the predicted noise, clip, blend, noise. Arrays: the state, the model's output, then
// given noise or history.
#include "kernels/step.hpp"

#include <algorithm>
#include <random>

#include "roofline.hpp"

namespace {

using namespace diffusion;
using bench::arrays;
using bench::from;
using bench::plan_of;
using bench::to;

/// The coefficients of a step in T, as one writes them by hand.
template <class T>
struct by_hand {
  T a = T(from.alpha), s = T(from.sigma), x, x0, noise;
  explicit by_hand(const step_coefficients& c) : x(T(c.x)), x0(T(c.x0)), noise(T(c.noise)) {}
};

/// Weights of a history, as of a multistep method of third order.
constexpr double newer = -0.2, older = 0.05;

#if XSIMD_WITH_SSE2
/// Makes a value unknown to the compiler, in its register.
template <class Pack>
void hide(Pack& value) {
  asm volatile("" : "+x"(value.data));
}

/// The arithmetic of a clipped step on registers: what bounds it where loads and stores cost nothing.
constexpr auto in_registers = []<class T>(arrays<T> in) {
  return [size = in.size, c = by_hand<T>(ddim{}(from, to))](serial) {
    using pack = detail::pack<T, default_arch>;
    const detail::clamped<T> weighted_x0{
        detail::predicted<T>(x0_map(prediction::epsilon, from), ddim{}(from, to).x0), c.x0};
    pack x(T(0.5)), out(T(0.25));
    for (std::size_t i = 0; i < size; i += pack::size) {
      hide(x);
      hide(out);
      pack next = detail::fused_multiply_add(c.x, x, weighted_x0(x, out));
      hide(next);
    }
  };
};
[[maybe_unused]] const bool added_in_registers =
    bench::add<float, double>("ddim/library's arithmetic, in registers", in_registers);
#endif

[[maybe_unused]] const bool added[] = {
    bench::add_roofline("ddim", bench::streams<0, 1>(), bench::streams<0>()),
    bench::add_all("ddim/library",
                   []<class T>(arrays<T> in) {
                     return [x = in[0], out = in[1], plan = plan_of(ddim{}(from, to))](const auto& executor) {
                       apply_step(plan, out, std::span<const T>(), x, executor);
                     };
                   }),
    // Without the clip this prediction keeps the state bounded.
    bench::add_all("ddim/library, no clip",
                   []<class T>(arrays<T> in) {
                     return
                         [x = in[0], out = in[1],
                          plan = plan_of(ddim{}(from, to), x0_clamp{}, prediction::v)](const auto& executor) {
                           apply_step(plan, out, std::span<const T>(), x, executor);
                         };
                   }),
    bench::add<float, double>("ddim/plain loop",
                              []<class T>(arrays<T> in) {
                                return [x = in[0], out = in[1], c = by_hand<T>(ddim{}(from, to))](serial) {
                                  for (std::size_t i = 0; i < x.size(); ++i)
                                    x[i] = c.x * x[i] +
                                           c.x0 * std::clamp((x[i] - c.s * out[i]) / c.a, T(-1), T(1));
                                };
                              }),
    bench::add<float, double>("ddim/Eigen",
                              []<class T>(arrays<T> in) {
                                return [x = bench::eigen(in[0]), out = bench::eigen(in[1]),
                                        c = by_hand<T>(ddim{}(from, to))](serial) mutable {
                                  x = c.x * x + c.x0 * ((x - c.s * out) * (1 / c.a)).max(T(-1)).min(T(1));
                                };
                              }),

    bench::add_roofline("ddpm, given noise", bench::streams<0, 1, 2>(), bench::streams<0>()),
    bench::add_all("ddpm, given noise/library",
                   []<class T>(arrays<T> in) {
                     return [x = in[0], out = in[1], z = in[2], plan = plan_of(ddpm{}(from, to))](
                                const auto& executor) { apply_step(plan, out, z, x, executor); };
                   }),
    bench::add<float, double>(
        "ddpm, given noise/plain loop",
        []<class T>(arrays<T> in) {
          return [x = in[0], out = in[1], z = in[2], c = by_hand<T>(ddpm{}(from, to))](serial) {
            for (std::size_t i = 0; i < x.size(); ++i)
              x[i] =
                  c.x * x[i] + c.x0 * std::clamp((x[i] - c.s * out[i]) / c.a, T(-1), T(1)) + c.noise * z[i];
          };
        }),
    bench::add<float, double>(
        "ddpm, given noise/Eigen",
        []<class T>(arrays<T> in) {
          return [x = bench::eigen(in[0]), out = bench::eigen(in[1]), z = bench::eigen(in[2]),
                  c = by_hand<T>(ddpm{}(from, to))](serial) mutable {
            x = c.x * x + c.x0 * ((x - c.s * out) * (1 / c.a)).max(T(-1)).min(T(1)) + c.noise * z;
          };
        }),

    bench::add_roofline("ddpm", bench::streams<0, 1>(), bench::streams<0>()),
    bench::add_all("ddpm/library",
                   []<class T>(arrays<T> in) {
                     return [x = in[0], out = in[1], plan = plan_of(ddpm{}(from, to)),
                             step = std::uint32_t{0}](const auto& executor) mutable {
                       apply_step(plan, out, philox_normal{42}.row(0, ++step), x, executor);
                     };
                   }),
    bench::add<float, double>("ddpm/plain loop",
                              []<class T>(arrays<T> in) {
                                return [x = in[0], out = in[1], c = by_hand<T>(ddpm{}(from, to)),
                                        generator = std::mt19937(42),
                                        normal = std::normal_distribution<T>()](serial) mutable {
                                  for (std::size_t i = 0; i < x.size(); ++i)
                                    x[i] = c.x * x[i] +
                                           c.x0 * std::clamp((x[i] - c.s * out[i]) / c.a, T(-1), T(1)) +
                                           c.noise * normal(generator);
                                };
                              }),

    // The prediction takes the place of the oldest one.
    bench::add_roofline("two-history", bench::streams<0, 1, 2, 3>(), bench::streams<0, 3>()),
    bench::add_all("two-history/library",
                   []<class T>(arrays<T> in) {
                     step_memory<T> memory{.past = {in[2].data(), in[3].data()}, .past_count = 2};
                     memory.sums[0] = {ddim{}(from, to), {newer, older}, in[0].data()};
                     memory.sums[1] = {{.x0 = 1}, {}, in[3].data()};
                     memory.sum_count = 2;
                     return
                         [x = in[0], out = in[1], plan = plan_of(ddim{}(from, to)), memory](const auto& executor) {
                           apply_step(plan, memory, out, std::span<const T>(), x, executor);
                         };
                   }),
    bench::add<float, double>("two-history/plain loop",
                              []<class T>(arrays<T> in) {
                                return [x = in[0], out = in[1], h0 = in[2], h1 = in[3],
                                        c = by_hand<T>(ddim{}(from, to))](serial) {
                                  for (std::size_t i = 0; i < x.size(); ++i) {
                                    const T x0 = std::clamp((x[i] - c.s * out[i]) / c.a, T(-1), T(1));
                                    x[i] = c.x * x[i] + c.x0 * x0 + T(newer) * h0[i] + T(older) * h1[i];
                                    h1[i] = x0;
                                  }
                                };
                              }),
    bench::add<float, double>("two-history/Eigen",
                              []<class T>(arrays<T> in) {
                                return [x = bench::eigen(in[0]), out = bench::eigen(in[1]),
                                        h0 = bench::eigen(in[2]), h1 = bench::eigen(in[3]),
                                        x0 = Eigen::Array<T, Eigen::Dynamic, 1>(),
                                        c = by_hand<T>(ddim{}(from, to))](serial) mutable {
                                  x0 = ((x - c.s * out) * (1 / c.a)).max(T(-1)).min(T(1));
                                  x = c.x * x + c.x0 * x0 + T(newer) * h0 + T(older) * h1;
                                  h1 = x0;
                                };
                              }),
};

}  // namespace
