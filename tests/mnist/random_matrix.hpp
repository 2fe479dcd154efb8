#pragma once

#include <Eigen/Core>
#include <random>

/// Numbers in [-1, 1), the same on every machine.
inline Eigen::MatrixXd random_matrix(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  Eigen::MatrixXd result(rows, cols);
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < cols; ++j) result(i, j) = static_cast<double>(engine()) * 0x1p-31 - 1;
  return result;
}
