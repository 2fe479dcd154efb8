#include <cmath>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "program_runs.hpp"
#include "support/catch.hpp"

using program_runs::run, program_runs::workshop;

namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

/// The two numbers of each line of the table.
std::map<std::string, std::pair<double, double>> table_of(const std::string& out) {
  std::map<std::string, std::pair<double, double>> rows;
  for (const auto& line : split(out, '\n')) {
    if (line.size() < 43) continue;
    std::istringstream numbers(line.substr(18));
    auto name = line.substr(0, 18);
    name.erase(name.find_last_not_of(' ') + 1);
    double drawn = 0, real = 0;
    if (numbers >> drawn >> real) rows[name] = {drawn, real};
  }
  return rows;
}

}  // namespace

TEST_CASE("eval prints the scores of drawn and of real digits", "[mnist][program][eval]") {
  const workshop shop;
  REQUIRE(shop.train().status == 0);
  const auto csv = (shop.folder / "scores.csv").string();
  const auto evaluate = [&](const std::string& threads) {
    return run(
        {"eval", "--weights", shop.weights, "--n", "60", "--steps", "2", "--csv", csv, "--threads", threads});
  };
  const auto scored = evaluate("1");
  INFO(scored.out << scored.err);
  REQUIRE(scored.status == 0);
  auto rows = table_of(scored.out);
  CHECK(rows.at("count") == std::pair{60.0, 60.0});
  CHECK(rows.at("FID, test set").first > rows.at("FID, test set").second);  // it is hardly trained
  CHECK(rows.at("FID, training set").first > rows.at("FID, training set").second);
  CHECK(rows.at("KID x 1000").first > rows.at("KID x 1000").second);
  CHECK(rows.at("its standard error").first > 0);
  for (const char* const share : {"precision", "recall", "coverage"}) {
    CHECK(rows.at(share).first >= 0);
    CHECK(rows.at(share).second <= 1);
  }
  CHECK(rows.at("recall").first < 0.5);  // two steps of a network that is hardly trained
  CHECK(rows.at("precision").second > 0.7);
  CHECK(rows.at("recall").second > 0.7);
  CHECK(std::abs(rows.at("density").second - 1) < 0.4);
  CHECK(rows.at("coverage").second > 0.85);
  CHECK(rows.at("mean confidence").second > 0.95);  // 0.997 of all; the worst of 60 may be very unsure
  CHECK(rows.at("above 0.9").second > 0.9);
  CHECK(rows.at("label agreement").second > 0.95);
  double drawn = 0, real = 0;
  for (int digit = 0; digit < 10; ++digit) {
    const auto row = rows.at((digit == 0 ? "classified as " : "              ") + std::to_string(digit));
    drawn += row.first;
    real += row.second;
  }
  CHECK(drawn == 60);
  CHECK(real == 60);
  CHECK(contains(scored.out, "sampler      dpmpp_2m_sde, 2 steps, exponential spacing, guidance 1.1\n"));
  CHECK(contains(scored.out, "evaluations  4 for each digit\n"));
  CHECK(contains(scored.out, "seconds      "));

  const auto again = evaluate("3");
  REQUIRE(again.status == 0);
  const auto without_seconds = [](const std::string& text) { return text.substr(0, text.find("seconds")); };
  CHECK(without_seconds(again.out) == without_seconds(scored.out));
  const auto lines = split(read_bytes(csv), '\n');
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].starts_with("weights,digits,settings,"));
  CHECK(lines[1].starts_with('"' + shop.weights +
                             "\",60,\"dpmpp_2m_sde, 2 steps, exponential spacing, guidance "
                             "1.1\",1,4,"));
  // The settings hold three commas of their own.
  CHECK(split(lines[1], ',').size() == split(lines[0], ',').size() + 3);
  CHECK(lines[1].substr(0, lines[1].rfind(',')) == lines[2].substr(0, lines[2].rfind(',')));
}
