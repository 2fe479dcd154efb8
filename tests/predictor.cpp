#include "diffusion/predictor.hpp"

#include "support/check.hpp"
#include "support/oracle.hpp"

using namespace diffusion;

namespace {
struct plain_function {
  void operator()(rows<const float>, const time_point<int>&, rows<float>) const {}
};

/// out = 3 x + 1, told at which time.
struct affine {
  int* calls;
  void operator()(rows<const double> x, const time_point<int>&, rows<double> out) const {
    for (std::size_t i = 0; i < x.data().size(); ++i) out.data()[i] = 3 * x.data()[i] + 1;
  }
  void vector_jacobian(rows<const double> x, const time_point<int>& at, rows<const double> v,
                       rows<double> out, rows<double> product) {
    ++*calls;
    (*this)(x, at, out);
    for (std::size_t i = 0; i < x.data().size(); ++i) product.data()[i] = 3 * v.data()[i];
  }
};
}  // namespace

static_assert(!DifferentiablePredictor<plain_function, float>);
static_assert(!DifferentiablePredictor<predictor_of<plain_function>, float>);
static_assert(DifferentiablePredictor<affine, double>);
static_assert(DifferentiablePredictor<predictor_of<affine>, double>);
static_assert(!DifferentiablePredictor<affine, float>);
static_assert(Predictor<plain_function, float>);
static_assert(!Predictor<plain_function, double>);
static_assert(!Predictor<plain_function, float, double>);
static_assert(Predictor<predictor_of<plain_function>, float>);
static_assert(Predictor<const predictor_of<plain_function>, float>);
static_assert(Predictor<support::perfect_network<support::gaussian>, double, double>);

TEST_CASE("A predictor predicts epsilon unless it says otherwise") {
  CHECK(kind_of(plain_function{}) == prediction::epsilon);
  CHECK(kind_of(predicts<prediction::v>(plain_function{})) == prediction::v);
  for (const auto& [kind_name, kind] : prediction_names)
    CHECK(kind_of(predicts(kind, plain_function{})) == kind);
}

TEST_CASE("A wrapped predictor passes everything on and may have state") {
  std::vector<double> x{1, 2, 3, 4}, out(4);
  auto network = predicts<prediction::x0>(
      [calls = 0](rows<const double> in, const time_point<int>& at, rows<double> result) mutable {
        ++calls;
        result[1][0] = in[1][1] + at.t + at.level.sigma + 100 * calls;
      });
  network(rows<const double>(std::span<const double>(x), 2), time_point<int>{7, {0.8, 0.5}},
          rows<double>(std::span<double>(out), 2));
  CHECK(out[2] == 4 + 7 + 0.5 + 100);
  network(rows<const double>(std::span<const double>(x), 2), time_point<int>{7, {0.8, 0.5}},
          rows<double>(std::span<double>(out), 2));
  CHECK(out[2] == 4 + 7 + 0.5 + 200);
}

TEST_CASE("A wrapped predictor passes on its vector-Jacobian products") {
  const std::vector<double> x{1, 2}, v{-1, 0.5};
  std::vector<double> out(2), product(2);
  int calls = 0;
  auto network = predicts<prediction::v>(affine{&calls});
  network.vector_jacobian(rows(std::span(x), 1), time_point<int>{7, {0.8, 0.6}}, rows(std::span(v), 1),
                          rows(std::span(out), 1), rows(std::span(product), 1));
  CHECK(calls == 1);
  CHECK(out == std::vector<double>{4, 7});
  CHECK(product == std::vector<double>{-3, 1.5});
}
