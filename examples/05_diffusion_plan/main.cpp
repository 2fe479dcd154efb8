// diffusion-plan: shows the run that a scheduler_config.json means, as a table, CSV, JSON and a picture.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "diffusion/interop/scheduler_config.hpp"
#include "diffusion/tabulate.hpp"
#include "io/plot.hpp"

namespace {

struct settings {
  std::string config;
  int steps = 20;
  std::string format = "text";
  std::string png;
  std::string peer = "none";
  diffusion::run_request request;
};

std::string contents_of(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + name);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// What the table does not say.
void print_head(const diffusion::configured_scheduler& scheduler, const diffusion::run_plan& plan) {
  std::printf("%s: %zu stages, %zu vectors of memory\n", scheduler.class_name.c_str(), plan.stages.size(),
              plan.slots);
  std::printf("the network returns %s%s; unit noise times %.6g starts the run",
              scheduler.negated ? "minus " : "", std::string(name(scheduler.network)).c_str(),
              scheduler.start_scale_of(plan));
  if (scheduler.data_scale != 1) std::printf("; the data are %g times its end", scheduler.data_scale);
  std::printf("\n");
  if (!scheduler.unused_keys.empty()) {
    std::printf("keys that mean nothing to this class:");
    for (const std::string& key : scheduler.unused_keys) std::printf(" %s", key.c_str());
    std::printf("\n");
  }
  std::printf("\n");
}

plot::canvas picture_of(const std::string& title, const std::vector<diffusion::plan_row>& rows) {
  const auto& colors = plot::palette;
  plot::series alpha{"alpha", colors[0], {}, {}}, sigma{"sigma", colors[1], {}, {}},
      lambda{"lambda", colors[2], {}, {}};
  const auto add_point = [&](std::size_t k, diffusion::noise_level level, double half_log_snr) {
    for (auto* s : {&alpha, &sigma, &lambda}) s->x.push_back(static_cast<double>(k));
    alpha.y.push_back(level.alpha);
    sigma.y.push_back(level.sigma);
    lambda.y.push_back(half_log_snr);
  };
  std::vector<plot::series> weights;
  for (const char* name : {"x", "x0", "eps", "noise", "memory"})
    weights.push_back({name, colors[weights.size()], {}, {}});
  for (const diffusion::plan_row& row : rows) {
    add_point(row.stage, row.from.level, row.half_log_snr_from);
    double memory = 0;
    for (const auto& term : row.next.past) memory += term.weight;
    const diffusion::step_coefficients& c = row.next.now;
    const double values[] = {c.x, c.x0, c.epsilon, c.noise, memory};
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i].x.push_back(static_cast<double>(row.stage));
      weights[i].y.push_back(values[i]);
    }
  }
  add_point(rows.size(), rows.back().to.level, rows.back().half_log_snr_to);
  std::erase_if(weights, [](const plot::series& s) {
    return std::all_of(s.y.begin(), s.y.end(), [](double y) { return y == 0; });
  });
  const auto last = static_cast<double>(rows.size());
  const plot::panel panels[] = {
      {"levels: x = alpha x0 + sigma eps", "stage", last, {alpha, sigma}},
      {"lambda = log(alpha/sigma), where it is finite", "stage", last, {lambda}},
      {"weights in the next state", "stage", last, weights},
  };
  return plot::draw(title, panels);
}

void run(const settings& s) {
  using diffusion::table_format;
  const auto peer = s.peer == "diffusers" ? diffusion::compat::diffusers : diffusion::compat::none;
  const diffusion::configured_scheduler scheduler =
      diffusion::read_scheduler_config(contents_of(s.config), peer);
  const diffusion::run_plan plan = scheduler.plan(s.steps, s.request);
  const std::vector<diffusion::plan_row> rows = diffusion::tabulate(plan);
  const std::map<std::string, table_format> formats{
      {"text", table_format::text}, {"csv", table_format::csv}, {"json", table_format::json}};
  if (s.format == "text") print_head(scheduler, plan);
  if (!diffusion::print_table(stdout, rows, formats.at(s.format)) || std::fflush(stdout) != 0)
    throw std::runtime_error("cannot write the table");
  if (!s.png.empty())
    plot::write_png(s.png,
                    picture_of(scheduler.class_name + ", " + std::to_string(s.steps) + " steps", rows));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows the run that a scheduler_config.json means", "diffusion-plan");
  settings s;
  app.add_option("config", s.config, "scheduler_config.json of a model in the diffusers format")->required();
  app.add_option("--steps", s.steps, "Steps of the run")->capture_default_str();
  app.add_option("--format", s.format, "text, csv or json")
      ->check(CLI::IsMember({"text", "csv", "json"}))
      ->capture_default_str();
  app.add_option("--png", s.png, "Picture of levels and weights to write");
  app.add_option("--peer", s.peer, "none, or diffusers to reproduce it where it departs from the mathematics")
      ->check(CLI::IsMember({"none", "diffusers"}))
      ->capture_default_str();
  app.add_option("--tokens", s.request.image_tokens, "Tokens of the image, for schedules that shift with it");
  app.add_option("--mu", s.request.mu, "The same as the shift's mu");
  try {
    app.parse(argc, argv);
    run(s);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "diffusion-plan: %s\n", error.what());
    return 2;
  }
}
