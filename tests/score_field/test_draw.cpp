#include "draw.hpp"

#include <array>
#include <cmath>
#include <vector>

#include "support/catch.hpp"

using diffusion::rows, score_field::mixture, score_field::view;

namespace {

std::array<int, 3> pixel(const plot::canvas& c, double column, double row) {
  const auto* const p = c.pixels().data() +
                        3 * (static_cast<std::ptrdiff_t>(std::lround(row)) * c.width() + std::lround(column));
  return {p[0], p[1], p[2]};
}
std::array<int, 3> parts(plot::color c) { return {c.red, c.green, c.blue}; }

const mixture pair{.centres = {{-0.5, 0}, {0.5, 0}}, .deviation = 0.1};

}  // namespace

TEST_CASE("points are drawn where they are, in the color of their arm", "[score_field]") {
  const std::vector<float> x{-0.6f, 0.8f, 0.7f, -0.9f};
  const view drawn = draw_points(pair, rows<const float>(x, 2));
  CHECK(pixel(drawn.canvas(), view::column(-0.6), view::row(0.8)) == parts(plot::palette[0]));
  CHECK(pixel(drawn.canvas(), view::column(0.7), view::row(-0.9)) == parts(plot::palette[1]));
  CHECK(pixel(drawn.canvas(), view::column(0.7), view::row(0.9)) == parts(plot::white));
  CHECK(view::column(-view::reach) == 0);
  CHECK(view::row(-view::reach) == view::size - 1);
}

TEST_CASE("the field shows the density and two arrows at every place", "[score_field]") {
  auto wrong = [](rows<const float> x, const auto&, rows<float> out) {
    for (std::size_t i = 0; i < x.data().size(); ++i) out.data()[i] = 50;  // to the right and upwards
  };
  const view drawn = draw_field(pair, wrong, 0.2);
  const auto& c = drawn.canvas();
  const auto at_centre = pixel(c, view::column(-0.5), view::row(-0.005)), far = pixel(c, 0, view::size - 1);
  CHECK(far == parts(plot::white));
  CHECK(at_centre[0] < 140);  // the density is highest there, and no arrow is
  int black = 0, orange = 0;
  for (int y = 0; y < view::size; ++y)
    for (int x = 0; x < view::size; ++x) {
      black += pixel(c, x, y) == parts(plot::black);
      orange += pixel(c, x, y) == std::array{240, 160, 60};
    }
  CHECK(black > 23 * 23);
  CHECK(orange > 23 * 23);
}

TEST_CASE("paths end in a dot and are drawn in the color of their end", "[score_field]") {
  const std::vector<std::vector<float>> states{{1.0f, 1.0f}, {0.5f, 0.0f}, {-0.5f, 0.0f}};
  const view drawn = draw_paths(pair, states);
  CHECK(pixel(drawn.canvas(), view::column(-0.5), view::row(0)) == parts(plot::palette[0]));
  CHECK(pixel(drawn.canvas(), view::column(0.75), view::row(0.5)) != parts(plot::white));
  CHECK(pixel(drawn.canvas(), view::column(-0.5), view::row(0.5)) == parts(plot::white));
}

TEST_CASE("panels stand in rows of three with their titles", "[score_field]") {
  const std::vector<float> middle{0, 0};
  const view dot = draw_points(pair, rows<const float>(middle, 1));
  const std::vector<score_field::panel> panels(4, {"a title", dot});
  const plot::canvas picture = draw("all", "what it shows", panels);
  CHECK(picture.width() == 1500);
  int dots = 0;
  for (int y = 0; y < picture.height(); ++y)
    for (int x = 0; x < picture.width(); ++x) dots += pixel(picture, x, y) == parts(plot::palette[0]);
  int in_one = 0;
  for (int y = 0; y < view::size; ++y)
    for (int x = 0; x < view::size; ++x) in_one += pixel(dot.canvas(), x, y) == parts(plot::palette[0]);
  CHECK(in_one > 0);
  CHECK(dots == 4 * in_one);
}
