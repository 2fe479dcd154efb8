// The same operations as a user of libtorch writes them, on one thread.
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include "kernels/step.hpp"
#include "support.hpp"

namespace {

using namespace diffusion;
using bench::arrays;
using bench::from;
using bench::to;

torch::Tensor tensor(std::span<float> values) {
  return torch::from_blob(values.data(), static_cast<std::int64_t>(values.size())).clone();
}

const step_coefficients ddim_step = ddim{}(from, to);
const step_coefficients ddpm_step = ddpm{}(from, to);

[[maybe_unused]] const bool added[] = {
    (at::set_num_threads(1), torch::GradMode::set_enabled(false), true),
    bench::add<float>("noise/libtorch",
                      [](arrays<float> in) {
                        return [z = torch::Tensor(), n = static_cast<std::int64_t>(in.size)](serial) mutable {
                          z = torch::randn(n);
                        };
                      }),
    bench::add<float>("q_sample/libtorch",
                      [](arrays<float> in) {
                        return [x0 = tensor(in[0]), eps = tensor(in[1]), x_t = torch::Tensor()](
                                   serial) mutable { x_t = from.alpha * x0 + from.sigma * eps; };
                      }),
    bench::add<float>("ddim/libtorch",
                      [](arrays<float> in) {
                        return [x = tensor(in[0]), out = tensor(in[1]), c = ddim_step](serial) mutable {
                          const auto x0 = ((x - from.sigma * out) / from.alpha).clamp(-1, 1);
                          x = c.x0 * x0 + c.x * x;
                        };
                      }),
    bench::add<float>("ddpm/libtorch",
                      [](arrays<float> in) {
                        return [x = tensor(in[0]), out = tensor(in[1]), c = ddpm_step](serial) mutable {
                          const auto x0 = ((x - from.sigma * out) / from.alpha).clamp(-1, 1);
                          x = c.x0 * x0 + c.x * x + c.noise * torch::randn_like(x);
                        };
                      }),
    bench::add<float>("two-history/libtorch",
                      [](arrays<float> in) {
                        return [x = tensor(in[0]), out = tensor(in[1]), h0 = tensor(in[2]),
                                h1 = tensor(in[3]), c = ddim_step](serial) mutable {
                          const auto x0 = ((x - from.sigma * out) / from.alpha).clamp(-1, 1);
                          x = c.x0 * x0 + c.x * x - 0.2 * h0 + 0.05 * h1;
                          h1 = x0;
                        };
                      }),
    // torch::quantile takes at most 2²⁴ elements.
    bench::add<float>(
        "dynamic threshold/libtorch",
        [](arrays<float> in) {
          return [x = tensor(in[0]), out = tensor(in[1]), c = ddim_step](serial) mutable {
            auto x0 = (x - from.sigma * out) / from.alpha;
            const auto limit = torch::quantile(x0.abs(), 0.995).clamp(1, 10);
            x0 = torch::max(torch::min(x0, limit), -limit) / limit;
            x = c.x0 * x0 + c.x * x;
          };
        },
        1 << 24),
};

}  // namespace
