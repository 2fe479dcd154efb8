// Family log_likelihood.

#include "diffusion/interop/odeint.hpp"
#include "diffusion/schedules/sigma.hpp"
#include "families.hpp"
#include "toy_predictor.hpp"

namespace golden {

void check_log_likelihood(const record& file, report& result) {
  (void)file.choice("kind", {"hutchinson_probability_flow"});
  const precision p = read_header(file);
  const shape s = read_shape(file);
  const diffusion::sigma_range range{file.number("sigma_min"), file.number("sigma_max")};
  const support::mixture_network network{read_mixture(file.object("predictor"), s.row_size)};
  const std::vector<double> x = file.numbers("x", s.size());
  const std::vector<double> probe = file.numbers("probe", s.size());
  const std::vector<double> expected = file.numbers("log_likelihood", s.count);
  file.refuse_unknown_keys();

  // The peer converged to 1e-10.
  const diffusion::log_likelihood_options options{.atol = 1e-11, .rtol = 1e-11};
  std::vector<double> found;
  for (std::size_t i = 0; i < s.count; ++i) {
    const auto row = [&](const std::vector<double>& all) {
      return std::span(all).subspan(i * s.row_size, s.row_size);
    };
    diffusion::probability_flow<double, diffusion::sigma_schedule, const support::mixture_network> flow(
        diffusion::sigma_schedule{}, network,
        diffusion::divergence_probes<double>{{row(probe).begin(), row(probe).end()}});
    std::vector<double> state = flow.start(row(x), range.min);
    diffusion::integrate(flow, range.min, range.max, options, state);
    found.push_back(flow.result(state, range).log_likelihood);
  }
  result.compare("log_likelihood", expected, found, of_state(p));
}

}  // namespace golden
