#include "nn/network.hpp"

namespace mnist {

template void network::forward<float>(const float*, network_run<float>&, int, int, const float*, const float*,
                                      const int*, float*, const dropout&) const;
template void network::backward<float>(const float*, network_run<float>&, const int*, const float*, float*,
                                       float*) const;
template void network::forward<double>(const double*, network_run<double>&, int, int, const double*,
                                       const double*, const int*, double*, const dropout&) const;
template void network::backward<double>(const double*, network_run<double>&, const int*, const double*,
                                        double*, double*) const;

}  // namespace mnist
