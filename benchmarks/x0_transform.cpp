// A DDIM step with a dynamic threshold of the whole array. It finds the threshold on one thread.
#include "diffusion/x0_transform.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/step.hpp"
#include "roofline.hpp"

namespace {

using namespace diffusion;
using bench::arrays;
using bench::from;
using bench::plan_of;
using bench::to;

constexpr dynamic_threshold threshold{.ratio = 0.995, .max = 10};

[[maybe_unused]] const bool added[] = {
    bench::add_roofline("dynamic threshold", bench::streams<0, 1>(), bench::streams<0>()),
    bench::add_all("dynamic threshold/library",
                   []<class T>(arrays<T> in) {
                     return [x = in[0], out = in[1], scratch = arrays<arithmetic<T>>{in.size}[2],
                             plan = plan_of(ddim{}(from, to))](const auto& executor) mutable {
                       plan.clamp = clamp_for(threshold, plan.x0, std::span<const T>(x), out, scratch);
                       apply_step(plan, out, std::span<const T>(), x, executor);
                     };
                   }),
    bench::add<float, double>(
        "dynamic threshold/plain loop",
        []<class T>(arrays<T> in) {
          return [x = in[0], out = in[1], magnitude = in[2], c = ddim{}(from, to)](serial) {
            const T a = T(from.alpha), s = T(from.sigma), cx = T(c.x), c0 = T(c.x0);
            for (std::size_t i = 0; i < x.size(); ++i) magnitude[i] = std::abs((x[i] - s * out[i]) / a);
            const auto quantile = magnitude.begin() + std::ptrdiff_t(threshold.ratio * double(x.size() - 1));
            std::nth_element(magnitude.begin(), quantile, magnitude.end());
            const T limit = std::clamp(*quantile, T(1), T(threshold.max));
            for (std::size_t i = 0; i < x.size(); ++i)
              x[i] = cx * x[i] + c0 * std::clamp((x[i] - s * out[i]) / a, -limit, limit) / limit;
          };
        }),
};

}  // namespace
