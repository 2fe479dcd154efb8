// q_sample with given noise.
#include "diffusion/forward.hpp"

#include "roofline.hpp"

namespace {

using namespace diffusion;

constexpr noise_level level{0.6, 0.8};

[[maybe_unused]] const bool added[] = {
    bench::add_roofline("q_sample", bench::streams<0, 1>(), bench::streams<2>()),
    bench::add_all("q_sample/library",
                   []<class T>(bench::arrays<T> in) {
                     return [x0 = in[0], eps = in[1], x_t = in[2]](const auto& executor) {
                       q_sample(level, x0, eps, x_t, executor);
                     };
                   }),
    bench::add<float, double>("q_sample/plain loop",
                              []<class T>(bench::arrays<T> in) {
                                return [x0 = in[0], eps = in[1], x_t = in[2]](serial) {
                                  const T a = T(level.alpha), s = T(level.sigma);
                                  for (std::size_t i = 0; i < x_t.size(); ++i)
                                    x_t[i] = a * x0[i] + s * eps[i];
                                };
                              }),
    bench::add<float, double>("q_sample/Eigen",
                              []<class T>(bench::arrays<T> in) {
                                return [x0 = bench::eigen(in[0]), eps = bench::eigen(in[1]),
                                        x_t = bench::eigen(in[2])](serial) mutable {
                                  x_t = T(level.alpha) * x0 + T(level.sigma) * eps;
                                };
                              }),
};

}  // namespace
