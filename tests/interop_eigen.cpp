#include "diffusion/interop/eigen.hpp"

#include <type_traits>

#include "diffusion/forward.hpp"
#include "support/check.hpp"

using diffusion::as_span;

TEST_CASE("An Eigen vector or matrix is a span of its own memory") {
  Eigen::VectorXf vector(3);
  vector << 1, 2, 3;
  CHECK(as_span(vector).size() == 3);
  CHECK(as_span(vector).data() == vector.data());
  as_span(vector)[1] = 20;
  CHECK(vector[1] == 20);

  Eigen::Matrix<double, 2, 3, Eigen::RowMajor> matrix;
  matrix << 1, 2, 3, 4, 5, 6;
  CHECK(as_span(matrix).size() == 6);
  CHECK(as_span(matrix)[3] == 4);  // storage order
  const Eigen::MatrixXd empty;
  CHECK(as_span(empty).empty());
}

TEST_CASE("The span of a constant Eigen object is constant") {
  const Eigen::ArrayXd array = Eigen::ArrayXd::Constant(4, 0.5);
  static_assert(std::is_same_v<decltype(as_span(array)), std::span<const double>>);
  CHECK(as_span(array)[3] == 0.5);
}

TEST_CASE("Eigen objects go through the library without copies") {
  const Eigen::VectorXd x0 = Eigen::VectorXd::Constant(5, 1);
  const Eigen::VectorXd eps = Eigen::VectorXd::Constant(5, -1);
  Eigen::VectorXd x_t(5);
  diffusion::q_sample({0.75, 0.5}, as_span(x0), as_span(eps), as_span(x_t));
  CHECK(x_t == Eigen::VectorXd::Constant(5, 0.25));
}
