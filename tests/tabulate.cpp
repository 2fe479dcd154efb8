#include "diffusion/tabulate.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "diffusion/samplers/ddim.hpp"
#include "diffusion/samplers/ddpm_learned.hpp"
#include "diffusion/samplers/dpm_solver_multistep.hpp"
#include "diffusion/samplers/heun.hpp"
#include "diffusion/schedules/cosine.hpp"
#include "support/check.hpp"

using namespace diffusion;

namespace {

/// From pure noise to clean data through one level between: α and σ are exact in few digits.
const std::vector<path_point> two_steps{{2, {0, 1}}, {1, {0.6, 0.8}}, {0, {1, 0}}};
const run_path path{std::span<const path_point>(two_steps)};

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("A table has a row per stage with everything that the plan holds") {
  const auto schedule = cosine_schedule(20);
  const run_path bent(schedule, trailing_grid(20, 5));
  for (const run_plan& plan : {make_plan(bent, ddim{.eta = 1}), make_plan(bent, heun{}),
                               make_plan(bent, dpm_solver_multistep{.order = 3})}) {
    const std::vector<plan_row> rows = tabulate(plan);
    REQUIRE(rows.size() == plan.stages.size());
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const run_stage& stage = plan.stages[k];
      CHECK(rows[k].stage == k);
      CHECK(rows[k].from.t == stage.from.t);
      CHECK(rows[k].to.level == stage.to.level);
      CHECK(rows[k].eval.t == stage.eval.t);
      CHECK(rows[k].half_log_snr_from == half_log_snr(stage.from.level));
      CHECK(rows[k].half_log_snr_to == half_log_snr(stage.to.level));
      CHECK(rows[k].next.now.x == stage.next.now.x);
      CHECK(rows[k].next.past.size() == stage.next.past.size());
      CHECK(rows[k].keep.size() == stage.keep.size());
      CHECK(rows[k].asks == stage.asks);
      CHECK(rows[k].arrives == stage.arrives);
      CHECK_FALSE(rows[k].variance);
    }
  }
  CHECK(tabulate(bent, heun{}).size() == 9);
  CHECK(tabulate(schedule, trailing_grid(20, 5), ddim{}).size() == 5);
}

TEST_CASE("The text of a run can be read") {
  CHECK(format_table(tabulate(path, ddim{}), table_format::text) ==
        "stage  from  to  told  alpha  sigma    lambda    x   x0  eps  noise  arrives\n"
        "    0     2   1     2      0      1      -inf  0.8  0.6    0      0      yes\n"
        "    1     1   0     1    0.6    0.8  -0.28768    0    1    0      0      yes\n"
        "  end     0                1      0       inf\n");
}

TEST_CASE("The text names what a stage keeps and reads") {
  const std::string text =
      format_table(tabulate(run_path(cosine_schedule(20), trailing_grid(20, 4)), dpm_solver_multistep{}),
                   table_format::text);
  CHECK(text.find("m0 = x0") != std::string::npos);
  CHECK(text.find(" m0 ") != std::string::npos);
  CHECK(text.find("keeps") != std::string::npos);
}

TEST_CASE("CSV has the same columns in every line, and all digits") {
  const auto plan = make_plan(run_path(cosine_schedule(20), trailing_grid(20, 4)), dpm_solver_multistep{});
  const std::string csv = format_table(tabulate(plan), table_format::csv);
  CHECK(lines_of(csv) == 5);
  std::size_t start = 0;
  for (std::size_t end = csv.find('\n'); end != std::string::npos; end = csv.find('\n', start)) {
    CHECK(std::count(csv.begin() + static_cast<std::ptrdiff_t>(start),
                     csv.begin() + static_cast<std::ptrdiff_t>(end), ',') == 19);
    start = end + 1;
  }
  CHECK(csv.find(detail::text(plan.stages[1].next.now.x)) != std::string::npos);
  CHECK(csv.find(detail::text("m0:", plan.stages[1].next.past[0].weight)) != std::string::npos);
}

TEST_CASE("JSON holds the plan to the last bit, infinities as null") {
  const auto plan = make_plan(run_path(cosine_schedule(20), trailing_grid(20, 4)), dpm_solver_multistep{});
  const auto parsed = nlohmann::json::parse(format_table(tabulate(plan), table_format::json));
  REQUIRE(parsed.size() == 4);
  CHECK(parsed[1]["x"] == plan.stages[1].next.now.x);
  CHECK(parsed[1]["past"][0]["weight"] == plan.stages[1].next.past[0].weight);
  CHECK(parsed[0]["keep"][0]["x0"] == plan.stages[0].keep[0].value.now.x0);
  CHECK(parsed[0]["eval"]["t"] == 20);
  CHECK(parsed[3]["to"]["half_log_snr"].is_null());
  CHECK(parsed[3]["arrives"] == true);
  CHECK_FALSE(parsed[0].contains("variance"));
}

TEST_CASE("Learned variances are in the table") {
  const auto plan = make_plan(run_path(cosine_schedule(20), trailing_grid(20, 4)), ddpm_learned{});
  const auto parsed = nlohmann::json::parse(format_table(tabulate(plan), table_format::json));
  CHECK(parsed[0]["variance"]["slope"] == plan.stages[0].variance.slope);
  CHECK(parsed[0]["variance"]["is_log"] == true);
}

TEST_CASE("An empty plan is an empty table") {
  const std::vector<plan_row> none = tabulate(run_plan{});
  CHECK(none.empty());
  CHECK(lines_of(format_table(none, table_format::text)) == 1);
  CHECK(lines_of(format_table(none, table_format::csv)) == 1);
  CHECK(nlohmann::json::parse(format_table(none, table_format::json)).empty());
}

TEST_CASE("A table goes to a stream, and an unknown format is refused") {
  const std::vector<plan_row> rows = tabulate(path, ddim{});
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK(print_table(file, rows, table_format::csv));
  CHECK(static_cast<std::size_t>(std::ftell(file)) == format_table(rows, table_format::csv).size());
  std::fclose(file);
  support::check_refused([&] { return format_table(rows, static_cast<table_format>(7)); },
                         {"format = 7", "text, csv, json"});
}
