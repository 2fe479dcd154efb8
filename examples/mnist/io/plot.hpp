// Line plots as pictures: panels with axes, ticks, labels and legends, drawn with nothing but libpng.
#pragma once

#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/atomic_file.hpp"

namespace plot {

struct color {
  std::uint8_t red, green, blue;
};
inline constexpr color white{255, 255, 255}, black{40, 40, 40}, grey{110, 110, 110}, light{228, 228, 228};
/// Told apart by people who see red and green alike, too (Okabe & Ito 2008).
inline constexpr std::array<color, 5> palette{
    {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {86, 86, 86}}};

/// Letters of five by seven pixels, some of them two pixels lower. A character of `rows` is a row of five
/// bits, 0 to 9 and then a to v.
struct glyph {
  char letter;
  std::string_view rows;
};
inline constexpr std::array<glyph, 75> glyphs{{
    {'A', "ehhvhhh"}, {'B', "uhhuhhu"}, {'C', "ehggghe"}, {'D', "uhhhhhu"}, {'E', "vgguggv"},
    {'F', "vgguggg"}, {'G', "ehgnhhe"}, {'H', "hhhvhhh"}, {'I', "e44444e"}, {'J', "72222ic"},
    {'K', "hikokih"}, {'L', "ggggggv"}, {'M', "hrllhhh"}, {'N', "hpljhhh"}, {'O', "ehhhhhe"},
    {'P', "uhhuggg"}, {'Q', "ehhhlid"}, {'R', "uhhukih"}, {'S', "fgge11u"}, {'T', "v444444"},
    {'U', "hhhhhhe"}, {'V', "hhhhha4"}, {'W', "hhhllla"}, {'X', "hha4ahh"}, {'Y', "hhha444"},
    {'Z', "v1248gv"}, {'a', "00e1fhf"}, {'b', "ggmphhu"}, {'c', "00egghe"}, {'d', "11djhhf"},
    {'e', "00ehvge"}, {'f', "698s888"}, {'g', "fhhhf1e"}, {'h', "ggmphhh"}, {'i', "40c444e"},
    {'j', "20622ic"}, {'k', "ggikoki"}, {'l', "c44444e"}, {'m', "00qllhh"}, {'n', "00mphhh"},
    {'o', "00ehhhe"}, {'p', "uhhhugg"}, {'q', "fhhhf11"}, {'r', "00mpggg"}, {'s', "00ege1u"},
    {'t', "88s8896"}, {'u', "00hhhjd"}, {'v', "00hhha4"}, {'w', "00hhlla"}, {'x', "00ha4ah"},
    {'y', "hhhhf1e"}, {'z', "00v248v"}, {'0', "ehjlphe"}, {'1', "4c4444e"}, {'2', "eh1248v"},
    {'3', "v2421he"}, {'4', "26aiv22"}, {'5', "vgu11he"}, {'6', "68guhhe"}, {'7', "v124888"},
    {'8', "ehhehhe"}, {'9', "ehhf12c"}, {'.', "00000cc"}, {',', "0000c48"}, {'-', "000v000"},
    {'+', "044v440"}, {'=', "00v0v00"}, {'(', "2488842"}, {')', "8422248"}, {':', "0cc0cc0"},
    {'/', "01248g0"}, {'_', "000000v"}, {'|', "4444444"}, {'*', "04le4l4"}, {' ', "0000000"},
}};

class canvas {
 public:
  canvas(int width, int height) : width_(width), height_(height) {
    pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, 255);
  }
  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] std::span<const std::uint8_t> pixels() const { return pixels_; }

  /// Mixes a color into a pixel, by 0 to 1.
  void blend(int x, int y, color c, double amount) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
    std::uint8_t* const at =
        pixels_.data() +
        (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)) * 3;
    const std::array<std::uint8_t, 3> to{c.red, c.green, c.blue};
    for (std::size_t i = 0; i < 3; ++i)
      at[i] = static_cast<std::uint8_t>(std::lround(at[i] + amount * (to[i] - at[i])));
  }
  void fill(int x, int y, int w, int h, color c) {
    for (int j = y; j < y + h; ++j)
      for (int i = x; i < x + w; ++i) blend(i, j, c, 1);
  }
  /// A smooth line with round ends; a dot where both ends are one.
  void line(double x0, double y0, double x1, double y1, double thickness, color c) {
    const double reach = thickness / 2 + 1;
    const double length = (x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0);
    for (int y = static_cast<int>(std::min(y0, y1) - reach); y <= std::max(y0, y1) + reach; ++y)
      for (int x = static_cast<int>(std::min(x0, x1) - reach); x <= std::max(x0, x1) + reach; ++x) {
        const double along =
            length == 0 ? 0 : std::clamp(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0.0, 1.0);
        const double distance = std::hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0));
        blend(x, y, c, std::clamp(thickness / 2 + 0.5 - distance, 0.0, 1.0));
      }
  }
  /// Left upper corner at (x, y).
  void text(int x, int y, std::string_view letters, color c, int scale = 2) {
    for (const char letter : letters) {
      const auto* const found =
          std::find_if(glyphs.begin(), glyphs.end(), [=](const glyph& g) { return g.letter == letter; });
      const std::string_view rows = found == glyphs.end() ? std::string_view("vhhhhhv") : found->rows;
      const int drop = std::string_view("gpqy").find(letter) == std::string_view::npos ? 0 : 2 * scale;
      for (int row = 0; row < 7; ++row) {
        const char digit = rows[static_cast<std::size_t>(row)];
        const int bits = digit <= '9' ? digit - '0' : digit - 'a' + 10;
        for (int column = 0; column < 5; ++column)
          if ((bits >> (4 - column)) & 1) fill(x + column * scale, y + drop + row * scale, scale, scale, c);
      }
      x += 6 * scale;
    }
  }

 private:
  int width_, height_;
  std::vector<std::uint8_t> pixels_;
};

[[nodiscard]] inline int text_width(std::string_view letters, int scale = 2) {
  return static_cast<int>(letters.size()) * 6 * scale - scale;
}

/// Values over x; what is not finite leaves a gap.
struct series {
  std::string name;
  color c;
  std::vector<double> x, y;
};

struct panel {
  std::string title;
  std::string x_label;
  double last_x;  ///< the axis of x reaches to here at least
  std::vector<series> lines;
  bool log_y = false;  ///< a logarithmic axis for positive values; others leave a gap
};

namespace detail {

inline std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", std::abs(value) < 1e-12 ? 0.0 : value);
  return buffer;
}

/// A range of values and round numbers in it.
struct axis {
  double low = std::numeric_limits<double>::infinity(), high = -low, step = 1;
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// About `count` ticks, at 1, 2 or 5 times a power of ten; the ends of the range are ticks if `whole`.
  void choose_ticks(int count, bool whole) {
    if (!(low <= high)) low = 0, high = 1;
    if (high - low < 1e-9 * std::max(1.0, std::abs(high))) low -= 0.5, high += 0.5;
    const double rough = (high - low) / count;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    step = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
    if (!whole) return;
    low = std::floor(low / step + 1e-9) * step;
    high = std::ceil(high / step - 1e-9) * step;
  }
  /// For a range of decimal logarithms: widens it to ticks where the value is 1, 2 or 5 times a power of ten,
  /// or a power alone where the range is long.
  [[nodiscard]] std::vector<double> choose_logarithmic_ticks() {
    if (!(low <= high)) low = 0, high = 1;
    const bool few = high - low > 3;
    std::vector<double> all, result;
    for (double power = std::floor(low); power <= std::floor(high) + 1; ++power)
      for (const double factor : {1.0, 2.0, 5.0})
        if (factor == 1 || !few) all.push_back(power + std::log10(factor));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool below = i + 1 < all.size() && all[i + 1] <= low;
      const bool above = i > 0 && all[i - 1] >= high && result.size() > 1;
      if (!below && !above) result.push_back(all[i]);
    }
    low = result.front(), high = result.back();
    return result;
  }
  [[nodiscard]] std::vector<double> ticks() const {
    std::vector<double> result;
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
      result.push_back(k * step);
    return result;
  }
};

inline void draw_panel(canvas& to, const panel& p, int left, int top, int width, int height) {
  constexpr int margin_left = 84, margin_right = 24, margin_top = 34, margin_bottom = 52;
  const int x0 = left + margin_left;
  const int y0 = top + margin_top;
  const int w = width - margin_left - margin_right;
  const int h = height - margin_top - margin_bottom;
  axis across, up;
  const auto height_of = [&](double y) { return p.log_y ? std::log10(y) : y; };
  for (const series& s : p.lines) {
    for (const double x : s.x) across.include(x);
    for (const double y : s.y) up.include(height_of(y));
  }
  across.include(p.last_x);
  across.choose_ticks(10, false);
  across.step = std::max(1.0, across.step);  // stages are whole
  if (!p.log_y) up.choose_ticks(5, true);
  const std::vector<double> heights = p.log_y ? up.choose_logarithmic_ticks() : up.ticks();
  const auto at_x = [&](double x) { return x0 + (x - across.low) / (across.high - across.low) * w; };
  const auto at_y = [&](double y) { return y0 + h - (y - up.low) / (up.high - up.low) * h; };

  for (const double tick : heights) {
    const int y = static_cast<int>(std::lround(at_y(tick)));
    to.fill(x0, y, w, 1, !p.log_y && std::abs(tick) < 1e-12 ? grey : light);
    const std::string label = number(p.log_y ? std::pow(10, tick) : tick);
    to.text(x0 - 12 - text_width(label), y - 6, label, black);
  }
  for (const double tick : across.ticks()) {
    const int x = static_cast<int>(std::lround(at_x(tick)));
    to.fill(x, y0, 1, h, light);
    to.fill(x, y0 + h, 1, 6, black);
    const std::string label = number(tick);
    to.text(x - text_width(label) / 2, y0 + h + 11, label, black);
  }
  to.fill(x0, y0, 1, h, black);
  to.fill(x0, y0 + h, w + 1, 1, black);
  to.text(x0, top + 6, p.title, black);
  to.text(x0 + (w - text_width(p.x_label)) / 2, y0 + h + 31, p.x_label, black);

  // The legend stands beside the title, from the right.
  int end = x0 + w;
  for (std::size_t i = p.lines.size(); i-- > 0;) {
    const std::string& name = p.lines[i].name;
    if (name.empty()) continue;
    end -= text_width(name);
    to.text(end, top + 6, name, black);
    to.line(end - 34, top + 13, end - 10, top + 13, 3, p.lines[i].c);
    end -= 56;
  }
  for (const series& s : p.lines) {
    const bool dots = s.x.size() <= 60;
    for (std::size_t k = 0; k < s.x.size(); ++k) {
      const double level = height_of(s.y[k]);
      if (!std::isfinite(level)) continue;
      const double x = at_x(s.x[k]);
      const double y = at_y(level);
      if (dots) to.line(x, y, x, y, 7, s.c);
      const double before = k > 0 ? height_of(s.y[k - 1]) : std::numeric_limits<double>::quiet_NaN();
      if (std::isfinite(before)) to.line(at_x(s.x[k - 1]), at_y(before), x, y, 2.2, s.c);
    }
  }
}

}  // namespace detail

/// The panels, one above the other, below a title.
[[nodiscard]] inline canvas draw(std::string_view title, std::span<const panel> panels, int width = 1000,
                                 int panel_height = 300) {
  constexpr int head = 60;
  canvas result(width, head + panel_height * static_cast<int>(panels.size()));
  result.text(24, 16, title, black, 3);
  for (std::size_t i = 0; i < panels.size(); ++i)
    detail::draw_panel(result, panels[i], 0, head + panel_height * static_cast<int>(i), width, panel_height);
  return result;
}

/// Throws std::runtime_error naming the file if it cannot be encoded or written.
inline void write_png(const std::filesystem::path& path, const canvas& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width());
  image.height = static_cast<png_uint_32>(picture.height());
  image.format = PNG_FORMAT_RGB;
  // The first call measures, the second writes.
  png_alloc_size_t size = 0;
  std::vector<std::byte> encoded;
  for (void* to : {static_cast<void*>(nullptr), static_cast<void*>(&encoded)}) {
    if (to) encoded.resize(size);
    if (!png_image_write_to_memory(&image, to ? encoded.data() : nullptr, &size, 0, picture.pixels().data(),
                                   0, nullptr))
      throw std::runtime_error(path.string() + ": " + image.message);
  }
  encoded.resize(size);
  mnist::write_file(path, encoded);
}

}  // namespace plot
