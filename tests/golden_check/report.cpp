#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

namespace golden {

namespace {

std::string text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  return buffer;
}

std::string short_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2g", value);
  return buffer;
}

double difference(double expected, double found) {
  if (expected == found || (std::isnan(expected) && std::isnan(found))) return 0;
  const double d = std::abs(expected - found);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

double magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double value : values)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace

void report::fail(std::string message) {
  if (failure_.empty()) failure_ = std::move(message);
}

void report::compare(std::string_view what, std::span<const double> expected, std::span<const double> found,
                     tolerance allowed) {
  if (expected.size() != found.size())
    return fail(std::string(what) + ": " + std::to_string(expected.size()) + " values recorded, " +
                std::to_string(found.size()) + " computed");
  const double largest = magnitude(expected);
  double worst = 0;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = difference(expected[i], found[i]);
    if (d == 0) continue;
    const double scale = std::max(allowed.floor, allowed.per_element ? std::abs(expected[i]) : largest);
    const double error = d / scale;  // infinite where the scale is 0 or NaN was expected
    if (!(error <= worst)) {
      worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
      worst_at = i;
    }
  }
  largest_error_ = std::max(largest_error_, worst);
  if (verbose_)
    std::printf("    %-44s error %-8s allowed %s\n", std::string(what).c_str(), short_text(worst).c_str(),
                short_text(allowed.relative).c_str());
  if (worst > allowed.relative)
    fail(std::string(what) + "[" + std::to_string(worst_at) + "]: recorded " + text(expected[worst_at]) +
         ", computed " + text(found[worst_at]) + ", relative error " + short_text(worst) + ", allowed " +
         short_text(allowed.relative));
}

void report::compare(std::string_view what, double expected, double found, tolerance allowed) {
  compare(what, std::span(&expected, 1), std::span(&found, 1), allowed);
}

void report::compare_exactly(std::string_view what, std::span<const int> expected,
                             std::span<const int> found) {
  if (expected.size() != found.size())
    return fail(std::string(what) + ": " + std::to_string(expected.size()) + " values recorded, " +
                std::to_string(found.size()) + " computed");
  const auto [e, f] = std::mismatch(expected.begin(), expected.end(), found.begin());
  if (e != expected.end())
    fail(std::string(what) + "[" + std::to_string(e - expected.begin()) + "]: recorded " +
         std::to_string(*e) + ", computed " + std::to_string(*f));
}

}  // namespace golden
