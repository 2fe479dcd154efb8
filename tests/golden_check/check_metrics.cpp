// Families fid and inception_score: the scores of generated images in examples/mnist.

#include <Eigen/Core>

#include "families.hpp"
#include "feature_scores.hpp"
#include "frechet.hpp"

namespace golden {

namespace {

using row_matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int most = 1 << 12;

row_matrix read_matrix(const record& file, const std::string& key, int rows, int cols) {
  const auto values = file.numbers(key, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  return Eigen::Map<const row_matrix>(values.data(), rows, cols);
}

template <class Values>
std::span<const double> as_span(const Values& values) {
  return {values.data(), static_cast<std::size_t>(values.size())};
}

}  // namespace

void check_fid(const record& file, report& result) {
  (void)file.choice("kind", {"frechet"});
  const precision p = read_header(file);
  file.inform({"fid_symmetric_root_peer", "kid_peer"});
  const int dim = file.integer("dim", 1, most);
  const int n1 = file.integer("n1", 2, most), n2 = file.integer("n2", 2, most);
  std::vector<mnist::feature_statistics> sets(2);
  std::vector<Eigen::MatrixXd> features;
  for (int k = 0; k < 2; ++k) {
    const std::string number = std::to_string(k + 1);
    features.emplace_back(read_matrix(file, "features" + number, k == 0 ? n1 : n2, dim));
    auto& set = sets[static_cast<std::size_t>(k)];
    set.add(features.back());
    const row_matrix covariance = set.covariance(), recorded = read_matrix(file, "sigma" + number, dim, dim);
    result.compare("mu" + number, file.numbers("mu" + number, static_cast<std::size_t>(dim)),
                   as_span(set.mean()), of_scores(p, false));
    result.compare("sigma" + number, as_span(recorded), as_span(covariance), of_scores(p, false));
  }
  const bool singular = std::min(n1, n2) <= dim;
  const double distance = mnist::frechet_distance(sets[0], sets[1]);
  for (const char* key : {"fid", "fid_symmetric_root"})
    if (file.has(key)) result.compare(key, file.number(key), distance, of_scores(p, singular));
  result.compare("kid_unbiased", file.number("kid_unbiased"), mnist::kid_unbiased(features[0], features[1]),
                 of_scores(p, false));
  file.refuse_unknown_keys();
}

void check_inception_score(const record& file, report& result) {
  (void)file.choice("kind", {"from_logits"});
  const precision p = read_header(file);
  const int count = file.integer("n", 1, most), classes = file.integer("classes", 1, most);
  const auto logits = read_matrix(file, "logits", count, classes);
  result.compare("score", file.number("score"), mnist::inception_score(logits), of_scores(p, false));
  file.refuse_unknown_keys();
}

}  // namespace golden
