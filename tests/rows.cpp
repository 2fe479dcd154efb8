#include "diffusion/rows.hpp"

#include <vector>

#include "support/check.hpp"

using namespace diffusion;
using support::check_refused;

TEST_CASE("Rows are equal contiguous parts of the caller's memory") {
  std::vector<float> data{1, 2, 3, 4, 5, 6};
  const rows<float> x(std::span<float>(data), 2);
  CHECK(x.count() == 2);
  CHECK(x.row_size() == 3);
  CHECK(x.data().data() == data.data());
  CHECK(x[1][0] == 4);
  x[1][2] = 60;
  CHECK(data[5] == 60);
  const rows<const float> view = x;
  CHECK(view.count() == 2);
  CHECK(view[1][2] == 60);
}

TEST_CASE("Rows that do not divide their data are refused") {
  std::vector<double> data(6);
  const auto make = [&](std::size_t size, std::size_t count) {
    return [&data, size, count] { return rows<double>(std::span<double>(data).first(size), count); };
  };
  check_refused(make(6, 4), {"count of rows = 4", "divisor of the size 6"});
  check_refused(make(6, 0), {"count of rows = 0"});
  check_refused(make(6, 7), {"count of rows = 7"});
  check_refused(make(0, 1), {"size of rows = 0", "at least 1"});
}
